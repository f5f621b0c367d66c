"""Bars of many symbols as arrays on one axis of sessions.

Legend: S symbols, T sessions. A session that a symbol has no bar for is NaN.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.adjustments import total_return

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the features are made from. Prices are as quoted; returns see through splits and dividends."""

    symbols: tuple[str, ...]
    sessions: pd.DatetimeIndex
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
        """Index of the last session."""
        return len(self.sessions) - 1


def panel_from_bars(bars: pd.DataFrame) -> Panel:
    """Return the panel of a frame of bars (as in `pipeline.prices.frames`, sorted by symbol and session)."""
    codes, symbols = pd.factorize(bars["symbol"], sort=True)
    sessions = pd.DatetimeIndex(np.unique(bars["session"].to_numpy()))
    at = sessions.get_indexer(pd.DatetimeIndex(bars["session"]))
    shape = (len(symbols), len(sessions))

    def scattered(values: object) -> Array:
        array_ST = np.full(shape, np.nan)
        array_ST[codes, at] = values
        return array_ST

    shares = bars.groupby("symbol", sort=False)["split_ratio"].cumprod()
    return Panel(
        symbols=tuple(symbols),
        sessions=sessions,
        open_ST=scattered(bars["open"]),
        high_ST=scattered(bars["high"]),
        low_ST=scattered(bars["low"]),
        close_ST=scattered(bars["close"]),
        volume_ST=scattered(bars["volume"] / shares),
        return_ST=scattered(total_return(bars)),
    )
