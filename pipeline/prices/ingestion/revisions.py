"""Comparison of an answer with the stored bars: unchanged, corrected late, or a rewritten history.

A vendor that adjusts its prices for a split or a dividend multiplies every earlier price by one ratio. A run of bars,
from the first one compared, that all differ by one ratio therefore means that the whole history has a new scale; a
single bar that differs was corrected.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.bars import PRICES, VALUES
from pipeline.prices.store.rows import days_of, keys_of
from pipeline.prices.store.writer import differs

Mask = NDArray[np.bool_]

# Fewer bars with one ratio are corrections that happen to be equal, unless a newly listed symbol has no more bars.
_RUN = 3
# The run is looked for in this many of the oldest bars: one or two of them may have been corrected at the same time.
_OLDEST = 5
# Vendors round: a ratio of 0.5 may come as 0.4996 … 0.5004, one of 0.995 barely moves. Part of the ratio's distance
# from 1, and never less than the jitter of floats.
_SPREAD, _JITTER = 0.02, 1e-5
# Bars fetched before the close were later corrected by up to 5 %; a larger correction than this needs a person.
DOUBTFUL = 0.10


@dataclass(frozen=True, kw_only=True)
class Revisions:
    """Masks over the rows of an answer, and the symbols whose history has a new scale or currency."""

    is_new: Mask
    is_changed: Mask
    is_doubtful: Mask  # changed by more than DOUBTFUL: held back
    rewritten: frozenset[str]


def compare(bars: pd.DataFrame, stored: pd.DataFrame) -> Revisions:
    """Compare an answer with the newest stored revisions; both frames as in `pipeline.prices.bars`, sorted."""
    at_N, is_new = _positions(bars, stored)
    if is_new.all():
        nothing = np.zeros(len(bars), bool)
        return Revisions(is_new=is_new, is_changed=nothing, is_doubtful=nothing, rewritten=frozenset())
    old_NV = stored[VALUES].to_numpy(float)[at_N]
    is_changed = ~is_new & differs(bars[VALUES].to_numpy(float), old_NV)
    other_currency = ~is_new & (bars["currency"].to_numpy() != stored["currency"].to_numpy()[at_N])
    if not (is_changed | other_currency).any():
        return Revisions(is_new=is_new, is_changed=is_changed, is_doubtful=is_changed, rewritten=frozenset())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_NP = bars[PRICES].to_numpy(float) / old_NV[:, : len(PRICES)]
    rewritten = frozenset(bars.loc[other_currency, "symbol"])
    for symbol in sorted(set(bars.loc[is_changed, "symbol"]) - rewritten):
        mine = (bars["symbol"] == symbol).to_numpy() & ~is_new
        if _another_scale(ratio_NP[mine]):
            rewritten |= {symbol}
    far = ~(np.abs(np.log(ratio_NP)) <= DOUBTFUL).all(axis=1)
    alone = ~bars["symbol"].isin(rewritten).to_numpy()
    return Revisions(is_new=is_new, is_changed=is_changed, is_doubtful=is_changed & far & alone, rewritten=rewritten)


def _another_scale(ratio_NP: NDArray[np.float64]) -> bool:
    """Whether one ratio explains the oldest bars, except one or two corrected since; shape (bars, prices)."""
    first_WP = ratio_NP[:_OLDEST]
    for scale in np.median(first_WP, axis=1):
        if not np.isfinite(scale) or scale <= 0 or abs(scale - 1) <= _JITTER:
            continue
        spread = max(_JITTER, _SPREAD * abs(scale - 1))
        alike = int((np.abs(first_WP / scale - 1) <= spread).all(axis=1).sum())
        if alike >= _RUN or (alike == len(ratio_NP) and abs(np.log(scale)) > DOUBTFUL):
            return True
    return False


def _positions(bars: pd.DataFrame, stored: pd.DataFrame) -> tuple[NDArray[np.int64], Mask]:
    """Return the position of each bar among the stored ones, and a mask of those that are not stored."""
    if stored.empty:
        return np.zeros(len(bars), np.int64), np.ones(len(bars), bool)
    codes: Mapping[str, int] = {name: code for code, name in enumerate(stored["symbol"].unique())}
    theirs = keys_of(stored["symbol"].map(codes).to_numpy(np.int64), days_of(stored["session"]))
    ours = keys_of(bars["symbol"].map(codes).fillna(-1).to_numpy(np.int64), days_of(bars["session"]))
    at_N = np.minimum(np.searchsorted(theirs, ours), len(theirs) - 1)
    return at_N, theirs[at_N] != ours
