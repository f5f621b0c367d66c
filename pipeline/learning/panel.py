"""Bars of many symbols as arrays, each market on its own axis of sessions.

Legend: S symbols, T sessions, M markets, N windows. The axes of all markets end in the last column; a market with
fewer sessions begins later, and `days_MT` is `NO_DAY` before that. A session that a symbol has no bar for is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.adjustments import total_return

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
        s_N = pd.Index(self.symbols).get_indexer(pd.Index(symbols_N))
        t_N = np.full(len(s_N), -1, np.int64)
        for market, days_T in enumerate(self.days_MT):
            mine = (s_N >= 0) & (self.market_S[s_N] == market)
            first = int(np.isnat(days_T).sum())
            at = pd.Index(days_T[first:]).get_indexer(pd.Index(days_N[mine].astype("datetime64[D]")))
            t_N[mine] = np.where(at >= 0, at + first, -1)
        return s_N.astype(np.int64), t_N


def panel_from_bars(
    bars: pd.DataFrame,
    *,
    market_of: Callable[[str], str] = lambda _symbol: "",
    last_of: Callable[[str], date] | None = None,
) -> Panel:
    """Return the panel of a frame of bars (as in `pipeline.prices.frames`, sorted by symbol and session).

    `market_of` names the market whose sessions a symbol shares, `last_of` the session that its axis ends with; without
    it the axis ends with the last bar of its market.
    """
    codes, symbols = pd.factorize(bars["symbol"], sort=True)
    names, market_S = np.unique([market_of(symbol) for symbol in symbols], return_inverse=True)
    days = bars["session"].to_numpy().astype("datetime64[D]")
    axes = [_axis(days[market_S[codes] == at], symbols[market_S == at], last_of) for at in range(len(names))]
    width = max((len(axis) for axis in axes), default=0)
    days_MT = np.full((len(axes), width), NO_DAY)
    at = np.empty(len(bars), np.int64)
    for market, axis in enumerate(axes):
        days_MT[market, width - len(axis) :] = axis
        mine = market_S[codes] == market
        at[mine] = np.searchsorted(axis, days[mine]) + width - len(axis)

    def scattered(values: object) -> Array:
        array_ST = np.full((len(symbols), width), np.nan)
        array_ST[codes, at] = values
        return array_ST

    shares = bars.groupby("symbol", sort=False)["split_ratio"].cumprod()
    return Panel(
        symbols=tuple(symbols),
        market_S=market_S,
        days_MT=days_MT,
        open_ST=scattered(bars["open"]),
        high_ST=scattered(bars["high"]),
        low_ST=scattered(bars["low"]),
        close_ST=scattered(bars["close"]),
        volume_ST=scattered(bars["volume"] / shares),
        return_ST=scattered(total_return(bars)),
    )


def _axis(
    days: NDArray[np.datetime64], symbols: NDArray[np.str_], last_of: Callable[[str], date] | None
) -> NDArray[np.datetime64]:
    if last_of is None:
        return np.unique(days)
    last = np.datetime64(last_of(str(symbols[0])), "D")
    return np.unique(np.append(days, last))
