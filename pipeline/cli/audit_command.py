"""The command `audit`."""

from typing import Any

from pipeline.cli import options as option
from pipeline.cli.output import now, tell


@option.with_settings(*option.PRICES)
def audit(overrides: dict[str, Any], as_of: option.AsOf = None, as_json: option.AsJson = False) -> None:
    """Give every bar of a source a verdict without storing anything."""
    from pipeline.cli.quality_tables import audit_document, audit_table
    from pipeline.jobs import audit_report

    result = audit_report.audit(overrides, now=now(), as_of=option.date_of(as_of))
    tell(as_json, audit_document(result), "" if as_json else audit_table(result))
