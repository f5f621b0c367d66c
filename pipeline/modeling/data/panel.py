"""Bars of many symbols as arrays, each market on its own axis of sessions.

Legend: S symbols, T sessions, M markets, N windows. The axes of all markets end in the last column; a market with
fewer sessions begins later, and `days_MT` is `NO_DAY` before that. A session that a symbol has no bar for is NaN.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DAY = np.datetime64("NaT", "D")
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the features are made from. Prices are as quoted; returns see through splits and dividends."""

    symbols: tuple[str, ...]
    market_S: NDArray[np.int64]  # which axis each symbol is on
    days_MT: NDArray[np.datetime64]  # the sessions of each axis, ascending
    open_ST: Array
    high_ST: Array
    low_ST: Array
    close_ST: Array
    volume_ST: Array  # shares on the scale of the symbol's first bar, so that a split is no jump
    return_ST: Array  # log total return since the symbol's bar before

    @property
    def symbols_array(self) -> NDArray[np.str_]:
        """The symbols as an array, for indexing."""
        return np.array(self.symbols, dtype=np.str_)

    @property
    def last(self) -> int:
        """Index of the last session, that of every market."""
        return int(self.days_MT.shape[1]) - 1

    def days(self, s_N: NDArray[np.int64], t_N: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """Return the session of each symbol index and session index, shape (N,)."""
        return np.asarray(self.days_MT[self.market_S[s_N], t_N])

    def day(self, s: int, t: int) -> date:
        """Return the session `t` of symbol `s`."""
        day: date = self.days_MT[self.market_S[s], t].astype(object)
        return day

    def positions(self, symbols_N: NDArray[np.str_], days_N: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], ...]:
        """Return the indices of symbol and session of each pair; -1 for what the panel does not have."""
        order_S = np.argsort(self.symbols_array)
        at_N = _places(self.symbols_array[order_S], symbols_N)
        s_N = np.where(at_N >= 0, order_S[at_N], -1)
        t_N = np.full(len(s_N), -1, np.int64)
        for market, days_T in enumerate(self.days_MT):
            mine = (s_N >= 0) & (self.market_S[s_N] == market)
            first = int(np.isnat(days_T).sum())
            at_N = _places(days_T[first:], days_N[mine].astype("datetime64[D]"))
            t_N[mine] = np.where(at_N >= 0, at_N + first, -1)
        return s_N, t_N


def _places(ascending: NDArray[Any], wanted_N: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each value is in an ascending array, -1 where it is not."""
    if not len(ascending):
        return np.full(len(wanted_N), -1, np.int64)
    at_N = np.minimum(np.searchsorted(ascending, wanted_N), len(ascending) - 1)
    return np.where(ascending[at_N] == wanted_N, at_N, -1)
