"""The newest forecasts as a table in the terminal, from nothing but a published folder. As wide as the terminal is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.forecast_schema import BASELINES
from pipeline.publishing import event_sentences, formatting, verdict
from pipeline.publishing.event_outlook import EventOutlook
from pipeline.publishing.published_files import PublishedStep, SymbolForecast
from pipeline.publishing.reader import Published
from pipeline.publishing.terminal import text_chart

_STANDS_IN = "*"
_FEW = 30  # symbols that may have two lines each where one does not hold all
_WIDE = 122  # columns that hold everything in one line
_WIDE_DAYS = 36  # and the days of each row
_MOST_WITHHELD = 10
_MOST_EVENTS = 10


def order(forecasts: Sequence[SymbolForecast], by: str, top: int | None) -> list[SymbolForecast]:
    """Return the forecasts by symbol, or the widest ranges first, or the largest moves of the last session first."""
    keys: dict[str, Callable[[SymbolForecast], Any]] = {
        "symbol": lambda each: each.symbol,
        "width": lambda each: (-_width(each), each.symbol),
        "change": lambda each: (-abs(moved(each) or 0.0), each.symbol),
    }
    return sorted(forecasts, key=keys[by])[:top]


def moved(forecast: SymbolForecast) -> float | None:
    """Return the change of the last session's close, None where the close before it is not known."""
    closes = forecast.recent_closes
    return closes[-1] / closes[-2] - 1 if len(closes) > 1 else None


def heading(published: Published) -> Iterator[RenderableType]:
    """Yield the session, the published model, and the reason."""
    forecasts, manifest = published.forecasts, published.manifest
    yield Text(
        f"Closing Bell · {forecasts.exchange} · after the close of {formatting.day(forecasts.as_of)}", style="bold"
    )
    if note := verdict.trial_note(manifest.trial, standing=manifest.standing):
        yield Text(note, style="yellow")
    yield Text(manifest.verdict, style="yellow" if forecasts.model in BASELINES else "cyan")
    yield Text(manifest.decision.reason, style="dim")


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A published folder: heading, model and reason, 80 % ranges, path of the report."""

    published: Published
    sort: str = "symbol"
    top: int | None = None

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        forecasts, folder = self.published.forecasts, self.published.folder
        rows = order(forecasts.forecasts, self.sort, self.top)
        yield from heading(self.published)
        yield Padding(_table(rows, forecasts.model, options.max_width), (1, 0))
        if left := len(forecasts.forecasts) - len(rows):
            yield Text(f"and {left} more", style="dim")
        yield from _events(forecasts.outlook)
        yield from _estimates(rows)
        yield from _stand_ins(rows, forecasts.model)
        withheld = forecasts.withheld
        for each in withheld[:_MOST_WITHHELD]:
            yield Text(f"{each.symbol}: no forecast, {each.reason}", style="yellow")
        if len(withheld) > _MOST_WITHHELD:
            yield Text(f"and {len(withheld) - _MOST_WITHHELD} more without a forecast: see --json", style="yellow")
        yield Text("Eight closes in ten should fall inside an 80 % range. Not investment advice.", style="dim")
        yield Text(f"Report: {folder / 'report.html'}", style="dim", overflow="fold")


def _table(rows: Sequence[SymbolForecast], model: str, width: int) -> Table:
    """One line for each symbol where the terminal is wide; else two, or without the change where there are many.

    Where the symbols do not share their sessions, the days stand in each row.
    """
    mixed = len({_days(each) for each in rows}) > 1
    wide = width >= _WIDE + (_WIDE_DAYS if mixed else 0)
    separator: str | None = "  " if wide else "\n" if len(rows) <= _FEW else None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column("Symbol", style="bold", no_wrap=True)
    table.add_column("Closes", no_wrap=True)
    table.add_column("Last close", justify="right", no_wrap=True)
    longest = max((each.steps for each in rows), key=len, default=())
    for place in _places(longest):
        title = "Next session" if place == 0 else f"In {len(longest)} sessions"
        table.add_column(f"{title if mixed else target_of(longest[place])}, 80 %", justify="right", no_wrap=True)
    for each in rows:
        close = Text(text_chart.sparkline(each.recent_closes, 20 if wide else 12), style="yellow")
        mark = _STANDS_IN if each.model != model else ""
        table.add_row(Text(f"{each.symbol}{mark}"), close, *_cells(each, separator, mixed=mixed))
    return table


def _events(outlook: EventOutlook) -> Iterator[Text]:
    """Yield a line for each report within the forecasts, and the events of the market."""
    found = event_sentences.sentences(outlook)
    for symbol, text in found[:_MOST_EVENTS]:
        yield Text.assemble((symbol, "bold magenta"), f" {text}")
    if len(found) > _MOST_EVENTS:
        yield Text(f"and {len(found) - _MOST_EVENTS} more report within the forecast: see --json", style="magenta")
    for row in event_sentences.rows(EventOutlook(market=outlook.market))[:_MOST_EVENTS]:
        yield Text(f"{row.symbol}: {row.kind}, {row.day}", style="dim")


def target_of(step: PublishedStep) -> str:
    """Return the session of a step, marked where it is an estimate."""
    return formatting.target_day(step.target_session, estimated=step.target_session_estimated)


def _days(forecast: SymbolForecast) -> tuple[date | None, ...]:
    return (forecast.last_session, *(step.target_session for step in forecast.steps))


def _estimates(rows: Sequence[SymbolForecast]) -> Iterator[Text]:
    names = [each.symbol for each in rows if each.estimated]
    if names:
        some = ", ".join(names[:_MOST_WITHHELD]) + (", …" if len(names) > _MOST_WITHHELD else "")
        text = f"{formatting.ESTIMATED} estimated dates, outside the recorded trading calendar: {some}"
        yield Text(f"{text}; `doctor` has details", style="yellow")


def _stand_ins(rows: Sequence[SymbolForecast], model: str) -> Iterator[Text]:
    others = {(each.model, each.model_version): None for each in rows if each.model != model}
    if others:
        names = " or ".join(formatting.model_name(*other) for other in others)
        yield Text(f"{_STANDS_IN} forecast by another model: {names}; `show SYMBOL` gives the reason", style="yellow")


def _places(steps: Sequence[PublishedStep]) -> list[int]:
    return [0, -1][: len(steps)]


def _cells(forecast: SymbolForecast, separator: str | None, *, mixed: bool) -> list[Text]:
    close, steps = forecast.last_close, forecast.steps
    ranges = [steps[place].range(80) for place in _places(steps)]
    decimals = formatting.decimals(*ranges[0])
    cells = [Text(formatting.price(close, decimals))]
    if mixed and (session := forecast.last_session):
        cells[0].append(f"{separator or chr(10)}{formatting.short_day(session)}", "dim")
    for place, (low, high) in zip(_places(steps), ranges, strict=True):
        price = formatting.price_range(low, high, decimals)
        parts = [target_of(steps[place])] if mixed else []
        parts += [] if separator is None else [f"{formatting.change(low, high, close):>18}"]
        more = f"{separator or chr(10)}{(separator or '').join(parts)}" if parts else ""
        cells.append(Text.assemble((price, "cyan"), (more, "dim")))
    return cells


def _width(forecast: SymbolForecast) -> float:
    low, high = forecast.steps[0].range(80)
    return (high - low) / forecast.last_close
