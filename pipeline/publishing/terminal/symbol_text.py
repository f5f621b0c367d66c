"""One symbol in the terminal: its closes and ranges drawn, every session to come, and how its last forecasts did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.forecast_schema import BASELINES, MEDIAN_LEVEL, RANGES
from pipeline.publishing import event_sentences, formatting
from pipeline.publishing.event_outlook import EventOutlook, SymbolOutlook
from pipeline.publishing.matured_forecasts import MaturedForecast
from pipeline.publishing.published_files import SymbolForecast
from pipeline.publishing.terminal import text_chart
from pipeline.publishing.terminal.overview import moved, target_of

RECENT = 20
_ROWS = 14
_WIDEST, _NARROWEST = 110, 30
_CROWDED = 90  # columns below which a long price loses its decimals
_REPLAYED = "°"


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One entry of forecasts.json, the rows of record.parquet of its symbol, and what the manifest says of it."""

    forecast: SymbolForecast
    record: Sequence[MaturedForecast]
    as_of: date
    model: str
    reason: str
    stand_in: str | None = None

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        one, width = self.forecast, min(options.max_width, _WIDEST)
        places = self._decimals(width)
        change = moved(one)
        today = f", {formatting.percent(change)} on the day" if change is not None else ""
        symbol, close = one.symbol, formatting.price(one.last_close, places)
        yield Text.assemble((symbol, "bold"), f" · {close} at the close of {formatting.day(self._last_session)}{today}")
        style = "yellow" if one.model in BASELINES else "cyan"
        yield Text(formatting.model_name(one.model, one.model_version), style=style)
        if self.stand_in is not None:
            yield Text(f"! {self.stand_in}", style="yellow")
        elif one.model == self.model:
            yield Text(self.reason, style="dim")
        if len(one.recent_closes) > 1:
            yield Padding(self._chart(width, places), (1, 0, 0, 0))
        yield Padding(_sessions(one, places), (1, 0, 0, 0))
        yield from _events(one)
        if one.estimated:
            yield Text(
                f"{formatting.ESTIMATED} estimated: outside the recorded trading calendar, holidays unknown",
                style="yellow",
            )
        yield from self._track_record(places)

    @property
    def _last_session(self) -> date:
        """The session of the last close: on another market than the run's it may be an earlier one."""
        return self.forecast.last_session or self.as_of

    def _decimals(self, width: int) -> int:
        places = formatting.decimals(*self.forecast.steps[0].range(80))
        return 0 if places == 2 and width < _CROWDED and self.forecast.last_close >= 10_000 else places

    def _chart(self, width: int, places: int) -> Text:
        """Return the chart with its prices on the left, the days below, and a legend."""
        closes, steps = self.forecast.recent_closes, [step.quantiles for step in self.forecast.steps]
        margin = (
            max(len(formatting.price(value, places)) for value in (max(closes), self.forecast.steps[-1].range(90)[1]))
            + 2
        )
        past = text_chart.recent_ranges(closes, self.record)
        drawn = text_chart.chart(closes, past, steps, (max(width - margin, _NARROWEST), _ROWS))
        text = Text(no_wrap=True)
        for row, letters in enumerate(drawn.rows):
            label = formatting.price(drawn.price(row), places) if row % 3 == 1 else ""
            text.append(f"{label:>{margin - 2}} ", "dim").append("┤" if label else "│", "dim")
            for sign, style in letters:
                text.append(sign, style)
            text.append("\n")
        first, here = f"{len(closes)} closes", formatting.short_day(self._last_session)
        last = target_of(self.forecast.steps[-1])
        length = len(drawn.rows[0])
        axis = f"{first}{here:>{max(drawn.today + 1 - len(first), len(here) + 1)}}"
        if (gap := length - len(axis)) > len(last):
            axis += f"{last:>{gap}}"
        text.append(f"{'':{margin}}{axis}\n", "dim")
        text.append(f"{'':{margin}}⠒⠒", text_chart.LINE).append(" close  ").append(text_chart.MEDIAN, "bold").append(
            " median"
        )
        for coverage, (sign, style) in reversed(text_chart.BANDS.items()):
            text.append(f"  {sign * 2}", style).append(f" {coverage} %")
        if past:
            text.append(f"\n{'':{margin}}Behind the closes: the ranges forecast the session before.", "dim")
        return text

    def _track_record(self, places: int) -> Iterator[RenderableType]:
        rows = sorted(self.record, key=lambda row: row.target_session)[-RECENT:]
        if not rows:
            yield Text("No forecast of its next session has matured yet.", style="dim")
            return
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
        table.add_column("Next session", no_wrap=True)
        table.add_column("80 % range", justify="right", no_wrap=True)
        table.add_column("close", justify="right", no_wrap=True)
        for coverage in RANGES:
            table.add_column(f"{coverage} %", justify="center", no_wrap=True)
        table.add_column("model", no_wrap=True)
        for row in rows:
            name = formatting.model_name(row.model, row.model_version)
            table.add_row(
                formatting.short_day(row.target_session),
                _range(row, places),
                formatting.price(row.close, places),
                *(_mark(row.inside[coverage]) for coverage in RANGES),
                Text(name if row.in_time else f"{name} {_REPLAYED}", style="dim"),
            )
        yield Padding(table, (1, 0))
        yield Text(_shares(rows))
        if replayed := sum(not row.in_time for row in rows):
            yield Text(
                f"{_REPLAYED} {replayed} replayed: made after the session had closed, not part of the live record.",
                style="dim",
            )


def _sessions(forecast: SymbolForecast, places: int) -> Table:
    """Every session to come: its quantiles as prices, and beneath each its change from the last close."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("Session", no_wrap=True)
    for level in sorted(forecast.steps[0].quantiles):
        is_median = level == MEDIAN_LEVEL
        title = "Median" if is_median else f"{level * 100:g} %"
        table.add_column(title, justify="right", no_wrap=True, style="bold" if is_median else None)
    for step in forecast.steps:
        cells = []
        for _, price in sorted(step.quantiles.items()):
            change = formatting.percent(price / forecast.last_close - 1)
            cells.append(Text.assemble(formatting.price(price, places), "\n", (change, "not bold dim")))
        table.add_row(target_of(step), *cells)
    return table


def _events(forecast: SymbolForecast) -> Iterator[RenderableType]:
    """Yield what is scheduled, and what makes the width of each range; nothing without a calendar."""
    outlook = forecast.outlook or SymbolOutlook()
    if text := event_sentences.sentence(outlook):
        yield Text.assemble((forecast.symbol, "bold magenta"), f" {text}")
    for row in event_sentences.rows(EventOutlook(symbols={forecast.symbol: outlook})):
        yield Text(f"{row.day}: {row.kind}, time of day {row.time}, {row.status}, known since {row.known_since}")
    for width in outlook.widths:
        yield Text(event_sentences.width_sentence(width), style="dim")


def _range(row: MaturedForecast, places: int) -> str:
    return formatting.price_range(*row.range(80), places)


def _mark(inside: bool) -> Text:
    return Text("✓", style="green") if inside else Text("✗", style="red")


def _shares(rows: Sequence[MaturedForecast]) -> str:
    held = [f"{sum(row.inside[each] for row in rows) / len(rows):.0%} in the {each} % range" for each in RANGES]
    count = f"the last {len(rows)} closes" if len(rows) > 1 else "the last close"
    return f"Of {count}: {', '.join(held)}.".replace("%", " %").replace("  %", " %")
