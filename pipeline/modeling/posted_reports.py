"""The column `earnings` of client-supplied tables: on which days a company reports, and when on its day.

A cell is empty or 0 without a report, 1 for one at an unknown time, or names the time. A row that states a report and
no price is not a bar: so reports to come are stated.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.events.event import COLUMNS, EARNINGS, TIMES, Time, empty_calendar
from pipeline.modeling.posted_cells import number_of, quote

COLUMN = "earnings"
_WANTED = "a report: use 1, before_open or after_close, and 0 or nothing where there is none"
_NO, _YES = {"", "0", "false"}, {"1", "true"}
_TIMES: dict[str, Time] = {time: time for time in TIMES}
_READ: dict[str, Time | None] = {**dict.fromkeys(_NO), **dict.fromkeys(_YES, "unknown"), **_TIMES}


def stated_reports(prices: pd.DataFrame, names: Sequence[str], left_out: dict[str, str]) -> list[Time | None]:
    """Return the time of the report that each row states, None without one; a symbol with another cell is left out."""
    if COLUMN not in prices:
        return [None] * len(prices)
    times: list[Time | None] = []
    for row, (cell, name) in enumerate(zip(prices[COLUMN], names, strict=True), start=1):
        text = _text(cell)
        if text not in _READ:
            left_out.setdefault(name, f"row {row}: {quote(cell)} in {COLUMN} is not {_WANTED}")
        times.append(_READ.get(text))
    return times


def without_prices(prices: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows say something of a report, readable or not, and have no price in any of these columns."""
    if COLUMN not in prices:
        return np.zeros(len(prices), bool)
    empty_N = prices[[*columns]].isna().all(axis=1).to_numpy(bool)
    stated_N = np.zeros(len(prices), bool)
    for row in np.flatnonzero(empty_N):
        stated_N[row] = _text(prices[COLUMN].iloc[row]) not in _NO
    return stated_N


def reports_frame(
    names: Sequence[str], days: Sequence[date | None], times: Sequence[Time | None], left_out: dict[str, str]
) -> pd.DataFrame:
    """Return the stated reports as the frame of a calendar of which it is not known when each was announced.

    A symbol with two different statements about one day is left out.
    """
    found: dict[tuple[str, date], Time] = {}
    for name, day, time in zip(names, days, times, strict=True):
        if time is not None and day is not None and found.setdefault((name, day), time) != time:
            left_out.setdefault(name, f"{day} has two different reports in {COLUMN}")
    rows = [
        (name, EARNINGS, day, time, True, None, None) for (name, day), time in found.items() if name not in left_out
    ]
    frame = pd.DataFrame.from_records(rows, columns=list(COLUMNS))
    for column in ("day", "known_from", "known_until"):
        frame[column] = frame[column].astype("datetime64[s]")
    return frame.astype(empty_calendar().dtypes.to_dict())


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell.strip().lower()
    if isinstance(cell, bool | np.bool_):
        return "1" if cell else "0"
    number = number_of(cell)
    if number is None:
        return repr(cell)
    return "" if np.isnan(number) else f"{number:g}"
