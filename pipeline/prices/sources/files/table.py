"""Rows with symbol, session and numbers; unreadable content is quoted, and its row left out or kept with the fault.

A row without a symbol or a date belongs to no bar: it is left out and named. A row with both whose numbers cannot be
read stays, with the text that is none in `unreadable`, so that its session is not taken to be missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import BadFile
from pipeline.market.sessions import Sessions
from pipeline.prices.bars import PRICES
from pipeline.prices.sources.files.dates import Dates, parse_dates
from pipeline.prices.sources.files.headers import REQUIRED, Columns, columns_of
from pipeline.prices.sources.files.left_out import LeftOut, left_out_of
from pipeline.prices.sources.files.names import Symbols, symbols_of
from pipeline.prices.sources.files.numbers import Numbers, parse_numbers
from pipeline.prices.sources.files.raw import RawTable, any_filled, as_text, coded
from pipeline.prices.sources.files.reading_options import FileOptions
from pipeline.prices.sources.files.stamps import on_market
from pipeline.prices.sources.files.typed_dates import typed_dates
from pipeline.prices.sources.files.years import mistyped_years

OPTIONAL = ("adj_close", "dividends", "splits", "capital_gains")
_NUMBERS = (*REQUIRED[2:], *OPTIONAL)
_ROUND_THE_CLOCK = "24/7"
Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FileTable:
    """A price file as rows: `symbol` (categorical), `stamp`, `session`, numbers, `currency`, `unreadable` if any."""

    rows: pd.DataFrame
    understood: tuple[str, ...]  # how it was read, in words
    notes: tuple[tuple[str, str], ...]  # rule and detail, about the file
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, kw_only=True)
class _Part:
    rows: pd.DataFrame
    understood: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    left_out: list[LeftOut]


def table_of(name: str, raws: Iterable[RawTable], options: FileOptions) -> FileTable:
    """Return the rows of a file or folder. Raises BadFile if a column is missing or nothing in it is readable."""
    parts = [_part(raw, options) for raw in raws]
    left_out = tuple(one for part in parts for one in part.left_out)
    rows = parts[0].rows if len(parts) == 1 else _joined([part.rows for part in parts])
    if rows.empty:
        raise BadFile(f"{name} has no rows" + (f" that can be read: {left_out[0].detail}" if left_out else ""))
    _require_days(name, rows)
    understood = tuple(dict.fromkeys(words for part in parts for words in part.understood))
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return FileTable(rows=rows, understood=understood, notes=notes, left_out=left_out)


def _part(raw: RawTable, options: FileOptions) -> _Part:
    columns = columns_of(raw)
    missing = [name for name in REQUIRED if name not in columns.of and name != "symbol"]
    if missing:
        raise BadFile(f"{raw.name} has no column {', '.join(missing)}; needed are {', '.join(REQUIRED)}")
    symbols = symbols_of(raw, columns.of.get("symbol"), options.symbols)
    filled = any_filled((column for name, column in columns.of.items() if name not in raw.constants), len(raw))
    markets = sorted({options.calendar_of(name) for name in symbols.names if name})
    of_symbol = np.array([_market(name, options, markets) for name in symbols.names] or [0])
    market_N = of_symbol[symbols.code_N] if len(raw) else np.zeros(0, np.int64)
    mine = filled & _asked(symbols, options)
    try:
        dates, text_N = _dates(raw, columns, options, market_N, markets, filled)
    except BadFile:
        if not mine.any() or mine.sum() == filled.sum():
            raise
        dates, text_N = _dates(raw, columns, options, market_N, markets, mine)  # other symbols' dates are at fault
    stamps, moved = on_market(dates, text_N, market_N, lambda market: _zone(markets[market]))
    numbers = parse_numbers(
        raw.name,
        {name: columns.of[name] for name in _NUMBERS if name in columns.of},
        options.decimal,
        points_are_decimal=raw.delimiter == "," and not raw.quoted,
    )
    _require_prices(raw, numbers)
    named = np.array([bool(name) for name in symbols.names] or [True])[symbols.code_N]
    usable = named & ~np.isnat(stamps) & filled
    odd_years = _odd_years(symbols.code_N, stamps, usable)
    usable[list(odd_years)] = False
    bare = ~np.any([np.isfinite(numbers.values[name]) for name in PRICES], axis=0)
    left_out = left_out_of(raw, symbols, dates, text_N, filled, named, bare)
    left_out += [
        LeftOut(
            symbol=symbols.names[int(symbols.code_N[row])],
            rule="unreadable",
            detail=f"{raw.where(row)}: {reason}: {raw.quote(row)!r}",
        )
        for row, reason in odd_years.items()
    ]
    rows = _rows(raw, columns, symbols, stamps, numbers, usable)
    words = _understood(columns, dates, numbers, moved)
    return _Part(rows=rows, understood=words, notes=columns.notes, left_out=left_out)


def _asked(symbols: Symbols, options: FileOptions) -> NDArray[np.bool_]:
    """Return the mask of the rows of `options.symbols`; no row if it is empty, which requests all symbols."""
    wanted = np.array([name in options.symbols for name in symbols.names] or [False])
    return np.asarray(wanted[symbols.code_N])


def _market(name: str, options: FileOptions, markets: list[str]) -> int:
    return markets.index(options.calendar_of(name)) if name else 0


@lru_cache(maxsize=64)
def _zone(calendar: str) -> str:
    return Sessions(calendar).zone


def _dates(
    raw: RawTable,
    columns: Columns,
    options: FileOptions,
    market_N: Codes,
    markets: list[str],
    filled: NDArray[np.bool_],
) -> tuple[Dates, Codes]:
    column = columns.of["date"]
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return typed_dates(column, options)
    if pa.types.is_temporal(kind) or pa.types.is_nested(kind):
        raise BadFile(f"{raw.name}: column date holds {kind}, not dates; write it as dates")
    texts, text_N = coded(_with_time(as_text(_whole_numbers(column)), columns.of.get("time")))
    alive = np.zeros(len(texts), bool)
    alive[text_N[filled]] = True

    def off_sessions(days: list[date | None]) -> float | None:
        return _off_sessions(days, text_N, market_N, markets)

    seen = [text if here else "" for text, here in zip(texts, alive.tolist(), strict=True)]
    if not any(seen):
        raise BadFile(f"{raw.name} has no rows" if not len(raw) else f"{raw.name}: column date is blank in every row")
    return parse_dates(raw.name, seen, options, off_sessions), text_N


def _whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of floats that are whole as integers, so that their text has no exponent."""
    if not pa.types.is_floating(column.type):
        return column
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return column


def _with_time(day: pa.ChunkedArray, time: pa.ChunkedArray | None) -> pa.ChunkedArray:
    """Return dates with the time of a column of its own, unless that says nothing."""
    if time is None:
        return day
    text = as_text(time)
    if pc.all(pc.match_substring_regex(text, r"^[0:.]*$")).as_py():
        return day
    return pc.binary_join_element_wise(day, text, " ")


def _off_sessions(days: list[date | None], text_N: Codes, market_N: Codes, markets: list[str]) -> float | None:
    """Return the share of a column's dates that are no session of their market; None where that says nothing."""
    seen = off = 0
    for market, calendar in enumerate(markets):
        mine = [day for text in np.unique(text_N[market_N == market]).tolist() if (day := days[text]) is not None]
        if not mine:
            continue
        if calendar == _ROUND_THE_CLOCK:
            return None
        sessions = set(Sessions(calendar).between(min(mine), max(mine)))
        if sessions:
            inside = [day for day in mine if min(sessions) <= day <= max(sessions)]
            seen, off = seen + len(inside), off + sum(day not in sessions for day in inside)
    return off / seen if seen else None


def _rows(
    raw: RawTable,
    columns: Columns,
    symbols: Symbols,
    stamps: NDArray[np.datetime64],
    numbers: Numbers,
    usable: NDArray[np.bool_],
) -> pd.DataFrame:
    rows = np.flatnonzero(usable)
    known = sorted(set(filter(None, symbols.names)))
    place = {name: code for code, name in enumerate(known)}
    codes = np.array([place.get(name, -1) for name in symbols.names] or [-1], np.int64)[symbols.code_N[rows]]
    frame = pd.DataFrame({"symbol": pd.Categorical.from_codes(codes, pd.Index(known))})
    frame["stamp"] = stamps[rows]
    frame["session"] = frame["stamp"].dt.normalize()
    for name, values in numbers.values.items():
        frame[name] = values if len(rows) == len(values) else values[rows]
    if "currency" in columns.of:
        frame["currency"] = as_text(columns.of["currency"]).take(pa.array(rows)).to_numpy()
        frame["currency"] = frame["currency"].astype(str)
    if faults := _faults_of(raw, columns, numbers):
        frame["unreadable"] = np.array([faults.get(row, "") for row in rows.tolist()], object)
    frame["symbol"] = frame["symbol"].cat.remove_unused_categories()
    return frame


def _faults_of(raw: RawTable, columns: Columns, numbers: Numbers) -> dict[int, str]:
    """Return what is wrong with the numbers of a row, by its number."""
    faults_of: dict[int, list[str]] = {}
    for name, faults in numbers.unreadable.items():
        for row, text in faults.items():
            faults_of.setdefault(row, []).append(f"{columns.titles[name]} {text}")
    return {row: f"{raw.where(row)}: {', '.join(words)}" for row, words in faults_of.items()}


def _odd_years(code_N: Codes, stamps: NDArray[np.datetime64], usable: NDArray[np.bool_]) -> dict[int, str]:
    rows = np.flatnonzero(usable)
    found = mistyped_years(code_N[rows], stamps[rows].astype("datetime64[D]"))
    return {int(rows[place]): reason for place, reason in found.items()}


def _require_prices(raw: RawTable, numbers: Numbers) -> None:
    for name in PRICES:
        if (faults := numbers.unreadable.get(name)) and not np.isfinite(numbers.values[name]).any():
            row, text = next(iter(faults.items()))
            raise BadFile(f"{raw.name}: column {name}: {text} ({raw.where(row)}), nor is any other cell of the column")


def _require_days(name: str, rows: pd.DataFrame) -> None:
    """Refuse numbers of another kind that were made into moments just after 1970 began."""
    if len(rows) > 1 and rows["session"].nunique() == 1 and rows["session"].iloc[0] == pd.Timestamp(0):
        raise BadFile(f"{name}: column date holds moments of 1970-01-01 only: numbers that were not read as dates")


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    parts = [part for part in parts if len(part)] or parts[:1]
    known = sorted({name for part in parts for name in part["symbol"].cat.categories})
    parts = [part.assign(symbol=part["symbol"].cat.set_categories(known)) for part in parts]
    joined = pd.concat(parts, ignore_index=True)
    for name in ("unreadable", "currency"):
        if name in joined:
            joined[name] = joined[name].fillna("")
    return joined


def _understood(columns: Columns, dates: Dates, numbers: Numbers, moved: bool) -> tuple[str, ...]:
    words = [f"{columns.vendor or 'plain'} format", dates.name]
    words += ["moved from UTC to the market's dates"] if moved else []
    words += ["decimal commas"] if numbers.commas else []
    if "symbol" not in columns.of:
        words.append("symbol by file name or setting")
    return tuple(words)
