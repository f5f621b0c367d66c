"""Rows that belong to no bar: titles, totals and footers, and rows whose symbol or date cannot be read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.prices.sources.files.dates import Dates
from pipeline.prices.sources.files.names import Symbols
from pipeline.prices.sources.files.raw import RawTable

_MOST_LISTED = 50  # rows of a file that are named one by one
Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A row, or several equal ones, that belong to no bar."""

    symbol: str  # empty if unreadable
    rule: str  # `unreadable`, or `no_row` for a title, a total or a footer
    detail: str


def left_out_of(
    raw: RawTable,
    symbols: Symbols,
    dates: Dates,
    text_N: Codes,
    filled: NDArray[np.bool_],
    named: NDArray[np.bool_],
    bare: NDArray[np.bool_],
) -> list[LeftOut]:
    found: list[LeftOut] = []
    for text in raw.faults:
        row = text.count(raw.delimiter) >= 3
        found.append(LeftOut(symbol="", rule="unreadable" if row else "no_row", detail=text))
    no_date = np.isnat(dates.wall)[text_N] if len(text_N) else np.zeros(0, bool)
    for code, fault in symbols.faults.items():
        rows = np.flatnonzero((symbols.code_N == code) & filled & ~(no_date & bare))
        if len(rows):
            many = f" and {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
            detail = f"{raw.where(int(rows[0]))}{many}: {fault}: {raw.quote(int(rows[0]))!r}"
            found.append(LeftOut(symbol="", rule="unreadable", detail=detail))
    rows = np.flatnonzero(no_date & filled & (named | bare))
    dated = set(symbols.code_N[filled & named & ~no_date].tolist())
    for row in rows[:_MOST_LISTED].tolist():
        code = int(symbols.code_N[row])
        rule = "no_row" if bare[row] else "unreadable"
        fault = dates.faults.get(int(text_N[row]), "the date is blank")
        name = symbols.names[code] if code in dated or not bare[row] else ""  # `Total` is no symbol
        found.append(LeftOut(symbol=name, rule=rule, detail=f"{raw.where(row)}: {fault}: {raw.quote(row)!r}"))
    if len(rows) > _MOST_LISTED:
        detail = f"{len(rows) - _MOST_LISTED:,} more rows of {raw.name} have no date that can be read"
        found.append(LeftOut(symbol="", rule="unreadable", detail=detail))
    return found
