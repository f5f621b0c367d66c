"""A CSV or Parquet file, or a folder of them, as a source of daily bars."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import BadFile, BadSetting, BadSymbol
from pipeline.prices.adjustments import splits_already_applied
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import as_bars
from pipeline.prices.sources import Basis, require_known
from pipeline.prices.sources.files.containers import stamp_of, tables
from pipeline.prices.sources.files.daily import apply_actions, as_daily, basis_of, listed_splits
from pipeline.prices.sources.files.left_out import LeftOut
from pipeline.prices.sources.files.limits import check_bars
from pipeline.prices.sources.files.reading_options import FileOptions
from pipeline.prices.sources.files.table import FileTable, table_of

_NO_ROW = "no_row"
_BASES = {
    frozenset[bool](): "prices as given",
    frozenset({True}): "split-adjusted prices",
    frozenset({False}): "raw prices",
    frozenset({True, False}): "some prices raw and some split-adjusted",
}


class FilesSource:
    """Prices from one CSV or Parquet file or a folder, read again whenever it has changed."""

    name = "files"
    live = False
    overlap: int | None = None

    def __init__(self, path: Path | None, options: FileOptions | None = None) -> None:
        if path is None:
            raise BadSetting("the source `files` needs PIPELINE_FILES (or --files): a CSV or Parquet file of prices")
        if not path.exists():
            raise BadFile(f"PIPELINE_FILES={path}: there is no such file")
        self.path = path
        self.options = options or FileOptions()
        self._bases: dict[str, Basis] = {}

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol of the file that has a row."""
        return tuple(sorted(self._table().rows["symbol"].cat.categories))

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for symbols that are not in the file, or of which no row can be read."""
        known = self.symbols()
        for one in self._table().left_out:
            if one.symbol in symbols and one.symbol not in known:
                raise BadSymbol(f"{self.path.name} has no row of {one.symbol} that can be read: {one.detail}")
        require_known(symbols, known, self.path.name)

    def first_session(self) -> date:
        """Return the file's first date."""
        first: pd.Timestamp = self._table().rows["session"].min()
        return first.date()

    def last_session(self) -> date:
        """Return the last date of the symbols asked for: until the file is renewed there is nothing after it."""
        last: pd.Timestamp = self._asked(self._table().rows)["session"].max()
        return last.date()

    def basis(self, symbol: str) -> Basis:
        """Return, of a symbol whose bars were asked for, `raw` where a split shows in its prices, `split_adjusted`
        where those listed do not show; `as_given` where there is none to tell by.
        """
        return self._bases.get(symbol, "as_given")

    def description(self, last: date | None = None) -> str:
        """Return how the file was understood, in one line: format, dates, and what it holds up to `last`."""
        table = self._table()
        rows = self._asked(table.rows)
        if last is not None:
            rows = rows[rows["session"] <= pd.Timestamp(last)]
        return ", ".join([*table.understood, *_contents(rows)]).replace("plain format", "Plain format", 1)

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` to `last`, both included.

        `attrs` has `notes` about symbols and the file, and `rejected`: rows of the file that belong to no bar. Later
        rows are cut off before anything is derived, so that they can change nothing that comes before them; rows
        before `first` after it, so that asking for less changes nothing either.
        """
        self.require(symbols)
        table = self._table()
        rows = table.rows
        rows = rows[rows["symbol"].isin(symbols) & (rows["session"] <= pd.Timestamp(last))]
        check_bars(self.path.name, len(rows))
        rows, intraday = as_daily(rows.astype({"symbol": "str"}))
        parts = [apply_actions(part) for _, part in rows.groupby("symbol", sort=True)]
        self._bases |= {part["symbol"].iloc[0]: basis_of(part) for part in parts}
        derived = pd.concat(parts, ignore_index=True) if parts else rows
        if first is not None:
            derived = derived[derived["session"] >= pd.Timestamp(first)]
        bars = as_bars(derived)
        detail = "several rows a day, made into daily bars: first open, last close, all of the volume"
        bars.attrs["notes"] = [Note(symbol=one, rule="not_daily", detail=detail) for one in intraday]
        bars.attrs["notes"] += [Note(symbol="", rule=rule, detail=detail) for rule, detail in table.notes]
        mine = [one for one in table.left_out if not one.symbol or one.symbol in symbols]
        bars.attrs["notes"] += _notes(one for one in mine if one.rule == _NO_ROW)
        bars.attrs["rejected"] = _notes(one for one in mine if one.rule != _NO_ROW)
        return bars

    def _table(self) -> FileTable:
        try:
            key = stamp_of(self.path)
        except OSError as error:
            raise BadFile(f"{self.path.name} cannot be read: {error.strerror or error}") from None
        # Which symbols are asked for matters for a file that names none itself, and for one that cannot be read whole.
        one = self.options.symbols if len(self.options.symbols) == 1 else ()
        try:
            return _read(self.path, key, replace(self.options, symbols=one))
        except BadFile:
            if len(self.options.symbols) < 2:
                raise
            return _read(self.path, key, self.options)

    def _asked(self, rows: pd.DataFrame) -> pd.DataFrame:
        mine = rows[rows["symbol"].isin(self.options.symbols)] if self.options.symbols else rows
        return mine if len(mine) else rows


@lru_cache(maxsize=2)
def _read(path: Path, _changed: tuple[int, int, int], options: FileOptions) -> FileTable:
    return table_of(path.name, tables(path), options)


def _notes(left_out: Iterable[LeftOut]) -> list[Note]:
    return [Note(symbol=one.symbol, rule=one.rule, detail=one.detail) for one in left_out]


def _contents(rows: pd.DataFrame) -> list[str]:
    """Return on which basis the prices are, and how many splits and dividends are listed."""
    if "splits" not in rows and "dividends" not in rows:
        return ["dividends and splits from the adjusted close"] if "adj_close" in rows else ["prices as given"]
    words = []
    if "splits" in rows:
        split = pd.Series(listed_splits(rows) != 1, index=rows.index)
        applied = {
            splits_already_applied(part["close"].to_numpy(float), listed_splits(part))
            for _, part in rows[rows["symbol"].isin(rows.loc[split, "symbol"])]
            .sort_values("session", kind="stable")
            .groupby("symbol", observed=True)
        }
        words.append(_BASES[frozenset(applied)])
        words.append(_count(int(split.sum()), "split"))
    if "dividends" in rows:
        words.append(_count(int((np.nan_to_num(rows["dividends"].to_numpy(float)) > 0).sum()), "dividend"))
    elif "adj_close" in rows:
        words.append("dividends from the adjusted close")
    return words


def _count(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"
