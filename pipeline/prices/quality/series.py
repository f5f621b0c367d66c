"""The panel that the rules read: new bars among known ones, sorted, one row per symbol and session, as arrays.

Legend: R rows of the panel, each a symbol's session whose four prices are positive numbers. `before` of a row is the
row of the same symbol in front of it. Nothing here judges.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.bars import EVIDENCE, PRICES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

# A dividend explains a move if it leaves less than this part of it; an ordinary move (log) need not be explained.
_EXPLAINED, _ORDINARY = 0.5, 0.1

_FIELDS = [*PRICES, "volume", "dividend", "split_ratio", *EVIDENCE]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The usable rows of all symbols, (R,) each. `at` is the row's place in the new bars, −1 where it was known."""

    symbol: NDArray[np.object_]
    day: NDArray[np.int64]  # days since 1970
    at: Rows
    values: dict[str, Array]
    starts: Rows  # the first row of each symbol, and R at the end
    splits: Array  # log of all splits listed up to a row, those of bars that no rule may use included

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    @cached_property
    def is_new(self) -> Mask:
        """Rows that are to be checked."""
        return np.asarray(self.at >= 0)

    @cached_property
    def is_first(self) -> Mask:
        """Rows without one of the same symbol before them."""
        first = np.zeros(len(self), bool)
        first[self.starts[:-1]] = True
        return first

    @cached_property
    def traded(self) -> Mask:
        """Rows with volume; all rows of a symbol that never has any, such as a currency pair or a fund."""
        has = np.nan_to_num(self["volume"]) > 0
        any_of = np.add.reduceat(has, self.starts[:-1]) > 0 if len(self) else np.zeros(0, bool)
        return np.asarray(has | ~np.repeat(any_of, np.diff(self.starts)))

    def split_between(self, before: Rows, rows: Rows) -> Array:
        """Return the splits listed after the rows `before`, up to and with `rows` of the same symbols.

        One that is listed on a bar between, which is left out, counts only where the closes show it.
        """
        own = self["split_ratio"][rows]
        every = np.exp(self.splits[rows] - self.splits[before])
        move = self["close"][rows] / self["close"][before]
        shows = np.abs(np.log(move * every)) < np.abs(np.log(move * own))
        return np.asarray(np.where(shows, every, own))

    def paid_between(self, before: Rows, rows: Rows) -> Array:
        """Return the dividends of `rows` as far as they explain the moves of their closes; 0 where they do not.

        A dividend next to a price that is a hundred times off explains nothing.
        """
        paid, base = self["dividend"][rows], self["close"][before] / self.split_between(before, rows)
        without = np.abs(np.log(self["close"][rows] / base))
        explains = np.abs(np.log((self["close"][rows] + paid) / base)) < _EXPLAINED * without
        return np.asarray(np.where((paid < base) & (explains | (without < _ORDINARY)), paid, 0.0))

    def span(self, row: int) -> tuple[int, int]:
        """Return the first row of a row's symbol and the row after its last."""
        one = int(np.searchsorted(self.starts, row, side="right")) - 1
        return int(self.starts[one]), int(self.starts[one + 1])


def panel_of(bars: pd.DataFrame, known: pd.DataFrame | None, skip: Mask) -> Panel:
    """Return the panel of `bars`, sorted by symbol and session, among `known`; `skip` marks bars no rule may use."""
    usable = ~skip & np.asarray(np.isfinite(bars[PRICES].to_numpy(float)).all(axis=1))
    usable &= np.asarray((bars[PRICES].to_numpy(float) > 0).all(axis=1))
    frame = bars.assign(at=np.arange(len(bars)), usable=usable)
    if known is not None and len(known) and len(bars):
        frame = pd.concat([frame, _context(bars, known).assign(usable=True)], ignore_index=True)
        frame = frame.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
    frame = frame.assign(splits=_log_splits(frame))
    return _panel(frame[frame["usable"].to_numpy(bool)])


def _log_splits(frame: pd.DataFrame) -> Array:
    """Return the running sum of the log split ratios, each session's once."""
    if "split_ratio" not in frame:
        return np.zeros(len(frame))
    ratio = frame["split_ratio"].to_numpy(float)
    counts = np.isfinite(ratio) & (ratio > 0) & ~frame.duplicated(["symbol", "session"]).to_numpy()
    return np.asarray(np.cumsum(np.log(np.where(counts, ratio, 1.0))))


def _context(bars: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return the known rows of the symbols in `bars` for sessions that `bars` do not have."""
    known = known[known["symbol"].isin(bars["symbol"].unique())]
    keys = pd.MultiIndex.from_frame(known[["symbol", "session"]].astype({"session": "datetime64[s]"}))
    both = keys.isin(pd.MultiIndex.from_frame(bars[["symbol", "session"]].astype({"session": "datetime64[s]"})))
    known = known[~both]
    prices = known[PRICES].to_numpy(float)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(prices).all(axis=1) & (prices > 0).all(axis=1)
    context: pd.DataFrame = known[good].assign(at=-1)
    return context


def _panel(frame: pd.DataFrame) -> Panel:
    symbol = frame["symbol"].to_numpy(dtype=object)
    changes = np.flatnonzero(symbol[1:] != symbol[:-1]) + 1 if len(frame) else np.zeros(0, np.intp)
    starts = np.concatenate([[0], changes, [len(frame)]]) if len(frame) else np.zeros(1)
    default = {"dividend": 0.0, "split_ratio": 1.0}
    values = {
        name: frame[name].to_numpy(float) if name in frame else np.full(len(frame), default.get(name, np.nan))
        for name in _FIELDS
    }
    values["dividend"] = np.nan_to_num(values["dividend"])
    values["split_ratio"] = np.where(values["split_ratio"] > 0, values["split_ratio"], 1.0)
    return Panel(
        symbol=symbol,
        day=frame["session"].to_numpy("datetime64[D]").astype(np.int64),
        at=frame["at"].to_numpy(np.intp),
        values=values,
        starts=starts.astype(np.intp),
        splits=frame["splits"].to_numpy(float),
    )
