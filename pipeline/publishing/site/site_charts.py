"""Two charts of the track record as inline SVG: a symbol's ranges with its closes, and the cumulative CRPS gain.

Colours are CSS classes, so one drawing serves the light and the dark theme.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.forecast_schema import range_columns
from pipeline.publishing import formatting
from pipeline.publishing.charts.svg import (
    DRAWN,
    Floats,
    Scale,
    drawing,
    path,
    places_of,
    points,
    ranges_and_closes,
    round_values,
)
from pipeline.publishing.matured_forecasts import MaturedForecast
from pipeline.publishing.site.hit_rates import Rates

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 64, 12, 10, 24
_TALL, _LOW = 300, 190
_MANY = 60  # bars that lie so close that they must be thin
_TICKS = 6  # dates below a chart, at most


def ranges_svg(symbol: str, rows: Sequence[MaturedForecast]) -> Markup:
    """Return the range forecast for each session and the actual close; `rows` are of one symbol, oldest first."""
    prices = {"close": np.array([row.close for row in rows])}
    for share in DRAWN:
        ends_N2 = np.array([row.range(share) for row in rows])
        prices |= dict(zip(range_columns(share), ends_N2.T, strict=True))
    low, high = (float(find([find(values) for values in prices.values()])) for find in (np.min, np.max))
    x_N, down = _across(len(rows)), Scale(high, low, _TOP, _TALL - _BOTTOM)
    inside = sum(row.inside[80] for row in rows)
    parts = [
        *_grid(low, high, down),
        *_days([row.target_session for row in rows], x_N, _TALL),
        *ranges_and_closes(
            x_N, {name: down(each) for name, each in prices.items()}, np.array([row.inside[90] for row in rows])
        ),
    ]
    kind = "wide many" if len(rows) > _MANY else "wide"
    label = f"{symbol}: {inside} of {len(rows)} closes were inside the 80 % range published the evening before"
    return drawing(kind, _WIDTH, _TALL, label, parts)


def gain_svg(sessions: Mapping[date, Rates]) -> Markup | None:
    """Return the cumulative CRPS gain on the baseline over the sessions; None for a single session."""
    if len(sessions) < 2:
        return None
    sums_N = np.cumsum([each.gain_bp for each in sessions.values()])
    low, high = min(0.0, float(sums_N.min())), max(0.0, float(sums_N.max()))
    if high - low < 1e-9:
        high = low + 1.0
    x_N, down = _across(len(sums_N)), Scale(high, low, _TOP, _LOW - _BOTTOM)
    parts = [
        *_grid(low, high, down),
        *_days(list(sessions), x_N, _LOW),
        f'<path class="origin" d="M{_LEFT} {float(down(0.0)):.1f}H{_WIDTH - _RIGHT}"/>',
        f'<path class="median" d="{path(points(x_N, down(sums_N)))}"/>',
    ]
    total = formatting.number(float(sums_N[-1]), 0)
    label = f"Cumulative CRPS gain on the baseline over {len(sums_N)} sessions: {total} bp"
    return drawing("wide", _WIDTH, _LOW, label, parts)


def _across(count: int) -> Floats:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (np.arange(count) + 0.5) / count


def _grid(low: float, high: float, down: Scale) -> list[str]:
    values = round_values(low, high)
    places = places_of(values)
    return [
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="price" x="{_LEFT - 8}" y="{y + 4:.1f}">{formatting.number(value, places)}</text>'
        for value, y in zip(values, down(np.array(values)), strict=True)
    ]


def _days(days: Sequence[date], x_N: Any, height: int) -> list[str]:
    shown = sorted({round(at) for at in np.linspace(0, len(days) - 1, min(_TICKS, len(days)))})
    year = days[0].year != days[-1].year
    texts = {at: f"{formatting.short_day(days[at])}{f' {days[at].year}' if year else ''}" for at in shown}
    return [f'<text class="day" x="{x_N[at]:.1f}" y="{height - 6}">{text}</text>' for at, text in texts.items()]
