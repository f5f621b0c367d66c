"""Conversion of a frame of bars into a panel.

Separate from the panel, so that training, which has no frames, does not import pandas: 0.3 s and 65 MiB.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.modeling.data.panel import COMING, NO_DAY, Array, Panel
from pipeline.prices.adjustments import total_return

if TYPE_CHECKING:
    from pipeline.market.clock import SessionClock
    from pipeline.market.sessions import Sessions


def panel_from_bars(
    bars: pd.DataFrame, clock: "SessionClock | None" = None, sessions: "Sessions | None" = None
) -> Panel:
    """Return the panel of a frame of bars (as in `pipeline.prices.bars`, sorted by symbol and session).

    `clock` gives the market of a symbol and the session that its axis ends with. Without it all symbols share one
    axis, which ends with the last bar; `sessions` is then their calendar, if it is known.
    """
    codes, symbols = pd.factorize(bars["symbol"], sort=True)
    names, market_S = np.unique([_market(clock, symbol) for symbol in symbols], return_inverse=True)
    days = bars["session"].to_numpy().astype("datetime64[D]")
    axes = [_axis(days[market_S[codes] == at], symbols[market_S == at], clock) for at in range(len(names))]
    width = max((len(axis) for axis in axes), default=0)
    days_MT = np.full((len(axes), width), NO_DAY)
    at = np.empty(len(bars), np.int64)
    for market, axis in enumerate(axes):
        days_MT[market, width - len(axis) :] = axis
        of_market = market_S[codes] == market
        at[of_market] = np.searchsorted(axis, days[of_market]) + width - len(axis)

    def scattered(values: object) -> Array:
        array_ST = np.full((len(symbols), width), np.nan)
        array_ST[codes, at] = values
        return array_ST

    calendars = [
        sessions if clock is None else clock.market.sessions_of(str(symbols[market_S == at][0]))
        for at in range(len(names))
    ]
    coming_MK, half_MX = _coming(days_MT, calendars)
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
        coming_MK=coming_MK,
        half_MX=half_MX,
    )


def _coming(
    days_MT: NDArray[np.datetime64], calendars: "list[Sessions | None]"
) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Return the sessions after the last ones, and which of all sessions are half days; nothing without calendars."""
    known = [one for one in calendars if one is not None]
    if len(known) < len(days_MT) or not days_MT.size:
        return np.empty((len(days_MT), 0), "datetime64[D]"), np.zeros(days_MT.shape, bool)
    lasts = [days_T[-1].astype(object) for days_T in days_MT]
    coming = [calendar.following(last, COMING) for calendar, last in zip(known, lasts, strict=True)]
    coming_MK = np.array(coming, "datetime64[D]")
    dates_MX = np.concatenate([days_MT, coming_MK], axis=1)
    half_MX = np.array(
        [np.isin(dates_X, calendar.half_days) for calendar, dates_X in zip(known, dates_MX, strict=True)], bool
    )
    return coming_MK, half_MX


def _market(clock: "SessionClock | None", symbol: str) -> str:
    return "" if clock is None else clock.market.market_of(symbol).calendar


def _axis(
    days: NDArray[np.datetime64], symbols: NDArray[np.str_], clock: "SessionClock | None"
) -> NDArray[np.datetime64]:
    if clock is None:
        return np.unique(days)
    last = np.datetime64(clock.last(str(symbols[0])), "D")
    return np.unique(np.append(days, last))
