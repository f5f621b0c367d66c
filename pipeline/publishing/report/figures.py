"""Two figures of the report as inline SVG: the calibration of the quantiles, and the gradient memory of networks.

Legend: N points of a line.
"""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from pipeline.forecast_schema import BASELINES
from pipeline.modeling.training.training_record import GradientMemory
from pipeline.publishing import formatting
from pipeline.publishing.charts.memory_png import shares
from pipeline.publishing.charts.svg import Floats, Points, Scale, drawing, path, points
from pipeline.publishing.edition import Edition

_SIZE = (440, 300)
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34
_LEAST_POWER = -12  # of ten: what is below is not drawn


def calibration_svg(edition: Edition) -> Markup | None:
    """Return the share of closes below each quantile against its level, for the published model and the best baseline.

    None where no such shares are known. A calibrated model lies on the diagonal.
    """
    models, published = edition.scores.by_label, edition.decision.label_in(edition.scores)
    labels = dict.fromkeys(label for label in (edition.best_baseline, published) if label in models)
    curves = {label: [(each.level, each.share) for each in models[label].below] for label in labels}
    curves = {label: curve for label, curve in curves.items() if curve}
    if not curves:
        return None
    across, down = Scale(0, 1, _LEFT, _SIZE[0] - _RIGHT), Scale(0, 1, _SIZE[1] - _BOTTOM, _TOP)
    ticks = (0.05, 0.25, 0.5, 0.75, 0.95)
    parts = [
        *(_across(down(at), f"{at * 100:.0f}{formatting.PER_CENT}") for at in ticks),
        *(_tick(across(at), f"{at * 100:.0f}{formatting.PER_CENT}") for at in ticks),
        _line(_placed([(0, 0), (1, 1)], across, down), "origin"),
    ]
    for name, curve in curves.items():
        placed = _placed(curve, across, down)
        kind = "reference" if name in BASELINES else "median"
        parts += [_line(placed, kind), *(f'<circle class="at {kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in placed)]
    worst = max(abs(share - level) for level, share in curves.get(published, [(0.0, 0.0)]))
    label = f"Calibration: no quantile of the published model is off by more than {worst * 100:.1f} points"
    return drawing("figure", *_SIZE, label, parts)


def gradient_svg(memory: GradientMemory | None) -> Markup | None:
    """Return how much of the forecast's gradient lies k sessions back, for each network, on a log scale.

    None where there is nothing to draw.
    """
    if memory is None:
        return None
    curves = {
        (name, moment): shares(gradient_L)
        for name, curves_of in memory.curves.items()
        for moment, gradient_L in curves_of.by_moment.items()
    }
    longest = max((len(curve) for curve in curves.values()), default=0)
    if longest < 2:
        return None
    across = Scale(0, longest - 1, _LEFT, _SIZE[0] - _RIGHT)
    down = Scale(_LEAST_POWER, 0, _SIZE[1] - _BOTTOM, _TOP)
    parts = [_across(down(power), formatting.power_of_ten(power)) for power in range(_LEAST_POWER, 1, 3)]
    parts += [_tick(across(lag), str(lag)) for lag in range(0, longest, max(longest // 6, 1))]
    for (name, moment), curve in curves.items():
        powers = [(lag, math.log10(share)) for lag, share in enumerate(curve) if share > 0]
        if len(powers) > 1:
            kind = f"net {name}{' start' if moment == 'start' else ''}"
            parts.append(_line(_placed(powers, across, down), kind))
    label = f"Share of the gradient by sessions back, for {', '.join(memory.curves)}"
    return drawing("figure", *_SIZE, label, parts)


def _placed(values: Sequence[tuple[float, float]], across: Scale, down: Scale) -> Points:
    x_N, y_N = np.array(values, dtype=float).T
    return points(across(x_N), down(y_N))


def _line(line: Points, kind: str) -> str:
    return f'<path class="{escape(kind)}" d="{path(line)}"/>'


def _across(y: Floats, text: str) -> str:
    at = round(float(y), 1)
    return (
        f'<path class="grid" d="M{_LEFT} {at:g}H{_SIZE[0] - _RIGHT}"/>'
        f'<text class="price" x="{_LEFT - 7}" y="{at + 4:g}">{text}</text>'
    )


def _tick(x: Floats, text: str) -> str:
    return f'<text class="day" x="{round(float(x), 1):g}" y="{_SIZE[1] - _BOTTOM + 18}">{text}</text>'
