"""Rank IC: the rank correlation of the medians and the outcomes across symbols.

Legend: N windows, H horizon, D sessions.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.significance import Array, mean_above_zero

FEWEST_SYMBOLS = 3  # with two symbols a correlation is only +1 or -1


@dataclass(frozen=True, kw_only=True)
class RankScores:
    """The mean rank IC over sessions, its t, and the number of sessions that have one; None if undefined."""

    rank_ic: float | None
    rank_ic_t: float | None
    rank_ic_sessions: int


def ranks(values_NH: Array, day_N: NDArray[np.int64]) -> Array:
    """Return each value's rank among the symbols of its session, step by step; equal values share their mean rank."""
    return np.asarray(pd.DataFrame(values_NH).groupby(day_N).rank().to_numpy(float))


def rank_correlations(ranks_NH: Array, actual_ranks_NH: Array, day_N: NDArray[np.int64]) -> Array:
    """Return Spearman's correlation across symbols for each session and step, shape (D, H): the rank IC.

    NaN with fewer than three symbols, and where all ranks of a side are equal. `day_N` numbers the sessions from 0.
    """
    count_D = np.bincount(day_N)
    centre_D = (count_D + 1) / 2  # the mean rank, ties or not
    one_NH, other_NH = (side_NH - centre_D[day_N][:, None] for side_NH in (ranks_NH, actual_ranks_NH))

    def sums(values_NH: Array) -> Array:
        return np.stack([np.bincount(day_N, weights=values_N) for values_N in values_NH.T], axis=1)

    together_DH = sums(one_NH * other_NH)
    spread_DH = np.sqrt(sums(one_NH**2) * sums(other_NH**2))
    defined_DH = (spread_DH > 0) & (count_D >= FEWEST_SYMBOLS)[:, None]
    return np.divide(together_DH, spread_DH, out=np.full_like(spread_DH, np.nan), where=defined_DH)


def rank_scores(ic_DH: Array, horizon: int) -> RankScores:
    """Return the mean rank IC over sessions, its autocorrelation-robust t, and the sessions that have one.

    A session's IC is the mean over its steps. None if undefined.
    """
    ic_D = ic_DH[np.isfinite(ic_DH).all(axis=1)].mean(axis=1)
    test = mean_above_zero(ic_D, horizon)
    return RankScores(
        rank_ic=float(ic_D.mean()) if len(ic_D) else None,
        rank_ic_t=test.t if test else None,
        rank_ic_sessions=len(ic_D),
    )
