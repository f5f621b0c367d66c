"""Series whose bars all lie one day early or late against the market's calendar.

Local midnights that were stored as UTC dates do that: a share traded from Monday to Friday then has bars from Sunday to
Thursday. One odd bar is an odd bar; here all of them, or all of whole months (summer time), fit the calendar once they
are moved by one day, and do not fit it as they are. Where weekends are the only evidence, they are evidence enough.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int64]  # days since 1970
Mask = NDArray[np.bool_]

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
# Two bars off the calendar within a week of trading are the least that can show a shift …
_LEAST_BARS, _LEAST_OFF = 5, 2
# … and moved by a day hardly any may be left: another exchange, which shares the weekends, leaves its holidays.
_LEFT_SHARE = 0.1
# Holidays that the moved bars leave out as well prove it; without them next to no session may lack a bar.
_LEAST_HOLIDAYS, _MISSING_SHARE = 3, 0.03
# A part of the series is shifted where whole months are: this many, with this many bars off the calendar.
_LEAST_MONTHS, _LEAST_OFF_IN_PART = 2, 4


@dataclass(frozen=True, kw_only=True)
class Shift:
    """By how many days the bars are to be moved (+1: they are a day early), and what was counted."""

    by: int
    detail: str


def shift_of(days: Days, sessions: Days, exchange: str) -> Shift | None:
    """Return how a daily series, `days` (N,), is shifted against the sessions of `exchange`; None where it is not.

    `sessions`, sorted, reach at least one day beyond `days` on both sides.
    """
    days = np.unique(days)
    off = ~_among(days, sessions)
    if len(days) < _LEAST_BARS or off.sum() < _LEAST_OFF:
        return None
    for by in (1, -1):
        left = ~_among(days + by, sessions)
        if left.sum() <= _LEFT_SHARE * off.sum() and _fits(days + by, sessions):
            return Shift(by=by, detail=_in_words("every bar", by, days, off, exchange))
        where = _shifted_months(days, off, left)
        if where.any():
            months = np.unique(days[where].astype("datetime64[D]").astype("datetime64[M]"))
            which = f"every bar in {len(months)} months from {months[0]} to {months[-1]}"
            return Shift(by=by, detail=_in_words(which, by, days[where], off[where], exchange))
    return None


def _fits(days: Days, sessions: Days) -> bool:
    """Whether bars that hardly ever miss the calendar are also as dense as it is, or leave out its holidays."""
    inside = sessions[(sessions >= days[0]) & (sessions <= days[-1])]
    every = np.arange(days[0], days[-1] + 1)
    holidays = (~_among(every, sessions) & ((every + _EPOCH_WEEKDAY) % 7 < 5)).sum()
    missing = (~_among(inside, days)).sum()
    return bool(holidays >= _LEAST_HOLIDAYS or missing <= max(1, _MISSING_SHARE * len(days)))


def _shifted_months(days: Days, off: Mask, left: Mask) -> Mask:
    """Return the bars of the months that fit the calendar only once they are moved, where the other months fit as they
    are; none where there are too few.
    """
    months, which = np.unique(days.astype("datetime64[D]").astype("datetime64[M]"), return_inverse=True)
    off_M = np.bincount(which, weights=off, minlength=len(months))
    left_M = np.bincount(which, weights=left, minlength=len(months))
    shifted_M = (off_M >= _LEAST_OFF) & (left_M <= _LEFT_SHARE * off_M)
    enough = shifted_M.sum() >= _LEAST_MONTHS and off_M[shifted_M].sum() >= _LEAST_OFF_IN_PART
    others_fit = off_M[~shifted_M].sum() <= _LEFT_SHARE * off_M.sum() and not shifted_M.all()
    return np.asarray(shifted_M[which] & (enough and others_fit))


def _in_words(which: str, by: int, days: Days, off: Mask, exchange: str) -> str:
    weekdays = Counter(((days + _EPOCH_WEEKDAY) % 7).tolist())
    odd, count = Counter(((days[off] + _EPOCH_WEEKDAY) % 7).tolist()).most_common(1)[0]
    absent = [_WEEKDAYS[one] for one in range(5) if not weekdays[one]]
    none = f", none on {absent[0]}" if absent else ""
    late = "early" if by > 0 else "late"
    return (
        f"{which} seems to be one day {late}: {count} of {len(days)} fall on {_WEEKDAYS[odd]}{none}; moved by one day "
        f"they fit {exchange}. Local midnights stored as "
        "UTC dates, or a market with another week? Correct the dates or the exchange"
    )


def _among(days: Days, sorted_days: Days) -> Mask:
    if not len(sorted_days):
        return np.zeros(len(days), bool)
    place = np.minimum(np.searchsorted(sorted_days, days), len(sorted_days) - 1)
    return np.asarray(sorted_days[place] == days)
