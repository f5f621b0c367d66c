"""Dividends and splits hidden in an adjusted close, and returns that see through both.

An adjusted close is the close times a factor that steps up on each ex-date. Each step is read from what is
known on that day alone: no later price moves an earlier dividend.
"""

from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MAX_DECIMALS = 6
# A step that looks like this much is a split or a special dividend, and the close decides which.
_SPLIT_FROM = 1.15
# Ratios that companies use: 2:1, 3:2, 7:1, 1:10 … A fraction of small numbers is searched near the step.
_MAX_DENOMINATOR = 20


def actions_from_adjusted(close: Array, adjusted: Array) -> tuple[Array, Array]:
    """Return the dividend and the split ratio of each session, both of shape (T,), from two series of shape (T,).

    `close` is raw, in currency units. A factor is known only to the rounding of the adjusted close, so it is kept
    as an interval; a step is where the interval of a session no longer meets those since the last step. The
    dividend follows from factor[t-1] = factor[t] · (1 − dividend / close[t-1]), the convention of Yahoo and CRSP.
    """
    count = len(close)
    dividend, split_ratio = np.zeros(count), np.ones(count)
    if not count:
        return dividend, split_ratio
    half_unit = 0.51 * 10.0 ** -decimals(adjusted) + 3e-7 * adjusted  # rounding, and float32 at the vendor
    low, high = (adjusted - half_unit) / close, (adjusted + half_unit) / close
    low_since, high_since = low[0], high[0]
    for t in range(1, count):
        if low[t] <= high_since and high[t] >= low_since:
            low_since, high_since = max(low_since, low[t]), min(high_since, high[t])
            continue
        step = (low[t] + high[t]) / (low_since + high_since)
        ratio = _split_in(step, close[t] / close[t - 1])
        split_ratio[t] = ratio
        dividend[t] = max(0.0, float(close[t - 1] / ratio * (1 - ratio / step)))
        if dividend[t] < 2e-4 * close[t - 1] / ratio:  # below what a split's own rounding leaves
            dividend[t] = 0.0
        low_since, high_since = low[t], high[t]
    return np.round(dividend, 4), split_ratio


def splits_already_applied(close: Array, split_ratio: Array) -> bool:
    """Whether a close is adjusted for the splits listed next to it: then it does not jump on their days."""
    days = np.flatnonzero(split_ratio[1:] != 1) + 1
    if not len(days):
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = np.log(close[days] / close[days - 1])
        known = np.isfinite(jump)
    days, jump = days[known], jump[known]
    if not len(days):
        return False
    return bool(np.abs(jump).sum() < np.abs(jump + np.log(split_ratio[days])).sum())


def total_return(bars: pd.DataFrame) -> pd.Series:
    """Return the log total return of each bar against its symbol's bar before; the first of a symbol is NaN.

    `bars` are sorted by symbol and session. A return uses its own row's split and dividend only, so that nothing
    known later can change it.
    """
    before = bars.groupby("symbol", sort=False)["close"].shift()
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.Series(np.log((bars["close"] + bars["dividend"]) * bars["split_ratio"] / before), index=bars.index)


def recent_closes(bars: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return each symbol's last `count` closes on the scale of its last bar: symbol, session, close."""
    factor = bars.groupby("symbol", sort=False)["split_ratio"].transform(lambda ratio: split_factor(ratio.to_numpy()))
    closes = bars[["symbol", "session"]].assign(close=bars["close"] * factor)
    return closes.groupby("symbol", sort=False).tail(count).reset_index(drop=True)


def split_factor(split_ratio: Array) -> Array:
    """Return what turns each session's price, shape (T,), into a price on the last session's scale."""
    later = np.append(np.cumprod(split_ratio[::-1])[::-1][1:], 1.0)
    return np.asarray(1.0 / later)


def _split_in(step: float, jump: float) -> float:
    """Return the split ratio that explains a factor's step, or 1: a split moves the close by its inverse."""
    if 1 / _SPLIT_FROM < step < _SPLIT_FROM:
        return 1.0
    # A special dividend on the same scale would leave the same step, but not as a ratio of small numbers.
    ratio = (
        Fraction(step).limit_denominator(1 if step > 4 else _MAX_DENOMINATOR)
        if step > 1
        else 1 / Fraction(1 / step).limit_denominator(1 if step < 0.25 else _MAX_DENOMINATOR)
    )
    near = abs(step / float(ratio) - 1) < 0.03
    explains = abs(np.log(jump * float(ratio))) < abs(np.log(jump)) or abs(np.log(jump * float(ratio))) < 0.2
    return float(ratio) if near and explains else 1.0


def decimals(values: Array) -> int:
    """Return how many decimals the values are rounded to, from 2 to 6."""
    for decimals in range(2, _MAX_DECIMALS):
        if np.allclose(values, np.round(values, decimals), rtol=0, atol=1e-9):
            return decimals
    return _MAX_DECIMALS
