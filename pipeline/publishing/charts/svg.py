"""Building blocks of charts: scales, round values for grid lines, and SVG coloured by CSS classes.

Without pandas: the server of the Forecasts pages does not import it.

Legend: N points of a line, or sessions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from pipeline.forecast_schema import range_columns

Floats = npt.NDArray[np.float64]
Points = list[tuple[float, float]]
DRAWN = (90, 80)  # the ranges that are bars, the widest first
RANGE_COLUMNS = tuple(name for share in DRAWN for name in range_columns(share))


class Scale:
    """A linear map to pixels: the value `first` lies at the pixel `start`, `last` at `end`."""

    def __init__(self, first: float, last: float, start: float, end: float) -> None:
        self.first, self.start = first, start
        self.factor = (end - start) / (last - first)

    def __call__(self, value: float | Floats) -> Floats:
        return np.asarray(self.start + (value - self.first) * self.factor, dtype=float)


def round_values(low: float, high: float) -> list[float]:
    """Return two to five round values between two others, for grid lines."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    grid = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough)
    return [count * grid for count in range(math.ceil(low / grid), math.floor(high / grid) + 1)]


def places_of(values: Sequence[float]) -> int:
    """Return the fewest decimals that show round values as they are."""
    apart = min((abs(b - a) for a, b in pairwise(values)), default=max(map(abs, values), default=1.0)) / 1000
    return next((few for few in range(15) if all(abs(round(value, few) - value) < apart for value in values)), 15)


def points(xs: Floats, ys: Floats) -> Points:
    """Return the points of two rows of pixels, to a tenth of one."""
    return [(round(float(x), 1), round(float(y), 1)) for x, y in zip(xs, ys, strict=True)]


def path(line: Points) -> str:
    """Return a line through points, as the `d` of a path."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in line)


def drawing(kind: str, width: int, height: int, label: str, parts: Iterable[str]) -> Markup:
    """Return parts, which hold numbers and escaped text only, as one drawing, with a label for screen readers."""
    start = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{start}{''.join(parts)}</svg>")


def ranges_and_closes(x_N: Floats, y_N: Mapping[str, Floats], inside_N: npt.NDArray[np.bool_]) -> list[str]:
    """Return the 90 % and the 80 % range of each session as bars, and the actual closes as dots.

    `y_N` has the pixels of the prices by column: `RANGE_COLUMNS` and `close`. `inside_N` says whether the close was
    inside the 90 % range.
    """
    bars = {
        share: "".join(f"M{x:.1f} {a:.1f}V{b:.1f}" for x, a, b in zip(x_N, y_N[low], y_N[high], strict=True))
        for share, (low, high) in ((share, range_columns(share)) for share in DRAWN)
    }
    dots = {
        name: "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(x_N[mask], y_N["close"][mask], strict=True))
        for name, mask in (("dot", inside_N), ("miss", ~inside_N))
    }
    return [
        *(f'<path class="bar{share}" d="{line}"/>' for share, line in bars.items()),
        *(f'<path class="{name}" d="{line}"/>' for name, line in dots.items() if line),
    ]
