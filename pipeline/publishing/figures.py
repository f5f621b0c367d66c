"""Two pictures of the report as inline SVG: what quantiles held, and how far back a network looks.

Colours are CSS classes, so that one drawing serves light and dark.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from pipeline.config import BASELINES
from pipeline.publishing import words
from pipeline.publishing.edition import Edition
from pipeline.publishing.memory_charts import shares

Points = Sequence[tuple[float, float]]
_SIZE = (440, 300)
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34
_LEAST_POWER = -12  # of ten: what is below is not drawn


def calibration_svg(edition: Edition) -> Markup | None:
    """Return the share of closes below each quantile against its level, for the published model and the best baseline.

    None where no such shares are known. On the diagonal a model keeps every promise.
    """
    models = edition.scores.get("models", {})
    published = words.scores_key(edition.decision, edition.scores)
    names = dict.fromkeys(name for name in (edition.best_baseline, published) if name)
    curves = {name: [(row["level"], row["share"]) for row in models.get(name, {}).get("below", ())] for name in names}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return None
    across, down = _scale(0, 1, _LEFT, _SIZE[0] - _RIGHT), _scale(0, 1, _SIZE[1] - _BOTTOM, _TOP)
    ticks = (0.05, 0.25, 0.5, 0.75, 0.95)
    parts = [
        *(_across(down(at), f"{at * 100:.0f}{words.PER_CENT}") for at in ticks),
        *(_tick(across(at), f"{at * 100:.0f}{words.PER_CENT}") for at in ticks),
        _line([(across(0), down(0)), (across(1), down(1))], "origin"),
    ]
    for name, points in curves.items():
        placed = [(across(level), down(share)) for level, share in points]
        kind = "beside" if name in BASELINES else "median"
        parts += [_line(placed, kind), *(f'<circle class="at {kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in placed)]
    worst = max(abs(share - level) for level, share in curves.get(published, [(0.0, 0.0)]))
    label = f"Calibration: no quantile of the published model is off by more than {worst * 100:.1f} points"
    return _svg(parts, label)


def gradient_svg(memory: Mapping[str, Any]) -> Markup | None:
    """Return how much of the forecast's gradient lies k sessions back, for each network, on a log scale.

    `memory` is what `training.json` holds; None where there is nothing to draw.
    """
    curves = {
        (name, moment): shares(gradient_L)
        for name, moments in memory.get("curves", {}).items()
        for moment, gradient_L in moments.items()
    }
    longest = max((len(curve) for curve in curves.values()), default=0)
    if longest < 2:
        return None
    across = _scale(0, longest - 1, _LEFT, _SIZE[0] - _RIGHT)
    down = _scale(_LEAST_POWER, 0, _SIZE[1] - _BOTTOM, _TOP)
    parts = [_across(down(power), words.power_of_ten(power)) for power in range(_LEAST_POWER, 1, 3)]
    parts += [_tick(across(lag), str(lag)) for lag in range(0, longest, max(longest // 6, 1))]
    for (name, moment), curve in curves.items():
        points = [(across(lag), down(math.log10(share))) for lag, share in enumerate(curve) if share > 0]
        if len(points) > 1:
            parts.append(_line(points, f"net {name}{' start' if moment == 'start' else ''}"))
    return _svg(parts, f"Share of the gradient by sessions back, for {', '.join(memory['curves'])}")


def _scale(low: float, high: float, start: float, end: float) -> "_Scale":
    return _Scale(low, (end - start) / (high - low), start)


class _Scale:
    """A linear map to pixels."""

    def __init__(self, low: float, factor: float, start: float) -> None:
        self.low, self.factor, self.start = low, factor, start

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) * self.factor, 1)


def _line(points: Points, kind: str) -> str:
    return f'<path class="{escape(kind)}" d="M{"L".join(f"{x:g} {y:g}" for x, y in points)}"/>'


def _across(y: float, text: str) -> str:
    return (
        f'<path class="grid" d="M{_LEFT} {y:g}H{_SIZE[0] - _RIGHT}"/>'
        f'<text class="price" x="{_LEFT - 7}" y="{y + 4:g}">{text}</text>'
    )


def _tick(x: float, text: str) -> str:
    return f'<text class="day" x="{x:g}" y="{_SIZE[1] - _BOTTOM + 18}">{text}</text>'


def _svg(parts: Sequence[str], label: str) -> Markup:
    width, height = _SIZE
    start = f'<svg class="figure" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{start}{''.join(parts)}</svg>")  # numbers and escaped text only
