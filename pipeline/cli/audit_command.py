"""The command `audit`."""

from typing import TYPE_CHECKING

from pipeline.cli import options as option
from pipeline.cli.output import now, print_result

if TYPE_CHECKING:
    from pipeline.config import Overrides


@option.with_settings(*option.PRICES)
def audit(overrides: "Overrides", as_of: option.AsOf = None, as_json: option.AsJson = False) -> None:
    """Check the data quality of a source: a verdict for every bar, without storing anything."""
    from pipeline.cli.quality_tables import audit_document, audit_table
    from pipeline.jobs import audit_report

    result = audit_report.audit(overrides, now=now(), as_of=option.date_of(as_of))
    print_result(as_json, audit_document(result), "" if as_json else audit_table(result))
