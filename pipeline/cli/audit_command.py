"""The command `audit`."""

from pipeline.cli import options as option
from pipeline.cli.output import now, tell


def audit(
    source: option.Source = None,
    files: option.Files = None,
    files_dates: option.FilesDates = None,
    files_decimal: option.FilesDecimal = None,
    symbols: option.Symbols = None,
    as_of: option.AsOf = None,
    exchange: option.Exchange = None,
    markets: option.Markets = None,
    as_json: option.AsJson = False,
) -> None:
    """Give every bar of a source a verdict without storing anything."""
    from pipeline.cli.quality_tables import audit_table
    from pipeline.jobs import audit_report

    result = audit_report.audit(
        option.overrides_of(
            source,
            files,
            symbols,
            files_dates=files_dates,
            files_decimal=files_decimal,
            exchange=exchange,
            markets=markets,
        ),
        now=now(),
        as_of=option.date_of(as_of),
    )
    tell(as_json, result, "" if as_json else audit_table(result))
