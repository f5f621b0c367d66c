"""Two pictures of what came of forecasts, as inline SVG: a symbol's ranges with its closes, and what a model saved.

Colours are CSS classes, so that one drawing serves light and dark.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.publishing import formatting
from pipeline.publishing.charts.svg import (
    Floats,
    Scale,
    drawing,
    path,
    places_of,
    points,
    ranges_and_closes,
    round_values,
)
from pipeline.publishing.site.hit_rates import Rates

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 64, 12, 10, 24
_TALL, _LOW = 300, 190
_MANY = 60  # bars that lie so close that they must be thin
_TICKS = 6  # dates beneath a picture, at the most


def ranges_svg(symbol: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the range forecast for each session and the close that came; `rows` are of one symbol, oldest first."""
    prices = {name: np.array([row[name] for row in rows]) for name in ("q0.05", "q0.1", "q0.9", "q0.95", "close")}
    low = float(min(prices["q0.05"].min(), prices["close"].min()))
    high = float(max(prices["q0.95"].max(), prices["close"].max()))
    x_N, down = _across(len(rows)), Scale(high, low, _TOP, _TALL - _BOTTOM)
    held = sum(bool(row["inside_80"]) for row in rows)
    parts = [
        *_grid(low, high, down),
        *_days([row["target_session"] for row in rows], x_N, _TALL),
        *ranges_and_closes(
            x_N, {name: down(each) for name, each in prices.items()}, np.array([row["inside_90"] for row in rows])
        ),
    ]
    kind = "wide many" if len(rows) > _MANY else "wide"
    label = f"{symbol}: {held} of {len(rows)} closes lay inside the 80 % range of the evening before"
    return drawing(kind, _WIDTH, _TALL, label, parts)


def saved_svg(sessions: Mapping[date, Rates]) -> Markup | None:
    """Return the error that a model saved against the baseline, summed up over the sessions; None for a single one."""
    if len(sessions) < 2:
        return None
    sums_N = np.cumsum([each.saved_bp for each in sessions.values()])
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
    label = (
        f"Error saved against the baseline over {len(sums_N)} sessions: {formatting.number(float(sums_N[-1]), 0)} bp"
    )
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
