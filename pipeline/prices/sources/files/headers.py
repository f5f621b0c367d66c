"""Whose format a file has, and which of its columns means what.

Names are compared without case, spaces and punctuation: `Adj Close`, `adj_close` and `adjClose` are one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.errors import BadFile
from pipeline.prices.sources.files.raw import RawTable, as_text, is_text

# What each column may be called; where several are there, the first of these counts.
ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "tic", "tickers", "actsymbol", "tickersymbol", "stocksymbol", "name"),
    "date": ("date", "session", "datetime", "timestamp", "day", "tradedate", "tradingdate", "quotedate", "dates"),
    "time": ("time",),
    "open": ("open", "openprice", "openingprice", "pxopen"),
    "high": ("high", "highprice", "max", "pxhigh"),
    "low": ("low", "lowprice", "min", "pxlow"),
    "close": ("close", "closelast", "closeprice", "closingprice", "pxlast", "last", "price"),
    "volume": ("volume", "vol", "totalvolume", "pxvolume", "tickvol"),
    "adj_close": ("adjclose", "adjustedclose", "closeadj", "adjcloseprice"),
    "dividends": ("dividends", "dividend", "divcash", "dividendamount", "exdividend", "cashdividend"),
    "splits": ("splits", "stocksplits", "split", "splitratio", "splitfactor", "splitcoefficient"),
    "capital_gains": ("capitalgains", "capitalgain"),
    "currency": ("currency",),
}
_NAMES = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
# What a day has: the names of one level where a header has two.
FIELDS = {alias for name in ALIASES if name not in ("symbol", "date", "time", "currency") for alias in ALIASES[name]}
REQUIRED = ("symbol", "date", "open", "high", "low", "close", "volume")
# Fields that follow from those that are read, or say nothing of a daily bar.
_DERIVED = {"adjopen", "adjhigh", "adjlow", "adjvolume", "change", "changepercent", "changeovertime", "percentchange"}
_DERIVED |= {"unadjustedvolume", "vwap", "openint", "openinterest", "per", "previousclose", "prevclose", "label"}
# A name with one of these in it may hold something that belongs to a price.
_RELEVANT = re.compile(r"open|high|low|close|price|vol|div|split|adj|gain|factor|ratio|currency|last")
# Names that tell a format by themselves, the first that has all of its own.
_VENDORS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Tiingo", frozenset({"divcash", "splitfactor"})),
    ("Quandl/WIKI", frozenset({"exdividend", "splitratio"})),
    ("Alpha Vantage", frozenset({"timestamp", "open", "volume"})),
    ("Alpha Vantage", frozenset({"dividendamount", "splitcoefficient"})),
    ("Alpha Vantage", frozenset({"1open", "4close"})),
    ("Nasdaq", frozenset({"closelast"})),
    ("Investing.com", frozenset({"price", "vol", "change"})),
    ("yfinance", frozenset({"dividends", "stocksplits"})),
    ("Yahoo", frozenset({"date", "close", "adjclose"})),
    ("Kaggle", frozenset({"name", "date", "close"})),
)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table by what they mean."""

    vendor: str
    of: dict[str, pa.ChunkedArray]
    titles: dict[str, str]  # as the file calls them
    notes: tuple[tuple[str, str], ...] = field(default=())  # rule and detail


def key_of(title: str) -> str:
    """Return a name as names are compared; `1. open` and `Open (USD)` are `open`."""
    bare = re.sub(r"^\s*\d+[a-z]?\.\s*|\([A-Z]{3}\)\s*$", "", title)
    return re.sub(r"[\W_]", "", bare.casefold())


def is_known(title: str) -> bool:
    """Whether a name is one of a column that may be read, or none at all, as that of an index."""
    return not title or key_of(title) in _NAMES


def known_names(record: Sequence[str], names: frozenset[str] = frozenset()) -> int:
    """Return how many cells of a line name a column, of prices or by one of the other `names`."""
    keys = {key_of(cell) for cell in record}
    return len({_NAMES[key] for key in keys & _NAMES.keys()}) + len(keys & (names - _NAMES.keys()))


def looks_wide(records: Sequence[Sequence[str]]) -> int:
    """Return how many lines a header of two levels takes (yfinance's: field and ticker), 0 where it is none."""
    if len(records) < 2:
        return 0
    first, second = ([cell.strip() for cell in record] for record in records[:2])
    if len(first) != len(second) or len(first) < 3:
        return 0
    fields_first, fields_second = (all(key_of(cell) in FIELDS for cell in row[1:]) for row in (first, second))
    corner = {key_of(first[0]), key_of(second[0])} <= {"price", "ticker", "", "date", "attributes", "symbols"}
    others = second[1:] if fields_first else first[1:]
    tickers = all(re.fullmatch(r"\S*[A-Za-z^]\S*|\d{4,6}\S*", cell) for cell in others)
    if fields_first == fields_second or not corner or not tickers:
        return 0
    third = [cell.strip() for cell in records[2]] if len(records) > 2 else []
    is_name = bool(third) and key_of(third[0]) in (*ALIASES["date"], "") and not any(third[1:])
    return 3 if is_name else 2


def columns_of(raw: RawTable) -> Columns:
    """Return what the columns of a table mean. Raises BadFile where one is there twice and differs."""
    keys = [key_of(title) for title in raw.header]
    kept, notes = _merged(raw, keys)
    of: dict[str, pa.ChunkedArray] = {}
    titles: dict[str, str] = {}
    used: set[str] = set()
    for name, aliases in ALIASES.items():
        for alias in aliases:
            if alias in kept and not (alias == "price" and raw.vendor):
                of[name], titles[name] = raw.columns[kept[alias]], raw.header[kept[alias]]
                used.add(alias)
                break
    for name, value in raw.constants.items():
        if (meaning := _NAMES.get(key_of(name))) is not None and meaning not in of:
            of[meaning] = pa.chunked_array([pa.repeat(pa.scalar(value, pa.string()), len(raw))])
            titles[meaning] = name
    if "date" not in of and (index := _unnamed_index(raw, keys)) is not None:
        of["date"], titles["date"] = raw.columns[index], "the first column"
    for key, place in kept.items():
        if key not in used and key not in _DERIVED and _RELEVANT.search(key):
            notes.append(("unused_column", f"the column {raw.header[place]!r} is not used"))
    return Columns(vendor=raw.vendor or _vendor(raw.header, set(keys)), of=of, titles=titles, notes=tuple(notes))


def _merged(raw: RawTable, keys: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the place of each name. A name that is there twice with the same cells is one column."""
    kept: dict[str, int] = {}
    notes: list[tuple[str, str]] = []
    for place, key in enumerate(keys):
        if key not in kept:
            kept[key] = place
            continue
        if not key or key not in _NAMES:
            continue
        titles = f"{raw.header[kept[key]]!r} and {raw.header[place]!r}"
        if not as_text(raw.columns[kept[key]]).equals(as_text(raw.columns[place])):
            raise BadFile(f"{raw.name} has the columns {titles}, which are one name and differ; rename or remove one")
        notes.append(("duplicate_column", f"the columns {titles} are equal and read as one"))
    return kept, notes


def _unnamed_index(raw: RawTable, keys: list[str]) -> int | None:
    """Return the place of an index without a name that holds dates; one that counts rows holds none."""
    for place, key in enumerate(keys):
        if key:
            continue
        column = raw.columns[place]
        if pa.types.is_temporal(column.type):
            return place
        if is_text(column) and any(re.search(r"\d\D+\d|^\d{8}$", str(cell)) for cell in column[:50].to_pylist()):
            return place
    return None


def _vendor(header: tuple[str, ...], keys: set[str]) -> str:
    if sum(title.startswith("<") and title.endswith(">") for title in header) >= 3:
        return "Stooq" if {"per", "ticker"} <= keys else "MetaTrader"
    numbered = {"1open"} if any(re.match(r"\d+\.\s", title) for title in header) else set()
    if numbered:
        return "Alpha Vantage"
    if "symbol" in keys or "ticker" in keys:
        keys = keys - {"name"}
    return next((vendor for vendor, names in _VENDORS if names <= keys), "")
