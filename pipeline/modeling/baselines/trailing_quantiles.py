"""Trailing quantiles: of a symbol's own past values, or of all values of its market.

Legend: S symbols, T sessions, N points in time, Q quantile levels, W values of a window.
"""

import numpy as np

from pipeline.modeling.data.features import WARM_UP
from pipeline.modeling.data.panel import Array, Index

PAST = 500  # outcomes used: two years
MIN_PAST = 100  # with fewer of its own, a symbol uses the outcomes of its market


def trailing(values_T: Array, last_N: Index, levels: tuple[float, ...], *, count: int = PAST) -> Array:
    """Return quantiles of the last `count` finite values up to each index, shape (N, Q); NaN for fewer than `MIN_PAST`.

    Equal to those of `np.quantile`, with one sort for all levels.
    """
    there = np.flatnonzero(np.isfinite(values_T))
    padded_W = np.concatenate([np.full(count, np.nan), values_T[there]])
    known_N = np.searchsorted(there, last_N, side="right")
    enough_N = known_N >= MIN_PAST
    windows_NW = np.lib.stride_tricks.sliding_window_view(padded_W, count)[known_N[enough_N]]
    windows_NW.sort(axis=1)  # the padding, which is NaN, goes to the end
    out_NQ = np.full((len(last_N), len(levels)), np.nan)
    out_NQ[enough_N] = _between(windows_NW, np.minimum(known_N[enough_N], count), levels)
    return out_NQ


def pooled(values_ST: Array, last_N: Index, levels: tuple[float, ...]) -> Array:
    """Return quantiles of a market's values in the `PAST` sessions up to each index; of too few, the normal's."""
    from scipy.stats import norm

    out_NQ = np.empty((len(last_N), len(levels)))
    for row, last in enumerate(last_N):
        values = values_ST[:, max(0, last - PAST + 1) : max(0, last + 1)]
        values = values[np.isfinite(values)]
        out_NQ[row] = np.quantile(values, levels) if len(values) >= WARM_UP else norm.ppf(levels)
    return out_NQ


def _between(sorted_NW: Array, count_N: Index, levels: tuple[float, ...]) -> Array:
    """Return quantiles of the first `count_N` values of each sorted row, linear between neighbours, shape (N, Q).

    Definition 7 of Hyndman & Fan 1996. From the nearer neighbour, as NumPy does, so that the last bit agrees.
    """
    place_NQ = (count_N[:, None] - 1) * np.asarray(levels)
    low_NQ = np.floor(place_NQ).astype(np.int64)
    below_NQ = np.take_along_axis(sorted_NW, low_NQ, axis=1)
    above_NQ = np.take_along_axis(sorted_NW, np.minimum(low_NQ + 1, count_N[:, None] - 1), axis=1)
    part_NQ, gap_NQ = place_NQ - low_NQ, above_NQ - below_NQ
    return np.asarray(np.where(part_NQ < 0.5, below_NQ + gap_NQ * part_NQ, above_NQ - gap_NQ * (1 - part_NQ)))
