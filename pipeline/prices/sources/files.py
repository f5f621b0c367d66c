"""A CSV or Parquet file as a source: one long table, `symbol, date, open, high, low, close, volume`.

Where present, `dividends`, `capital_gains` and `splits` are used as they are (a split of 2:1 is 2, no split 0 or 1);
without `dividends`, an `adj_close` says what was paid, and beside them it is evidence for or against them. A close may
be raw or already split-adjusted: see `_apply_actions`. Rows of hours or minutes are made into daily bars.
"""

import re
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import BadFile, BadSetting, BadSymbol
from pipeline.prices.adjustments import actions_from_adjusted, splits_already_applied
from pipeline.prices.applied_dividends import without_applied
from pipeline.prices.frames import PRICES, as_bars
from pipeline.prices.sources import Basis, require_known
from pipeline.symbols import parse_symbol

REQUIRED = ("symbol", "date", *PRICES, "volume")
_OPTIONAL = ("adj_close", "dividends", "splits", "capital_gains")
_SAME_AS = {"stock_splits": "splits", "adjusted_close": "adj_close"}

# The zone at the end of a stamp. It is dropped: a stamp with a zone is local to the exchange, its date is the session.
_ZONE = re.compile(r"(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?:Z|[+-]\d{2}:?\d{2})$")
# A symbol with several stamps on this share of its days is made of intraday rows.
_INTRADAY_SHARE = 0.2


class FilesSource:
    """Prices from one CSV or Parquet file, read again whenever the file has changed."""

    name = "files"
    live = False
    overlap: int | None = None

    def __init__(self, path: Path | None) -> None:
        if path is None:
            raise BadSetting("the source `files` needs PIPELINE_FILES (or --files): a CSV or Parquet file of prices")
        if not path.is_file():
            raise BadFile(f"PIPELINE_FILES={path}: there is no such file")
        self.path = path
        self._bases: dict[str, Basis] = {}

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol of the file."""
        return tuple(sorted(self._table()["symbol"].unique()))

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for symbols that are not in the file."""
        require_known(symbols, self.symbols(), self.path.name)

    def first_session(self) -> date:
        """Return the file's first date."""
        first: pd.Timestamp = self._table()["session"].min()
        return first.date()

    def last_session(self) -> date:
        """Return the file's last date: until the file is renewed there is nothing after it."""
        last: pd.Timestamp = self._table()["session"].max()
        return last.date()

    def basis(self, symbol: str) -> Basis:
        """Return, of a symbol whose bars were asked for, `raw` where a split shows in its prices, `split_adjusted`
        where those listed do not show; `as_given` where there is none to tell by.
        """
        return self._bases.get(symbol, "as_given")

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` to `last`, both included; notes about them are in `attrs`.

        Later rows are cut off before anything is derived, so that they can change nothing that comes before them; rows
        before `first` after it, so that asking for less changes nothing either.
        """
        self.require(symbols)
        table = self._table()
        table = table[table["symbol"].isin(symbols) & (table["session"] <= pd.Timestamp(last))]
        table, intraday = _as_daily(table)
        parts = [_apply_actions(part) for _, part in table.groupby("symbol", sort=True)]
        self._bases |= {part["symbol"].iloc[0]: _basis(part) for part in parts}
        derived = pd.concat(parts, ignore_index=True) if parts else table
        if first is not None:
            derived = derived[derived["session"] >= pd.Timestamp(first)]
        bars = as_bars(derived)
        detail = "several rows a day, made into daily bars: first open, last close, all of the volume"
        bars.attrs["notes"] = [{"symbol": one, "rule": "not_daily", "detail": detail} for one in intraday]
        return bars

    def _table(self) -> pd.DataFrame:
        status = self.path.stat()
        return _read(self.path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _changed_ns: int, _size: int) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        raise BadFile(f"{path.name} cannot be read as {path.suffix or 'CSV'}: {str(error).splitlines()[0]}") from None
    table = table.rename(columns=lambda name: str(name).strip().lower().replace(" ", "_"))
    table = table.rename(columns={name: new for name, new in _SAME_AS.items() if new not in table})
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise BadFile(f"{path.name} has no column {', '.join(missing)}; needed are {', '.join(REQUIRED)}")
    if table.empty:
        raise BadFile(f"{path.name} has no rows")
    stamps = _parsed_dates(path, table["date"])
    table = table.assign(symbol=_parsed_symbols(path, table["symbol"]), stamp=stamps, session=stamps.dt.normalize())
    for name in [one for one in (*REQUIRED[2:], *_OPTIONAL) if one in table]:
        # What is no number is a missing value: quality says so.
        table[name] = pd.to_numeric(table[name], errors="coerce")
    if "currency" in table:
        table["currency"] = table["currency"].astype(object).fillna("").astype(str)
    return table


def _parsed_symbols(path: Path, column: pd.Series) -> pd.Series:
    names = {name: str(name) for name in column.unique()}
    try:
        return column.map({name: parse_symbol(text) for name, text in names.items()}).astype(str)
    except BadSymbol as error:
        raise BadFile(f"{path.name}: {error}") from None


def _parsed_dates(path: Path, column: pd.Series) -> pd.Series:
    if not pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype(object).map(
            lambda text: _ZONE.sub(r"\1", text.strip()) if isinstance(text, str) else text
        )
    try:
        stamps = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise BadFile(f"{path.name}: column date: {str(error).splitlines()[0]}") from None
    if stamps.isna().any():
        raise BadFile(f"{path.name}: column date is empty in row {int(np.flatnonzero(stamps.isna())[0]) + 1}")
    return stamps.dt.tz_localize(None)


def _as_daily(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with the intraday rows of a symbol made into daily ones, and the names of such symbols.

    The same stamp twice is no second moment of a day but a duplicate, and left for `quality` to see.
    """
    moments = table.drop_duplicates(["symbol", "stamp"])
    a_day = moments.groupby(["symbol", "session"], sort=False).size()
    often = (a_day > 1).groupby(level="symbol").mean() > _INTRADAY_SHARE
    names = sorted(str(name) for name in often.index[often])
    if not names:
        return table, []
    fine = table["symbol"].isin(names)
    rows = table[fine].sort_values(["symbol", "stamp"], kind="stable")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "adj_close": "last"}
    how |= {"dividends": "sum", "capital_gains": "sum", "splits": "max", "currency": "last"}
    daily = rows.groupby(["symbol", "session"], sort=False, as_index=False).agg(
        {name: kind for name, kind in how.items() if name in rows}
    )
    return pd.concat([table[~fine], daily], ignore_index=True), names


def _basis(part: pd.DataFrame) -> Basis:
    if (part["split_ratio"] != 1).any():
        return "raw"
    return "split_adjusted" if "listed_split" in part and (part["listed_split"] != 1).any() else "as_given"


def _listed_splits(part: pd.DataFrame) -> NDArray[np.float64]:
    listed = part["splits"].to_numpy(float)
    return np.where(np.isfinite(listed) & (listed > 0), listed, 1.0)


def _apply_actions(part: pd.DataFrame) -> pd.DataFrame:
    """Return one symbol's rows with `dividend` and `split_ratio`, on the basis that its close shows, and the evidence.

    The prices stay as they came. Whether they contain the listed splits is decided for the series as a whole: one in
    which some rows do and some do not is for `quality` to find, by `listed_split`.
    """
    part = part.sort_values("session", kind="stable")
    close = part["close"].to_numpy(float)
    split_ratio, evidence = np.ones(len(part)), {}
    if "splits" in part:
        split_ratio = _listed_splits(part)
        if splits_already_applied(close, split_ratio):
            evidence["listed_split"] = split_ratio
            split_ratio = np.ones(len(part))
    dividend = np.zeros(len(part))
    if "dividends" in part:
        dividend = part["dividends"].fillna(0.0).to_numpy(float)
        if "adj_close" in part:
            evidence["adjusted_close"] = part["adj_close"].to_numpy(float)
        if "capital_gains" in part:
            evidence["capital_gain"] = part["capital_gains"].to_numpy(float)
        dividend, evidence = without_applied(part, dividend, split_ratio, evidence)
    elif "adj_close" in part:
        adjusted = part["adj_close"].to_numpy(float)
        usable = np.isfinite(close) & (close > 0) & np.isfinite(adjusted) & (adjusted > 0)
        dividend[usable], derived = actions_from_adjusted(close[usable], adjusted[usable])
        if "splits" not in part:
            split_ratio[usable] = derived
    return part.assign(dividend=dividend, split_ratio=split_ratio, **evidence)
