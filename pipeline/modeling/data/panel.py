"""Bars of many symbols as arrays; each market has its own session axis.

Legend: S symbols, T sessions, M markets, K coming sessions, X = T + K, N windows. All axes end in the last column; a
market with fewer sessions begins later, and `days_MT` is `NO_DAY` before that. Values are NaN for a session that a
symbol has no bar for.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DAY = np.datetime64("NaT", "D")
COMING = 5  # sessions after the last one that a panel names: further ahead, few dates of events are certain
Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The data that features are computed from. Prices are as quoted; returns include splits and dividends."""

    symbols: tuple[str, ...]
    market_S: NDArray[np.int64]  # the axis of each symbol
    days_MT: NDArray[np.datetime64]  # the sessions of each axis, ascending
    open_ST: Array
    high_ST: Array
    low_ST: Array
    close_ST: Array
    volume_ST: Array  # shares on the scale of the symbol's first bar, so that a split is not a jump
    return_ST: Array  # log total return since the symbol's previous bar
    # The sessions after the last one of each axis, by the calendar; no columns where it is not given.
    coming_MK: NDArray[np.datetime64] = field(default_factory=lambda: np.empty((0, 0), "datetime64[D]"))
    half_MX: NDArray[np.bool_] = field(
        default_factory=lambda: np.empty((0, 0), bool)
    )  # whether `dates_MX` are half days

    @property
    def symbols_array(self) -> NDArray[np.str_]:
        """The symbols as an array, for indexing."""
        return np.array(self.symbols, dtype=np.str_)

    @property
    def dates_MX(self) -> NDArray[np.datetime64]:
        """The sessions of each axis and those that follow them, shape (M, T + K)."""
        return np.concatenate([self.days_MT, self.coming_MK], axis=1) if self.coming_MK.size else self.days_MT

    @property
    def last(self) -> int:
        """Index of the last session, the same for every market."""
        return int(self.days_MT.shape[1]) - 1

    def days(self, s_N: NDArray[np.int64], t_N: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """Return the session of each symbol index and session index, shape (N,)."""
        return np.asarray(self.days_MT[self.market_S[s_N], t_N])

    def day(self, s: int, t: int) -> date:
        """Return the session `t` of symbol `s`."""
        day: date = self.days_MT[self.market_S[s], t].astype(object)
        return day

    def positions(self, symbols_N: NDArray[np.str_], days_N: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], ...]:
        """Return the indices of symbol and session of each pair; -1 for what is not in the panel."""
        order_S = np.argsort(self.symbols_array)
        at_N = _places(self.symbols_array[order_S], symbols_N)
        s_N = np.where(at_N >= 0, order_S[at_N], -1)
        t_N = np.full(len(s_N), -1, np.int64)
        for market, days_T in enumerate(self.days_MT):
            of_market_N = (s_N >= 0) & (self.market_S[s_N] == market)
            first = int(np.isnat(days_T).sum())
            at_N = _places(days_T[first:], days_N[of_market_N].astype("datetime64[D]"))
            t_N[of_market_N] = np.where(at_N >= 0, at_N + first, -1)
        return s_N, t_N


def _places(ascending: NDArray[Any], wanted_N: NDArray[Any]) -> NDArray[np.int64]:
    """Return the index of each value in an ascending array, -1 if it is not there."""
    if not len(ascending):
        return np.full(len(wanted_N), -1, np.int64)
    at_N = np.minimum(np.searchsorted(ascending, wanted_N), len(ascending) - 1)
    return np.where(ascending[at_N] == wanted_N, at_N, -1)
