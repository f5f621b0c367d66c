"""Prices with one thing wrong with each symbol, and what a daily run says of it."""

from datetime import date

import numpy as np
import pandas as pd

from pipeline.market.clock import MarketClock

LAST = date(2020, 6, 30)
SESSIONS = MarketClock().sessions.between(date(2019, 9, 3), LAST)
COUNT, MIDDLE = len(SESSIONS), len(SESSIONS) // 2
PRICES = ["open", "high", "low", "close"]
SOUND = ("SOUNDA", "SOUNDB", "SOUNDC", "SOUNDD", "SOUNDE", "SOUNDF")


def walk(symbol: str, first: int = 0, last: int | None = None) -> pd.DataFrame:
    """Prices of an ordinary share on the sessions from `first` to `last`."""
    rng = np.random.default_rng([1, *symbol.encode()])
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, COUNT)))
    opened = close * np.exp(rng.normal(0, 0.004, COUNT))
    table = pd.DataFrame({"symbol": symbol, "date": SESSIONS, "open": opened})
    table["high"] = np.maximum(opened, close) * 1.004
    table["low"] = np.minimum(opened, close) * 0.996
    table["close"] = close
    table["volume"] = np.round(rng.lognormal(13, 0.3, COUNT))
    return table.iloc[first:last].reset_index(drop=True)


def spoilt(symbol: str, field: str | list[str], at: int | slice, value: float) -> pd.DataFrame:
    """The same with one value of a field, or many, put in another's place."""
    table = walk(symbol)
    table.loc[table.index[at], field] = value
    return table


def stopped(symbol: str, sessions: int) -> pd.DataFrame:
    """The same with a price that has not moved in the last sessions."""
    table = walk(symbol)
    table.loc[table.index[-sessions:], PRICES] = table["close"].iloc[-sessions]
    return table


# What is wrong with a symbol, and what a daily run says of it; None: it is forecast as any other.
SHORT = "has 10 sessions, 21 are needed for a volatility"
EMPTY = "an empty row: the session has no prices"
HELD, ZERO = "is in quarantine: open, high, low or close is missing or infinite", "a price is zero or negative"
BAD: dict[str, tuple[pd.DataFrame, str | None]] = {
    "SHORT": (walk("SHORT", COUNT - 10), SHORT),
    "CONSTANT": (spoilt("CONSTANT", PRICES, slice(None), 20.0), "has not moved for so long that it has no volatility"),
    "HALFWAY": (walk("HALFWAY", MIDDLE), None),
    "GONE": (walk("GONE", 0, COUNT - 30), "30 sessions without one, presumably delisted"),
    "VOLUMENAN": (spoilt("VOLUMENAN", "volume", slice(None), np.nan), None),
    "VOLUMEZERO": (spoilt("VOLUMEZERO", "volume", slice(None), 0.0), None),
    "VOLUMELAST": (spoilt("VOLUMELAST", "volume", -1, np.nan), None),
    "VOLUMEMIDDLE": (spoilt("VOLUMEMIDDLE", "volume", MIDDLE, np.nan), None),
    "VOLUMEINF": (spoilt("VOLUMEINF", "volume", -5, np.inf), None),
    "OPENLAST": (spoilt("OPENLAST", "open", -1, np.nan), HELD),
    "HIGHLAST": (spoilt("HIGHLAST", "high", -1, np.nan), HELD),
    "OPENMIDDLE": (spoilt("OPENMIDDLE", "open", MIDDLE, np.nan), None),
    "HIGHMIDDLE": (spoilt("HIGHMIDDLE", "high", MIDDLE, np.nan), None),
    "INFLAST": (spoilt("INFLAST", "close", -1, np.inf), HELD),
    "INFMIDDLE": (spoilt("INFMIDDLE", "close", MIDDLE, np.inf), None),
    "ZEROLAST": (spoilt("ZEROLAST", "close", -1, 0.0), ZERO),
    "ZEROMIDDLE": (spoilt("ZEROMIDDLE", "low", MIDDLE, 0.0), None),
    "ALLZERO": (spoilt("ALLZERO", PRICES, slice(None), 0.0), ZERO),
    "ALLNAN": (spoilt("ALLNAN", PRICES, slice(None), np.nan), EMPTY),
    "NEW": (walk("NEW", COUNT - 40), None),
    "GAP": (spoilt("GAP", "open", -6, np.nan), None),
    "STOPPED": (stopped("STOPPED", 20), None),
}
# Symbols that only a baseline can forecast, with the reason why the network abstains.
STANDS_IN = {
    "NEW": "the network was not trained on it (short history, or a new symbol)",
    "GAP": "fewer than 10 whole sessions in a row",
    "STOPPED": "its price has not moved for 5 sessions",
}
NEVER = ("SHORT", "CONSTANT", "GONE", "ALLZERO", "ALLNAN")  # not from one session of the backtest


def tables(names: tuple[str, ...]) -> pd.DataFrame:
    return pd.concat([BAD[name][0] if name in BAD else walk(name) for name in names], ignore_index=True)
