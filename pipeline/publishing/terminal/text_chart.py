"""Prices drawn with letters: a line of blocks, and a chart of closes with the ranges that were and are forecast.

Legend: N closes, L levels of a forecast, rows and columns of letters from the top left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.forecast_schema import MEDIAN_LEVEL, RANGES
from pipeline.publishing.matured_forecasts import MaturedForecast

_BLOCKS = "▁▂▃▄▅▆▇█"
# The character and colour of each range, the widest first.
BANDS = {90: ("░", "blue"), 80: ("▒", "cyan"), 50: ("▓", "bright_cyan")}
MEDIAN, LINE = "━", "bold yellow"
# The dots of a braille letter, two to a row, four rows.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_MOST_OF_THE_CHART = 0.4  # that the sessions to come may take
_STEP_WIDTH = 3
Levels = Mapping[float, float]  # prices by quantile level
Letter = tuple[str, str]  # a character and its style


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last `width` values as blocks, from their lowest to their highest."""
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return _BLOCKS[3] * len(shown)
    return "".join(_BLOCKS[round((value - low) / (high - low) * (len(_BLOCKS) - 1))] for value in shown)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Rows of letters, the prices at the middle of the first and the last row, and where the last close stands."""

    rows: list[list[Letter]]
    top: float
    bottom: float
    today: int

    def price(self, row: int) -> float:
        """Return the price at the middle of a row."""
        return self.top - (self.top - self.bottom) * row / (len(self.rows) - 1)


def chart(
    closes_N: Sequence[float], past: Mapping[int, Levels], steps: Sequence[Levels], size: tuple[int, int]
) -> Chart:
    """Draw closes, and behind them ranges: of past forecasts by the place of the close, then of the steps to come.

    `size` is columns and rows. Between two steps the ranges are drawn straight, from the last close on.
    """
    columns, height = size
    ahead = min(max(_STEP_WIDTH * len(steps), 8), int(columns * _MOST_OF_THE_CHART))
    behind = columns - ahead
    fan = [_between(closes_N[-1], steps, (column + 1) / ahead) for column in range(ahead)]
    places = _places(len(closes_N), behind)
    bands: list[Levels | None] = [past.get(round(place)) for place in places]
    prices = [*closes_N, *(value for levels in (*past.values(), *steps) for value in levels.values())]
    low, high = min(prices), max(prices)
    margin = (high - low or abs(high) or 1.0) * 0.02
    low, high = low - margin, high + margin
    tall = (high - low) / height  # of a row
    rows = [
        [
            _band(levels, high - (row + 0.5) * tall, tall, median=column >= behind)
            for column, levels in enumerate([*bands, *fan])
        ]
        for row in range(height)
    ]
    for column, row, dots in _line(closes_N, behind, height, low, high):
        rows[row][column] = (chr(0x2800 + dots), LINE)
    return Chart(rows=rows, top=high - tall / 2, bottom=low + tall / 2, today=behind - 1)


def _places(count: int, width: int) -> list[float]:
    """The close that stands at each column, the first at the first and the last at the last."""
    return [(count - 1) * column / max(width - 1, 1) for column in range(width)]


def _between(close: float, steps: Sequence[Levels], share: float) -> Levels:
    """The ranges at a share of the way from the last close to the last step."""
    at = share * len(steps)
    before = min(int(at), len(steps) - 1)
    first = steps[before - 1] if before else dict.fromkeys(steps[0], close)
    return {level: first[level] + (value - first[level]) * (at - before) for level, value in steps[before].items()}


def _band(levels: Levels | None, price: float, tall: float, *, median: bool) -> Letter:
    if levels is None:
        return " ", ""
    if median and abs(levels[MEDIAN_LEVEL] - price) <= tall / 2:
        return MEDIAN, "bold"
    for share, letter in reversed(BANDS.items()):
        low, high = RANGES[share]
        if levels[low] <= price <= levels[high]:
            return letter
    return " ", ""


def _line(closes_N: Sequence[float], width: int, height: int, low: float, high: float) -> list[tuple[int, int, int]]:
    """The letters of the line: column, row, dots. Each of its dots reaches up or down to the one before."""
    across = _places(len(closes_N), width * 2)
    letters: dict[tuple[int, int], int] = {}
    before: int | None = None
    for x, place in enumerate(across):
        index = min(int(place), len(closes_N) - 1)
        following = min(index + 1, len(closes_N) - 1)
        value = closes_N[index] + (closes_N[following] - closes_N[index]) * (place - index)
        y = min(int((high - value) / (high - low) * height * 4), height * 4 - 1)
        first = y if before is None or before == y else before + (1 if y > before else -1)
        for each in range(min(first, y), max(first, y) + 1):
            key = (x // 2, each // 4)
            letters[key] = letters.get(key, 0) | _DOTS[each % 4][x % 2]
        before = y
    return [(column, row, dots) for (column, row), dots in letters.items()]


def recent_ranges(closes_N: Sequence[float], record: Sequence[MaturedForecast]) -> dict[int, Levels]:
    """Return the past forecasts of one session by the place of the close that they were for.

    Closes carry no dates, so the rows are followed back from the last close, session by session, as long as each was
    made at the close before it and what came is the close that is drawn.
    """
    found: dict[int, Levels] = {}
    rows = sorted(record, key=lambda row: row.target_session, reverse=True)
    expected = rows[0].target_session if rows else None
    for place, row in zip(range(len(closes_N) - 1, 0, -1), rows, strict=False):
        if row.target_session != expected or abs(row.close / closes_N[place] - 1) > 1e-6:
            break
        found[place] = row.quantiles
        expected = row.as_of
    return found
