"""Prices and outcomes that all models are evaluated on, from the table of prices only.

Legend: T rows of the table, N windows, H steps.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.skill.series import Array

COLUMNS = ["symbol", "session", "close", "level"]
NOWHERE = -1


def price_table(files: Path | None, last: date) -> pd.DataFrame:
    """Return symbol, session, close and `level`, sorted, up to `last`, of a file or of the packaged sample.

    `level` is an index of the total return: `adj_close`, or where there is none, what the product makes of dividends
    and splits. A row without a price is left out, of two of one session the last one counts.
    """
    table = _sample() if files is None else _read(files)
    if "adj_close" in table:
        table = table.rename(columns={"adj_close": "level"})
    else:
        assert files is not None
        table = _by_actions(files, last)
    table = table.assign(
        symbol=table["symbol"].astype(str).str.strip().str.upper(),
        session=pd.to_datetime(table["session"]).dt.tz_localize(None).dt.normalize().astype("datetime64[s]"),
        **{name: pd.to_numeric(table[name], errors="coerce").astype(float) for name in ("close", "level")},
    )
    usable = np.isfinite(table["close"]) & np.isfinite(table["level"]) & (table["close"] > 0) & (table["level"] > 0)
    table = table.loc[usable & (table["session"] <= pd.Timestamp(last)), COLUMNS]
    newest: pd.DataFrame = table.drop_duplicates(COLUMNS[:2], keep="last")
    return newest.sort_values(COLUMNS[:2], ignore_index=True)


def chosen(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the named symbols, of the first N by name if one number is given, of all by default.

    Raises ValueError for a symbol that the table does not have.
    """
    there = sorted(table["symbol"].unique())
    if len(names) == 1 and names[0].isdigit():
        wanted = there[: int(names[0])]
    else:
        wanted = [name.upper() for name in names] or there
    missing = sorted(set(wanted) - set(there))
    if missing or not wanted:
        raise ValueError(
            f"--symbols: the prices have no {', '.join(missing) or 'symbol'}; they have {', '.join(there)}"
        )
    return table[table["symbol"].isin(wanted)].reset_index(drop=True)


class Outcomes:
    """The outcomes after each row of the table. A row's number identifies a window: its symbol and its origin."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._index = pd.MultiIndex.from_frame(table[["symbol", "session"]])
        self._symbol_T = pd.factorize(table["symbol"])[0]
        self._session_T = table["session"].to_numpy().astype("datetime64[D]")
        self._log_T = np.log(table["level"].to_numpy(float))

    def rows(self, symbols_N: Any, sessions_N: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Return the number of each symbol's row of a session, shape (N,); `NOWHERE` if there is none."""
        asked = pd.MultiIndex.from_arrays([symbols_N, pd.DatetimeIndex(sessions_N).astype("datetime64[s]")])
        return np.asarray(self._index.get_indexer(asked), np.int64)

    def later(self, row_N: NDArray[np.int64], step: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of the same symbol `step` bars later, shape (N,); `NOWHERE` if there is none yet."""
        at_N = np.where(row_N >= 0, row_N + step, NOWHERE)
        inside_N = (at_N >= 0) & (at_N < len(self._log_T))
        safe_N = np.where(inside_N, at_N, 0)
        return np.where(inside_N & (self._symbol_T[safe_N] == self._symbol_T[row_N]), at_N, NOWHERE)

    def sessions(self, row_N: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """Return the session of each row, shape (N,); NaT if the row is `NOWHERE`."""
        return np.where(row_N >= 0, self._session_T[row_N], np.datetime64("NaT", "D"))

    def returns(self, symbols_N: Any, sessions_N: NDArray[np.datetime64], steps: Sequence[int]) -> Array:
        """Return the log total return over each of `steps` bars after each window, (N, H); NaN if not known yet."""
        row_N = self.rows(symbols_N, sessions_N)
        out_NH = np.full((len(row_N), len(steps)), np.nan)
        for h, step in enumerate(steps):
            to_N = self.later(row_N, step)
            came_N = to_N >= 0
            out_NH[came_N, h] = self._log_T[to_N[came_N]] - self._log_T[row_N[came_N]]
        return out_NH


def _read(files: Path) -> pd.DataFrame:
    table = pd.read_parquet(files) if files.suffix in (".parquet", ".pq") else pd.read_csv(files)
    table.columns = [str(name).strip().lower().replace(" ", "_") for name in table.columns]
    return table.rename(columns={"date": "session"})


def _sample() -> pd.DataFrame:
    from bokeh_sampledata import stocks

    names = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    parts = [pd.DataFrame(getattr(stocks, symbol)).assign(symbol=symbol) for symbol in names]
    return pd.concat(parts, ignore_index=True).rename(columns={"date": "session"})


def _by_actions(files: Path, last: date) -> pd.DataFrame:
    from pipeline.prices.adjustments import total_return
    from pipeline.prices.sources.files import FilesSource

    source = FilesSource(files)
    bars = source.bars(source.symbols(), last)
    logs = total_return(bars).fillna(0.0).groupby(bars["symbol"], sort=False).cumsum()
    return bars[["symbol", "session", "close"]].assign(level=np.exp(logs))
