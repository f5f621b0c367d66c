"""The command `events`."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.cli import options as option
from pipeline.cli.output import now, print_result

if TYPE_CHECKING:
    from pipeline.config import Overrides
    from pipeline.events.date_moves import DateMoves
    from pipeline.jobs.event_report import EventReport

_TIMES = {"before_open": "before the open", "after_close": "after the close", "unknown": ""}
_MARKET = "(market)"
_MOST = 40  # rows of a table


@option.with_settings(*option.PRICES)
def events(overrides: "Overrides", as_of: option.AsOf = None, as_json: option.AsJson = False) -> None:
    """List scheduled events: those to come, what is known of past ones, how dates moved, and verdicts."""
    from pipeline.jobs.event_report import event_report

    result = event_report(overrides, now=now(), as_of=option.date_of(as_of))
    print_result(as_json, result, "" if as_json else _shown(result))


def _shown(report: "EventReport") -> RenderableType:
    if report.source == "none":
        return Text("no source of scheduled events; set PIPELINE_EVENTS, or --events FILE")
    title = f"scheduled events from {report.source}, as known for {report.as_of}"
    if not report.known and not report.findings:
        return Text(f"{title}: none; run ingest first, or set PIPELINE_EVENTS")
    parts: list[RenderableType] = [Text(title), _coming(report), _known(report)]
    parts += [Text(_moves(one)) for one in report.moves if one.seen]
    if report.without:
        parts.append(Text(f"without a calendar: {', '.join(report.without)}"))
    return Group(*parts, *([_findings(report)] if report.findings else []))


def _coming(report: "EventReport") -> Table:
    table = _table("to come", ("day", "symbol", "kind", "time", "", "known since"), len(report.coming))
    for one in report.coming[:_MOST]:
        state = "" if one.confirmed else "estimated"
        since = "not known" if one.known_from is None else one.known_from[:10]
        day = f"{one.day:%a} {one.day}"
        table.add_row(*map(Text, (day, one.symbol or _MARKET, one.kind, _TIMES[one.time], state, since)))
    return table


def _known(report: "EventReport") -> Table:
    table = _table("known", ("symbol", "kind", "events", "reconstructed", "first", "last"), len(report.known))
    for one in report.known[:_MOST]:
        cells = (one.symbol or _MARKET, one.kind, one.events, one.reconstructed, one.first, one.last)
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


def _findings(report: "EventReport") -> Table:
    table = _table("verdicts", ("symbol", "day", "verdict", "rule", "detail"), len(report.findings))
    for one in report.findings[:_MOST]:
        cells = (one.symbol or _MARKET, one.day or "", one.verdict, one.rule, one.detail)
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


def _table(title: str, names: tuple[str, ...], rows: int) -> Table:
    more = f", {rows - _MOST:,} more in --json" if rows > _MOST else ""
    return Table(*names, title=f"{title}: {rows:,}{more}", title_justify="left")


def _moves(one: "DateMoves") -> str:
    notice = "" if one.move_notice is None else f", {one.move_notice:g} days before at the median"
    late = f"{one.moved_late:,} of them with less than a week of notice" if one.moved else ""
    announced = f"{one.announced_late:,} announced with less than a week of notice"
    moved = f"{one.moved:,} moved{notice}" + (f" ({late})" if late else "")
    return f"{one.kind}: {one.seen:,} seen coming, {moved}, {one.cancelled:,} cancelled, {announced}"
