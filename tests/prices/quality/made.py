"""A made share as shares are, and what a test may do to it."""

from datetime import date

import numpy as np
import pandas as pd

from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.prices.bars import as_bars
from pipeline.prices.quality import Checked, check_bars

NEW_YORK, LONDON = Sessions("XNYS"), Sessions("XLON")
PRICES = ["open", "high", "low", "close"]
COUNT = 120


CLOCK = MarketClock()


def series(symbol: str = "A", *, seed: int = 1, count: int = COUNT, exchange: Sessions = NEW_YORK) -> pd.DataFrame:
    """A share as shares are: one per cent of noise a day, a range around it, a volume that varies by a third."""
    random = np.random.default_rng(seed)
    days = pd.to_datetime(exchange.between(date(2020, 1, 2), date(2021, 12, 31))[:count])
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    opened = np.append(100, close[:-1]) * np.exp(random.normal(0, 0.003, count))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.004, count)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.004, count)))
    volume = np.round(1e6 * np.exp(random.normal(0, 0.3, count)))
    frame = {"session": days, "open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return as_bars(pd.DataFrame(frame).assign(symbol=symbol))


def scaled(bars: pd.DataFrame, rows: slice | list[int], factor: float, columns: list[str] = PRICES) -> pd.DataFrame:
    other = bars.copy()
    other.loc[rows, columns] *= factor
    return other


def check(bars: pd.DataFrame, known: pd.DataFrame | None = None) -> Checked:
    return check_bars(bars, CLOCK, known=known)


def rows_of(bars: pd.DataFrame, checked: Checked, rule: str, verdict: str = "quarantine") -> list[int]:
    found = checked.verdicts[(checked.verdicts["rule"] == rule) & (checked.verdicts["verdict"] == verdict)]
    return bars.index[bars["session"].isin(found["session"])].tolist()


def notes(checked: Checked) -> list[str]:
    return [note.rule for note in checked.notes]


def with_dividends(shares: dict[int, float], told: dict[int, float] | None = None) -> pd.DataFrame:
    """A series that pays `shares` of its price and falls by them; the adjusted close says `told`."""
    bars = series().assign(adjusted_close=np.nan)
    told = shares if told is None else told
    for row, share in sorted(shares.items()):
        bars.loc[row, "dividend"] = bars.loc[row - 1, "close"] * share
        bars.loc[row:, PRICES] *= 1 - share
    factor = np.ones(COUNT)
    for row, share in told.items():
        factor[:row] *= 1 - share
    return bars.assign(adjusted_close=bars["close"] * factor)
