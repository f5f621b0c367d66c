"""A CSV or Parquet file as a source: one long table, `symbol, date, open, high, low, close, volume`.

Where present, `dividends` and `splits` are used as they are (a split of 2:1 is 2, no split 0 or 1); without
`dividends`, an `adj_close` says what was paid. A close may be raw or already split-adjusted: see `_apply_actions`.
"""

from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import BadFile, BadSetting, BadSymbol
from pipeline.prices.adjustments import actions_from_adjusted, splits_already_applied
from pipeline.prices.frames import PRICES, as_bars
from pipeline.prices.sources import Basis, require_known
from pipeline.symbols import parse_symbol

REQUIRED = ("symbol", "date", *PRICES, "volume")


class FilesSource:
    """Prices from one CSV or Parquet file, read again whenever the file has changed."""

    name = "files"
    live = False
    overlap = None

    def __init__(self, path: Path | None) -> None:
        if path is None:
            raise BadSetting("the source `files` needs PIPELINE_FILES (or --files): a CSV or Parquet file of prices")
        if not path.is_file():
            raise BadFile(f"PIPELINE_FILES={path}: there is no such file")
        self.path = path

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
        """Return `as_given`: the file does not say."""
        return "as_given"

    def bars(self, symbols: tuple[str, ...], last: date) -> pd.DataFrame:
        """Return the bars of `symbols` up to and with `last`.

        Later rows are cut off before anything is derived, so that they can change nothing that comes before them.
        """
        self.require(symbols)
        table = self._table()
        table = table[table["symbol"].isin(symbols) & (table["session"] <= pd.Timestamp(last))]
        parts = [_apply_actions(part) for _, part in table.groupby("symbol", sort=True)]
        return as_bars(pd.concat(parts, ignore_index=True) if parts else table)

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
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise BadFile(f"{path.name} has no column {', '.join(missing)}; needed are {', '.join(REQUIRED)}")
    if table.empty:
        raise BadFile(f"{path.name} has no rows")
    table = table.assign(symbol=_parsed_symbols(path, table["symbol"]), session=_parsed_dates(path, table["date"]))
    for name in {*REQUIRED[2:], "adj_close", "dividends", "splits"} & set(table.columns):
        table[name] = pd.to_numeric(
            table[name], errors="coerce"
        )  # what is no number is a missing value: quality says so
    return table


def _parsed_symbols(path: Path, column: pd.Series) -> pd.Series:
    names = {name: str(name) for name in column.unique()}
    try:
        return column.map({name: parse_symbol(text) for name, text in names.items()}).astype(str)
    except BadSymbol as error:
        raise BadFile(f"{path.name}: {error}") from None


def _parsed_dates(path: Path, column: pd.Series) -> pd.Series:
    try:
        stamps = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise BadFile(f"{path.name}: column date: {str(error).splitlines()[0]}") from None
    if stamps.isna().any():
        raise BadFile(f"{path.name}: column date is empty in row {int(np.flatnonzero(stamps.isna())[0]) + 1}")
    # A stamp with a zone is local to the exchange: its date is the session.
    return stamps.dt.tz_localize(None).dt.normalize()


def _apply_actions(part: pd.DataFrame) -> pd.DataFrame:
    """Return one symbol's rows with `dividend` and `split_ratio`, on the basis that its close shows."""
    part = part.sort_values("session", kind="stable")
    close = part["close"].to_numpy(float)
    split_ratio = np.ones(len(part))
    if "splits" in part:
        listed = part["splits"].to_numpy(float)
        split_ratio = np.where(np.isfinite(listed) & (listed > 0), listed, 1.0)
        if splits_already_applied(close, split_ratio):
            split_ratio = np.ones(len(part))
    dividend = np.zeros(len(part))
    if "dividends" in part:
        dividend = part["dividends"].fillna(0.0).to_numpy(float)
    elif "adj_close" in part:
        usable = np.isfinite(close) & (close > 0) & (part["adj_close"].to_numpy(float) > 0)
        dividend[usable], derived = actions_from_adjusted(close[usable], part["adj_close"].to_numpy(float)[usable])
        if "splits" not in part:
            split_ratio[usable] = derived
    return part.assign(dividend=dividend, split_ratio=split_ratio)
