"""Two pictures of what came of forecasts, as inline SVG: a symbol's ranges with its closes, and what a model saved.

Colours are CSS classes, so that one drawing serves light and dark.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from pipeline.publishing import words
from pipeline.publishing.layout import places_of, round_values
from pipeline.publishing.site.history import Rates

Floats = npt.NDArray[np.float64]
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 64, 12, 10, 24
_TALL, _LOW = 300, 190
_TICKS = 6  # dates beneath a picture, at the most


def ranges_svg(symbol: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the range forecast for each session and the close that came; `rows` are of one symbol, oldest first."""
    low = min(min(row["q0.05"], row["close"]) for row in rows)
    high = max(max(row["q0.95"], row["close"]) for row in rows)
    x_N = _across(len(rows))
    y = {
        name: _down([row[name] for row in rows], low, high, _TALL)
        for name in ("q0.05", "q0.1", "q0.9", "q0.95", "close")
    }
    width = min(11.0, 0.7 * (_WIDTH - _LEFT - _RIGHT) / len(rows))
    bars = {
        coverage: "".join(f"M{x:.1f} {a:.1f}V{b:.1f}" for x, a, b in zip(x_N, y[first], y[last], strict=True))
        for coverage, first, last in ((90, "q0.05", "q0.95"), (80, "q0.1", "q0.9"))
    }
    dots = {
        name: "".join(
            f"M{x:.1f} {at:.1f}h0"
            for x, at, row in zip(x_N, y["close"], rows, strict=True)
            if bool(row["inside_90"]) is (name == "dot")
        )
        for name in ("dot", "miss")
    }
    held = sum(bool(row["inside_80"]) for row in rows)
    label = f"{symbol}: {held} of {len(rows)} closes lay inside the 80 % range of the evening before"
    parts = [
        *_grid(low, high, _TALL),
        *_days([row["target_session"] for row in rows], x_N, _TALL),
        *(f'<path class="bar{coverage}" style="stroke-width:{width:.1f}" d="{d}"/>' for coverage, d in bars.items()),
        *(f'<path class="{name}" d="{d}"/>' for name, d in dots.items() if d),
    ]
    return _svg(parts, _TALL, label)


def saved_svg(sessions: Mapping[date, Rates]) -> Markup | None:
    """Return the error that a model saved against the baseline, summed up over the sessions; None for a single one."""
    if len(sessions) < 2:
        return None
    sums_N = np.cumsum([each.saved_bp for each in sessions.values()])
    low, high = min(0.0, float(sums_N.min())), max(0.0, float(sums_N.max()))
    if high - low < 1e-9:
        high = low + 1.0
    x_N, y_N = _across(len(sums_N)), _down(sums_N, low, high, _LOW)
    zero = float(_down([0.0], low, high, _LOW)[0])
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(x_N, y_N, strict=True))
    parts = [
        *_grid(low, high, _LOW),
        *_days(list(sessions), x_N, _LOW),
        f'<path class="origin" d="M{_LEFT} {zero:.1f}H{_WIDTH - _RIGHT}"/>',
        f'<path class="median" d="{line}"/>',
    ]
    label = f"Error saved against the baseline over {len(sums_N)} sessions: {words.number(float(sums_N[-1]), 0)} bp"
    return _svg(parts, _LOW, label)


def _across(count: int) -> Floats:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (np.arange(count) + 0.5) / count


def _down(values: Any, low: float, high: float, height: int) -> Floats:
    """Return the y of values on a picture that shows those from `low` to `high`."""
    y: Floats = np.interp(np.asarray(values, float), [low, high], [height - _BOTTOM, _TOP])
    return y


def _grid(low: float, high: float, height: int) -> list[str]:
    values = round_values(low, high)
    places = places_of(values)
    return [
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="price" x="{_LEFT - 8}" y="{y + 4:.1f}">{words.number(value, places)}</text>'
        for value, y in zip(values, _down(values, low, high, height), strict=True)
    ]


def _days(days: Sequence[date], x_N: Any, height: int) -> list[str]:
    shown = sorted({round(at) for at in np.linspace(0, len(days) - 1, min(_TICKS, len(days)))})
    year = days[0].year != days[-1].year
    texts = {at: f"{words.short_day(days[at])}{f' {days[at].year}' if year else ''}" for at in shown}
    return [f'<text class="day" x="{x_N[at]:.1f}" y="{height - 6}">{text}</text>' for at, text in texts.items()]


def _svg(parts: Sequence[str], height: int, label: str) -> Markup:
    start = f'<svg class="wide" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{start}{''.join(parts)}</svg>")  # numbers and escaped text only
