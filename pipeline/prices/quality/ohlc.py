"""Rules about a single bar: valid prices, and open, high, low and close that fit each other."""

import numpy as np
import pandas as pd

from pipeline.prices.bars import PRICES, UNREADABLE
from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Array, Mask

# An open or close this far outside low..high, as a share of itself, is rounding between a vendor's fields.
_OUTSIDE_ROUNDING = 1e-3
# Up to here it is taken at another moment than the range (a currency's close, a late auction); beyond, some field is
# wrong: two per cent is a whole day's range of a large share, and a thinly traded one may have a wider range.
_OUTSIDE_WRONG, _OUTSIDE_RANGES = 0.02, 2.0
# Where a vendor does it as a habit, its closes are middle prices, and only a gross one is an error.
_OUTSIDE_GROSS = 0.25
# A high below the low contradicts itself at any size; below half a per cent it may still be rounding upon rounding.
_CROSSED_WRONG = 5e-3
# A vendor that does it this often has another definition of its close: one note, not a finding per bar.
_HABIT_SHARE, _HABIT_BARS = 0.02, 5


def check_ohlc(bars: pd.DataFrame, found: Findings) -> tuple[Mask, Mask]:
    """Add the findings about single bars.

    Return which of them (bars,) no other rule can use, and which have prices that contradict each other.
    """
    prices = bars[PRICES].to_numpy(float)
    unreadable = _unreadable(bars, found)
    missing = np.asarray(~np.isfinite(prices).all(axis=1)) & ~unreadable
    empty = missing & ~np.isfinite(prices).any(axis=1)
    found.add(missing & ~empty, "quarantine", "missing_price", "open, high, low or close is missing or infinite")
    found.add(empty, "quarantine", "missing_price", "an empty row: the session has no prices")
    with np.errstate(invalid="ignore"):
        negative = np.asarray((prices <= 0).any(axis=1))
    found.add(negative, "reject", "not_positive", "a price is zero or negative")
    volume = bars["volume"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        found.add(np.asarray(volume < 0), "quarantine", "negative_volume", "the volume is negative")
    sound = ~missing & ~negative & ~unreadable
    return missing | negative | unreadable | _duplicates(bars, found), _order(bars, sound, found)


def _unreadable(bars: pd.DataFrame, found: Findings) -> Mask:
    """Return the bars with non-numeric text: they are rejected for that text alone."""
    if UNREADABLE not in bars:
        return np.zeros(len(bars), bool)
    texts = bars[UNREADABLE].fillna("").to_numpy(object)
    for place in np.flatnonzero(texts != "").tolist():
        found.add([place], "reject", UNREADABLE, str(texts[place]))
    return np.asarray(texts != "", bool)


def outside(bars: pd.DataFrame) -> Array:
    """Return how far, as a share of itself, each bar's open or close is outside low..high; 0 inside, (bars,)."""
    low, high = bars["low"].to_numpy(float)[:, None], bars["high"].to_numpy(float)[:, None]
    inner = bars[["open", "close"]].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.maximum((low - inner) / inner, (inner - high) / inner).max(axis=1).clip(min=0))


def _order(bars: pd.DataFrame, sound: Mask, found: Findings) -> Mask:
    with np.errstate(invalid="ignore", divide="ignore"):
        crossed = np.asarray((bars["low"] - bars["high"]) / bars["close"])
    excess = outside(bars)
    is_crossed = sound & (crossed > 0)
    for place in np.flatnonzero(is_crossed & (crossed > _OUTSIDE_ROUNDING)).tolist():
        verdict = "quarantine" if crossed[place] > _CROSSED_WRONG else "warn"
        found.add([place], verdict, "high_below_low", f"the high is {crossed[place]:.2%} below the low")
    out = sound & ~is_crossed & (excess > _OUTSIDE_ROUNDING)
    habit = _habit(bars, out, found)
    limit = np.where(habit, _OUTSIDE_GROSS, np.maximum(_OUTSIDE_WRONG, _OUTSIDE_RANGES * _typical_range(bars)))
    for place in np.flatnonzero(out & (~habit | (excess > limit))).tolist():
        verdict = "quarantine" if excess[place] > limit[place] else "warn"
        found.add([place], verdict, "outside_range", f"open or close {excess[place]:.2%} outside low..high")
    return np.asarray((is_crossed & (crossed > _CROSSED_WRONG)) | (out & (excess > limit)))


def _habit(bars: pd.DataFrame, out: Mask, found: Findings) -> Mask:
    """Return the bars of symbols whose open or close is often outside, and note those symbols."""
    if not out.any():
        return np.zeros(len(bars), bool)
    per_symbol = pd.Series(out).groupby(bars["symbol"].to_numpy()).agg(["sum", "mean"])
    habit = per_symbol[(per_symbol["mean"] > _HABIT_SHARE) & (per_symbol["sum"] >= _HABIT_BARS)]
    for symbol, row in habit.iterrows():
        text = f"open or close outside low..high on {int(row['sum'])} bars"
        found.note(str(symbol), "outside_range", f"{text}: taken at another time, or a mid price")
    return bars["symbol"].isin(habit.index).to_numpy()


def _typical_range(bars: pd.DataFrame) -> Array:
    """Return the median range, as a share of the price, of each bar's symbol, (bars,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ranges = ((bars["high"] - bars["low"]) / bars["close"]).where(lambda share: np.isfinite(share))
    return ranges.groupby(bars["symbol"]).transform("median").fillna(0.0).clip(lower=0.0).to_numpy(float)


def _duplicates(bars: pd.DataFrame, found: Findings) -> Mask:
    twice = bars.duplicated(["symbol", "session"], keep=False).to_numpy()
    found.add(twice, "quarantine", "duplicate", "several different bars for one session")
    return np.asarray(twice)
