"""Rows with a mistyped year: one date that is years away from the rows before and after it, and fits between them
with another year.

Such a row must not become the last session of a file, nor open a gap of years.
"""

from datetime import date

import numpy as np
from numpy.typing import NDArray

_AWAY = np.timedelta64(180, "D")
_NEAR = np.timedelta64(10, "D")


def mistyped_years(symbol_N: NDArray[np.int64], day_N: NDArray[np.datetime64]) -> dict[int, str]:
    """Return what is wrong with the dates (in days) of N rows in the order of the file, by the number of the row."""
    order = np.argsort(symbol_N, kind="stable")
    symbol, day = symbol_N[order], day_N[order]
    if len(day) < 3:
        return {}
    same = symbol[1:] == symbol[:-1]
    gap = np.abs(day[1:] - day[:-1])
    far = np.flatnonzero(same & (gap > _AWAY))
    suspects = {int(place) + step for place in far for step in (0, 1)}
    return {int(order[place]): reason for place in sorted(suspects) if (reason := _reason(place, symbol, day))}


def _reason(place: int, symbol: NDArray[np.int64], day: NDArray[np.datetime64]) -> str:
    before = _own(place, (-1, -2), symbol, day)
    after = _own(place, (1, 2), symbol, day)
    around = [part[0] for part in (before, after) if part]
    if any(abs(day[place] - near) <= _AWAY for near in around):
        return ""
    if before and after:
        settled = bool(abs(after[0] - before[0]) <= _NEAR)
    else:  # the first or the last row: its neighbours must follow each other
        settled = any(len(part) == 2 and abs(part[1] - part[0]) <= _NEAR for part in (before, after))
    if not settled or not any(abs(_with_year_of(day[place], near) - near) <= _NEAR for near in around):
        return ""
    named = " and ".join(str(near) for near in around)
    return f"the date {day[place]} is years away from its neighbours ({named}): a mistyped year"


def _own(
    place: int, steps: tuple[int, ...], symbol: NDArray[np.int64], day: NDArray[np.datetime64]
) -> list[np.datetime64]:
    """Return the dates of the rows next to one, as far as they are of the same symbol, the nearest first."""
    places = [place + step for step in steps if 0 <= place + step < len(day)]
    return [day[other] for other in places if symbol[other] == symbol[place]]


def _with_year_of(day: np.datetime64, near: np.datetime64) -> np.datetime64:
    """Return the date with the year that brings it nearest to another."""
    own, other = day.astype(date), near.astype(date)
    moved = [
        np.datetime64(f"{year:04d}-{own.month:02d}-{min(own.day, 28) if own.month == 2 else own.day:02d}")
        for year in (other.year - 1, other.year, other.year + 1)
    ]
    return min(moved, key=lambda one: abs(one - near))
