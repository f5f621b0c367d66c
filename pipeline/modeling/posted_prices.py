"""Client-supplied price tables, read cell by cell: the usable bars, and what was left out and why.

A symbol with an unreadable cell is left out entirely; no other symbol is affected. Messages count rows from 1.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import BadFile, BadSymbol
from pipeline.events.event import empty_calendar
from pipeline.forecast_schema import price_columns
from pipeline.market.exchanges import market_of
from pipeline.market.sessions import Sessions
from pipeline.market.symbols import parse_symbol
from pipeline.modeling import posted_reports
from pipeline.modeling.data.panel import Array
from pipeline.modeling.posted_cells import QUOTED, day_of, number_of, quote
from pipeline.prices.bars import PRICES, as_bars

KEYS = ("symbol", "date")
OPTIONAL = {"dividends": 0.0, "splits": 1.0}  # and what an empty cell stands for
MOST_ROWS = 250_000

_PRICE = "a price: use numbers above 0 and up to 1e12"
# The smallest and largest value of each column, and what to say of others.
_ALLOWED = {
    **dict.fromkeys(PRICES, (1e-12, 1e12, _PRICE)),
    "volume": (0.0, 1e18, "a volume: use numbers from 0 to 1e18"),
    "dividends": (0.0, 1e12, "a dividend: use numbers from 0 to 1e12"),
    "splits": (1e-6, 1e6, "a split: use new shares for each old one, and 1 where there is none"),
}
_NAMED = 3  # days or symbols named in a sentence; the rest is counted


@dataclass(frozen=True, kw_only=True)
class Posted:
    """The contents of a table: bars by calendar code, why symbols were left out, and which rows of others were."""

    bars: dict[str, pd.DataFrame]
    reports: pd.DataFrame = field(default_factory=empty_calendar)  # the frame of a calendar: see `posted_reports`
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def read_posted(
    prices: pd.DataFrame,
    *,
    exchange: str,
    latest: date | None = None,
    columns: Sequence[str] = price_columns(),
    reports: bool = False,
) -> Posted:
    """Return the bars of a long table: `symbol, date`, the price columns `columns`, and optionally `dividends, splits`.

    With `reports` also those in the column `earnings`, if there is one. Other columns are not read: the bars have the
    close for a price, and no volume. `latest` is the last day of a bar that is not in the future. Raises BadFile for an
    unreadable table.
    """
    _check_shape(prices, columns)
    names, left_out = _symbols(prices["symbol"])
    times = posted_reports.stated_reports(prices, names, left_out) if reports else [None] * len(prices)
    no_bar_N = posted_reports.without_prices(prices, columns)
    days = _days(prices["date"], names, left_out, latest, no_bar_N)
    stated = posted_reports.reports_frame(names, days, times, left_out)
    values = {name: _numbers(prices, name, names, left_out) for name in (*columns, *OPTIONAL)}
    unread = {**dict.fromkeys(PRICES, values["close"]), "volume": np.zeros(len(prices))}
    values = {**unread, **values}
    table = pd.DataFrame(
        {"symbol": names, "session": days}
        | {name: values[name] for name in (*PRICES, "volume")}
        | {"dividend": values["dividends"], "split_ratio": values["splits"]}
    )[~no_bar_N]
    bars: dict[str, pd.DataFrame] = {}
    notes: dict[str, str] = {}
    for code, part in _by_calendar(table, exchange, left_out):
        part = _without_duplicates(part, left_out)
        part, dropped = _on_the_calendar(part, code)
        notes |= dropped
        if not part.empty:
            bars[code] = as_bars(part)
    with_bars = {str(name) for part in bars.values() for name in part["symbol"].unique()}
    without_bars = {name: notes.pop(name) for name in list(notes) if name not in with_bars}
    left_out |= without_bars
    for name in dict.fromkeys(names) if no_bar_N.any() else ():
        if name not in with_bars:
            _leave_out(name, "it has reports and no prices", left_out)
    return Posted(bars=bars, reports=stated, left_out=left_out, notes=notes)


def _check_shape(prices: pd.DataFrame, columns: Sequence[str]) -> None:
    posted, required = [str(name) for name in prices.columns], (*KEYS, *columns)
    missing = [name for name in required if name not in posted]
    if missing:
        raise BadFile(f"the price table has no column {', '.join(missing)}; required are {', '.join(required)}")
    twice = [name for name in (*required, *OPTIONAL, posted_reports.COLUMN) if posted.count(name) > 1]
    if twice:
        raise BadFile(f"the price table has the column {', '.join(twice)} more than once")
    if prices.empty:
        raise BadFile("the price table has no rows")
    if len(prices) > MOST_ROWS:
        raise BadFile(
            f"the price table has {len(prices):,} rows, and at most {MOST_ROWS:,} are accepted; "
            "post fewer symbols at once, or the last two years only"
        )


def _symbols(cells: pd.Series) -> tuple[list[str], dict[str, str]]:
    """Return the symbol of each row, and the reason for each that is not a symbol."""
    left_out: dict[str, str] = {}
    read: dict[object, str] = {}
    names = []
    for row, cell in enumerate(cells, start=1):
        key = cell if isinstance(cell, str) else repr(cell)
        if key not in read:
            read[key] = _symbol(cell, row, left_out)
        names.append(read[key])
    return names, left_out


def _symbol(cell: object, row: int, left_out: dict[str, str]) -> str:
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    if not isinstance(cell, str) and not whole:
        return _leave_out(quote(cell), f"row {row}: {quote(cell)} is not a symbol", left_out)
    try:
        return parse_symbol(str(cell))
    except BadSymbol as error:
        text = str(cell)
        reason = f"row {row}: {error}" if len(text) <= QUOTED else f"row {row}: {quote(cell)} is not a symbol"
        return _leave_out(text if text.isprintable() and len(text) <= QUOTED else quote(text), reason, left_out)


def _leave_out(name: str, reason: str, left_out: dict[str, str]) -> str:
    left_out.setdefault(name, reason)
    return name


def _days(
    cells: pd.Series, names: list[str], left_out: dict[str, str], latest: date | None, no_bar_N: NDArray[np.bool_]
) -> list[date | None]:
    read: dict[object, date | None] = {}
    days = []
    for row, (cell, name) in enumerate(zip(cells, names, strict=True), start=1):
        key = cell if isinstance(cell, str | datetime | date) else repr(cell)
        if key not in read:
            read[key] = day_of(cell)
        day = read[key]
        if day is None:
            _leave_out(name, f"row {row}: {quote(cell)} is not a date: write it as 2013-03-01", left_out)
        elif latest is not None and day > latest and not no_bar_N[row - 1]:
            _leave_out(name, f"row {row}: {day} is in the future", left_out)
        days.append(day)
    return days


def _numbers(prices: pd.DataFrame, name: str, names: list[str], left_out: dict[str, str]) -> Array:
    """Return a column as floats, NaN for empty cells; a symbol with any other unreadable cell is left out."""
    if name not in prices:
        return np.full(len(prices), OPTIONAL[name])
    column = prices[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        read = column.to_numpy(dtype=float, na_value=math.nan)
    else:
        read = np.empty(len(column))
        for at, cell in enumerate(column):
            number = number_of(cell)
            read[at] = math.nan if number is None else number
            if number is None:
                _leave_out(names[at], f"row {at + 1}: {quote(cell)} in {name} is not a number", left_out)
    if name == "splits":
        read = np.where(read == 0, 1.0, read)
    low, high, what = _ALLOWED[name]
    for at in np.flatnonzero((read < low) | (read > high)).tolist():
        _leave_out(names[at], f"row {at + 1}: {read[at]:g} in {name} is not {what}", left_out)
    return np.where(np.isnan(read), OPTIONAL[name], read) if name in OPTIONAL else read


def _by_calendar(table: pd.DataFrame, exchange: str, left_out: dict[str, str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows by market, without symbols that were left out or have no known market."""
    calendars = {}
    for name in table["symbol"].unique():
        try:
            if name not in left_out:
                calendars[name] = market_of(name, exchange).calendar
        except BadSymbol as error:
            _leave_out(name, str(error), left_out)
    codes = table["symbol"].map(calendars)
    for code in sorted(set(calendars.values())):
        yield code, table[codes == code]


def _without_duplicates(table: pd.DataFrame, left_out: dict[str, str]) -> pd.DataFrame:
    """Drop repeated rows; a symbol with two different bars for one day is left out."""
    once = table.drop_duplicates()
    twice = once[once.duplicated(["symbol", "session"])]
    for name, day in zip(twice["symbol"], twice["session"], strict=True):
        _leave_out(name, f"{day} appears twice, with different values", left_out)
    return once[~once["symbol"].isin(list(left_out))]


def _on_the_calendar(table: pd.DataFrame, code: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows of days on which the market was open, and by symbol a note on the others."""
    if table.empty:
        return table, {}
    known = Sessions(code).between(table["session"].min(), table["session"].max())
    first, last = (known[0], known[-1]) if known else (date.max, date.min)
    sessions = set(known)

    def is_open(day: date) -> bool:  # outside the recorded calendar only weekends are known
        return day in sessions or (not first <= day <= last and day.weekday() < 5)

    there = table["session"].map(is_open).astype(bool)
    closed: dict[str, list[str]] = {}
    for name, day in zip(table.loc[~there, "symbol"], table.loc[~there, "session"], strict=True):
        closed.setdefault(name, []).append(str(day))
    notes = {name: f"not sessions of {code}, and left out: {some(days)}" for name, days in closed.items()}
    return table[there], notes


def some(names: Iterable[str]) -> str:
    """Return the first names of a list, and the number of the others."""
    first, rest = (every := list(names))[:_NAMED], len(every) - _NAMED
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")
