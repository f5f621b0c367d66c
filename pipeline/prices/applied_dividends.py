"""Whether prices are already adjusted for the dividends listed next to them, as yfinance's `auto_adjust` writes them.

Such prices do not fall on ex-dates: their price return is the total return, and adding the dividend counts it twice.
Two kinds of evidence are added as log odds. Ex-dates: did the price fall overnight by the dividend, measured in the
series' own overnight moves (Student's t, three degrees of freedom)? Price grid: traded prices have few decimals; those
multiplied by a dividend factor have many, up to the last ex-date and not after it.

Only the rows given are used: the caller cuts them at the session, so a later row cannot change an earlier answer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Answer = Literal["applied", "not_applied", "unclear"]

# A dividend below the first share of the price says nothing; one above the second is a special one, or an error.
_LEAST, _MOST = 5e-4, 0.10
# Log odds to decide: e⁵ is 150 to one. A few dates may be chance, so two of them must agree.
_DECISIVE, _EVENTS = 5.0, 3
# What the grid adds: off it before the last ex-date and on it after; off it everywhere (a split does that too); on it.
_GRID_BREAKS, _GRID_OFF, _GRID_ON = 8.0, 3.0, -4.0
_GRID_BARS = 5
# Four decimals below 20, one fewer for each power of ten: the rounding of float32 must not fill the space between.
_GRID_DECIMALS, _GRID_FROM, _FLOAT32 = 4, 20.0, 7e-8
_GRID_MOST, _GRID_HALF = 0.95, 0.5
# Typical moves are measured on this many bars on both sides of a date.
_NEAR, _FEW = 60, 10
_MEDIAN_TO_SIGMA, _LEAST_SIGMA = 1.4826, 1e-3
# Over the whole day the price must not say that it fell after all.
_LEAST_ODDS_OF_DAY = -1.0
# Partial falls that are compared: a price that falls by half of its dividends is illiquid or taxed, not adjusted.
_FALLS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_WEEKLY_DAYS = 4


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for prices that contain their dividends. `odds` are log odds; `paid` is their sum as a share."""

    answer: Answer
    events: int = 0
    odds: float = 0.0
    paid: float = 0.0


def without_applied(
    bars: pd.DataFrame, dividend: Array, split_ratio: Array, evidence: dict[str, Array]
) -> tuple[Array, dict[str, Array]]:
    """Return the dividends that are still to be counted, and `evidence` with `listed_dividend` where there are none.

    `bars` are one symbol's, sorted by session, with `session`, `open` and `close`; `dividend`, `split_ratio` (N,).
    """
    found = dividends_in_prices(
        bars, dividend, split_ratio, evidence.get("adjusted_close"), evidence.get("listed_split")
    )
    if found.answer != "applied":
        return dividend, evidence
    return np.zeros(len(dividend)), {**evidence, "listed_dividend": dividend}


def dividends_in_prices(
    bars: pd.DataFrame,
    dividend: Array,
    split_ratio: Array,
    adjusted: Array | None = None,
    listed_split: Array | None = None,
) -> Evidence:
    """Return whether one symbol's prices contain the dividends listed next to them; arguments as `without_applied`.

    `adjusted` is the vendor's adjusted close, `listed_split` the splits that the prices contain already, (N,) each.
    """
    usable = np.asarray(np.isfinite(bars[["open", "close"]].to_numpy(float)).all(axis=1))
    usable &= np.asarray((bars[["open", "close"]].to_numpy(float) > 0).all(axis=1))
    opened, close = (bars[name].to_numpy(float)[usable] for name in ("open", "close"))
    day = bars["session"].to_numpy("datetime64[D]").astype(np.int64)[usable]
    dividend, split_ratio = np.nan_to_num(dividend[usable]), split_ratio[usable]
    if len(close) < _FEW or not (dividend > 0).any() or float(np.median(np.diff(day))) >= _WEEKLY_DAYS:
        return Evidence(answer="unclear")
    share = np.append(0.0, dividend[1:] * split_ratio[1:] / close[:-1])
    events = np.flatnonzero((share > _LEAST) & (share < _MOST))
    paid = float(share[events].sum())
    if adjusted is not None and _adjusted_tells(close, adjusted[usable], share, split_ratio, events):
        return Evidence(answer="not_applied", events=len(events), paid=paid)
    moved = events[~_is_stale(events, opened, close, split_ratio)]
    fits, of_day = (
        _fits(np.append(0.0, np.log(price[1:] * split_ratio[1:] / close[:-1])), dividend > 0, moved, share)
        for price in (opened, close)
    )
    splits = np.flatnonzero((split_ratio if listed_split is None else listed_split[usable]) != 1)
    grid = _grid(close, int(events[-1]), int(splits[-1]) if len(splits) else 0) if len(events) else 0.0
    return _answer(fits, of_day, grid, len(events), paid)


def _answer(fits: Array, of_day: Array, grid: float, events: int, paid: float) -> Evidence:
    """Decide by how well each partial fall fits, overnight and over the day, (events, falls), and by the grid."""
    odds = fits[:, 0] - fits[:, -1]
    total = float(odds.sum()) + grid
    answer: Answer = "unclear"
    if total > _DECISIVE and (grid == _GRID_BREAKS or _several(odds)):
        best = float(_FALLS[int(np.argmax(fits.sum(axis=0)))])
        day = float((of_day[:, 0] - of_day[:, -1]).sum())
        if (grid == _GRID_BREAKS and odds.sum() > 0) or (best == 0 and day > _LEAST_ODDS_OF_DAY):
            answer = "applied"
    elif total < -_DECISIVE or (grid == _GRID_ON and total < 0):
        answer = "not_applied"
    return Evidence(answer=answer, events=events, odds=total, paid=paid)


def _several(odds: Array) -> bool:
    """Whether there are enough dates, and more than one of them supports it."""
    return len(odds) >= _EVENTS and bool(odds.sum() - odds.max() > 0)


def _fits(move: Array, pays: NDArray[np.bool_], events: Rows, share: Array) -> Array:
    """Return the log likelihood of each overnight move after each partial fall, (events, falls)."""
    fits = np.zeros((len(events), len(_FALLS)))
    ordinary = ~pays & (np.arange(len(move)) > 0)
    for at, row in enumerate(events):
        near = slice(max(0, row - _NEAR), row + _NEAR)
        ordinary_moves = move[near][ordinary[near]]
        if len(ordinary_moves) < _FEW:
            continue
        median = float(np.median(ordinary_moves))
        sigma = max(float(np.median(np.abs(ordinary_moves - median))) * _MEDIAN_TO_SIGMA, _LEAST_SIGMA)
        expected = np.log1p(-_FALLS * share[row])
        fits[at] = -2 * np.log1p(((move[row] - expected) / sigma) ** 2 / 3)
    return fits


def _is_stale(events: Rows, opened: Array, close: Array, split_ratio: Array) -> NDArray[np.bool_]:
    """Where nothing was traded at a new price: an adjusted price would have risen, so no fall is missing."""
    before = close[events - 1] / split_ratio[events]
    return np.asarray(np.isclose(opened[events], before, rtol=1e-6, atol=0))


def _adjusted_tells(close: Array, adjusted: Array, share: Array, split_ratio: Array, events: Rows) -> bool:
    """Whether an adjusted close steps by the dividends against the close: then the close does not contain them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = adjusted / close
        implied = 1 - split_ratio[events] * factor[events - 1] / factor[events]
    known = np.isfinite(implied)
    return bool(known.any() and float(np.median(implied[known] / share[events][known])) > 0.5)


def _grid(close: Array, last: int, split: int) -> float:
    """Return what the decimals before and after the last ex-date say; a split explains those before it."""
    unit = 10.0 ** (np.clip(np.ceil(np.log10(close / _GRID_FROM)), 0, None) - _GRID_DECIMALS)
    on = np.abs(close - np.round(close / unit) * unit) <= _FLOAT32 * close
    if on[:last].mean() > _GRID_MOST:
        return _GRID_ON
    if on[:last].mean() > _GRID_HALF:
        return 0.0
    since, after = on[min(split, last) : last], on[last:]
    breaks = len(after) >= _GRID_BARS and len(since) >= _GRID_BARS and after.mean() > _GRID_MOST
    return _GRID_BREAKS if breaks and since.mean() < _GRID_HALF else _GRID_OFF
