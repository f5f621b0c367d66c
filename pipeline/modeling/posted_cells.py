"""Single cells of client-supplied tables: days, numbers, and how a message quotes one."""

import math
import re
from datetime import date, datetime
from numbers import Real

import numpy as np
import pandas as pd

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# A day, optionally with a time of day; with a time zone only midnight, since another hour may be another day there.
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)([T ](00:00(:00(\.0+)?)?(Z|[+-]\d\d:?\d\d)?|\d\d:\d\d(:\d\d(\.\d+)?)?))?")
QUOTED = 40  # characters of a cell that a message quotes


def day_of(cell: object) -> date | None:
    """Return the day that a cell states, None if it states none."""
    if isinstance(cell, np.datetime64):
        cell = pd.Timestamp(cell)
    if isinstance(cell, datetime):  # a pandas Timestamp is one; NaT is too
        return None if pd.isna(cell) else cell.date()
    if isinstance(cell, date):
        return cell
    found = _DAY.fullmatch(cell.strip()) if isinstance(cell, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:  # the 30th of February
        return None


def number_of(cell: object) -> float | None:
    """Return the value of a cell: NaN if it is empty, infinity if it is too large, None if it is not a number."""
    if cell is None or cell is pd.NA:
        return math.nan
    if isinstance(cell, str):
        return float(cell) if _NUMBER.fullmatch(cell.strip()) else None
    if isinstance(cell, bool | np.bool_) or not isinstance(cell, Real):
        return None
    try:
        return float(cell)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


def quote(cell: object) -> str:
    """Return a cell as a message shows it."""
    text = repr(cell)
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"
