"""Inputs for the earnings cycle: companies report once a quarter, in about the same week.

A network that reads sixty sessions does not see the last report when the next one is due, sixty-odd sessions later.
These two inputs do: how large the symbol's own moves were one to eight quarters before the next session, and before the
next five.

Legend: S symbols, T sessions.
"""

import numpy as np

from pipeline.modeling.data.panel import Array

_QUARTER = 63  # sessions
_QUARTERS = 8
# The reporting day shifts from quarter to quarter: the largest move within two sessions on either side counts.
_SLACK = 2
_NEXT, _AHEAD = 1, (1, 5)  # the sessions ahead that the inputs stand for
_MOST = 6.0  # moves beyond six volatilities are clipped
_TYPICAL = {5: 1.06, 9: 1.34}  # the largest of so many consecutive own moves, median over 113 US shares: an input of 0


def around_earlier_quarters(own_ST: Array) -> tuple[Array, Array]:
    """Return the inputs for the next session and for the next five, shape (S, T) each; finite everywhere.

    `own_ST` are returns less the market's, in units of the volatility before them: what moved all symbols does not
    recur after a quarter. A quarter before the first bar, or without bars, counts as typical.
    """
    moves_ST = np.where(np.isfinite(own_ST), np.minimum(np.abs(own_ST), _MOST), -np.inf)
    first, last = _AHEAD
    next_ST = _mean_of_quarters(_widest(moves_ST, _SLACK), _NEXT)
    ahead_ST = _mean_of_quarters(_widest(moves_ST, _SLACK + (last - first) // 2), (first + last) // 2)
    return next_ST, ahead_ST


def _widest(moves_ST: Array, reach: int) -> Array:
    """Return the largest move within `reach` sessions on either side, less the typical one; 0 without bars."""
    if not moves_ST.size:
        return np.zeros_like(moves_ST)
    width = 2 * reach + 1
    padded_ST = np.pad(moves_ST, ((0, 0), (reach, reach)), constant_values=-np.inf)
    widest_ST = np.lib.stride_tricks.sliding_window_view(padded_ST, width, axis=1).max(axis=-1)
    return np.where(np.isfinite(widest_ST), widest_ST - _TYPICAL[width], 0.0)


def _mean_of_quarters(values_ST: Array, ahead: int) -> Array:
    """Return the mean over the quarters of the value one quarter, two quarters … before the session `ahead`."""
    total_ST = np.zeros_like(values_ST)
    for quarter in range(1, _QUARTERS + 1):
        lag = _QUARTER * quarter - ahead
        total_ST[:, lag:] += values_ST[:, : max(values_ST.shape[1] - lag, 0)]
    return total_ST / _QUARTERS
