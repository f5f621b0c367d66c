"""Typical moves, ranges and volumes of a symbol before a row."""

from dataclasses import dataclass

import numpy as np

from pipeline.prices.quality.series import Panel

# Two months: long enough for a median, short enough to follow a market that has become nervous.
_BARS = 40
_FEW = 5
# The median of a normal's absolute value is this share of its standard deviation.
_MEDIAN_TO_SIGMA = 1.4826
# Without enough history, an ordinary share: two per cent a day.
_SIGMA, _RANGE = 0.02, 0.02
# The largest move of the window counts as well: prices rounded to whole numbers stand still, then double.
_LARGEST = 0.25
# A price that almost never moves has no typical move: at least 0.1 %.
_LEAST = 1e-3


@dataclass(frozen=True, kw_only=True)
class Typical:
    """Medians over the bars up to a row. Moves and ranges are logs."""

    sigma: float
    range: float
    volume: float

    def range_ratio(self, panel: Panel, row: int) -> float:
        """Return the range of a bar relative to the typical one."""
        return float(np.log(panel["high"][row] / panel["low"][row])) / self.range

    def volume_ratio(self, panel: Panel, row: int) -> float:
        """Return the volume of a bar relative to the typical one; 0 if there is none to compare with."""
        volume = float(np.nan_to_num(panel["volume"][row]))
        return volume / self.volume if self.volume > 0 else 0.0


def typical_at(panel: Panel, row: int, bars: int = _BARS) -> Typical:
    """Return the typical values up to and including `row`."""
    first = max(panel.span(row)[0], row - bars)
    if row - first < _FEW:
        return Typical(sigma=_SIGMA, range=_RANGE, volume=_median_volume(panel, first, row))
    close, split = panel["close"][first : row + 1], panel["split_ratio"][first : row + 1]
    moves = np.abs(np.log(close[1:] * split[1:] / close[:-1]))
    ranges = np.log(panel["high"][first : row + 1] / panel["low"][first : row + 1])
    return Typical(
        sigma=max(float(np.median(moves)) * _MEDIAN_TO_SIGMA, _LARGEST * float(moves.max()), _LEAST),
        range=max(float(np.median(ranges)), _LEAST),
        volume=_median_volume(panel, first, row),
    )


def _median_volume(panel: Panel, first: int, row: int) -> float:
    return float(np.median(np.nan_to_num(panel["volume"][first : row + 1])))
