"""Series whose bars all lie one day early or late against the market's calendar.

Local midnights that were stored as UTC dates do that: a share traded from Monday to Friday then has bars from Sunday to
Thursday. One odd bar is an odd bar; here all of them, or all of a part (summer time), fit the calendar once they are
moved by one day, and do not fit it as they are. Weekends alone are evidence enough.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int64]  # days since 1970
Mask = NDArray[np.bool_]

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
# Two bars off the calendar within a week of trading are the least that can show a shift; four, that of a part.
_LEAST_BARS, _LEAST_OFF, _LEAST_OFF_IN_PART = 5, 2, 4
# Moved by a day almost none may be left: another exchange, which shares the weekends, leaves its holidays.
_LEFT_SHARE = 0.1
# Holidays that the moved bars leave out as well prove it; without them next to no session may lack a bar.
_LEAST_HOLIDAYS, _MISSING_SHARE = 3, 0.03


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The number of days to move the bars by (+1: they are a day early), and the evidence in words."""

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
        spans = _spans(off.astype(int) - left)
        where = np.zeros(len(days), bool)
        for first, last in spans:
            where[first:last] = True
        few_others = off[~where].sum() <= _LEFT_SHARE * off.sum() and left[where].sum() <= _LEFT_SHARE * off.sum()
        if not spans or not few_others or not all(_fits(days[slice(*span)] + by, sessions) for span in spans):
            continue
        if not left[~where].any():
            return Shift(by=by, detail=_in_words("every bar", by, days, off, exchange))
        if all((off & ~left)[slice(*span)].sum() >= _LEAST_OFF_IN_PART for span in spans):
            months = days[where].astype("datetime64[D]").astype("datetime64[M]")
            which = f"every bar of a part, {months[0]} to {months[-1]},"
            return Shift(by=by, detail=_in_words(which, by, days[where], off[where], exchange))
    return None


def _spans(gain: Days) -> list[tuple[int, int]]:
    """Return the spans of bars that fit better once they are moved: those of the largest sums of `gain`, (N,)."""
    total = np.append(0, np.cumsum(gain))
    found, todo = [], [(0, len(gain))]
    while todo:
        first, last = todo.pop()
        part = total[first : last + 1]
        drop = part - np.minimum.accumulate(part)
        end = int(np.argmax(drop))
        if drop[end] < _LEAST_OFF:
            continue
        start = int(np.argmin(part[: end + 1]))
        found.append((first + start, first + end))
        todo += [(first, first + start), (first + end, last)]
    return sorted(found)


def _fits(days: Days, sessions: Days) -> bool:
    """Whether bars that almost never miss the calendar are also as dense as it is, or leave out its holidays."""
    inside = sessions[(sessions >= days[0]) & (sessions <= days[-1])]
    every = np.arange(days[0], days[-1] + 1)
    holidays = (~_among(every, sessions) & ((every + _EPOCH_WEEKDAY) % 7 < 5)).sum()
    missing = (~_among(inside, days)).sum()
    return bool(holidays >= _LEAST_HOLIDAYS or missing <= max(1, _MISSING_SHARE * len(days)))


def _in_words(which: str, by: int, days: Days, off: Mask, exchange: str) -> str:
    weekdays = Counter(((days + _EPOCH_WEEKDAY) % 7).tolist())
    odd, count = Counter(((days[off] + _EPOCH_WEEKDAY) % 7).tolist()).most_common(1)[0]
    absent = [_WEEKDAYS[one] for one in range(5) if not weekdays[one]]
    none = f", none on {absent[0]}" if absent else ""
    late = "early" if by > 0 else "late"
    return (
        f"{which} seems to be one day {late}: {count} of {len(days)} fall on {_WEEKDAYS[odd]}{none}; moved by one day "
        f"they fit {exchange}. Local midnights stored as UTC dates, or a market with another trading week? "
        "Correct the dates or the exchange"
    )


def _among(days: Days, sorted_days: Days) -> Mask:
    if not len(sorted_days):
        return np.zeros(len(days), bool)
    place = np.minimum(np.searchsorted(sorted_days, days), len(sorted_days) - 1)
    return np.asarray(sorted_days[place] == days)
