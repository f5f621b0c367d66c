"""A live source that answers from a frame which a test may change, and fails where it is told to."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from pipeline.errors import NoData, SourceError, UnknownSymbol
from pipeline.market.sessions import Sessions
from pipeline.prices.bars import PRICES, as_bars
from pipeline.prices.sources import Basis

CLOCK = Sessions("XNYS")


def walk(symbol: str, first: date, last: date, seed: int = 0, currency: str = "USD") -> pd.DataFrame:
    """Bars of an ordinary share on every session from `first` to `last`."""
    sessions = CLOCK.between(first, last)
    rng = np.random.default_rng([seed, *symbol.encode()])
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, len(sessions))))
    return as_bars(
        pd.DataFrame(
            {
                "symbol": symbol,
                "session": pd.to_datetime(sessions),
                "open": close * 1.001,
                "high": close * 1.01,
                "low": close * 0.99,
                "close": close,
                "volume": rng.integers(1_000_000, 2_000_000, len(sessions)).astype(float),
                "currency": currency,
            }
        )
    )


class Scripted:
    """`truth` is what it answers from; `asked` what it was asked; `errors` and `once` what it raises."""

    name = "scripted"
    live = True
    overlap: int | None = 10

    def __init__(self, truth: pd.DataFrame) -> None:
        self.truth = truth
        self.asked: list[tuple[str, date | None, date]] = []
        self.errors: dict[str, SourceError] = {}
        self.once: dict[str, SourceError] = {}

    def basis(self, symbol: str) -> Basis:
        return "split_adjusted"

    def symbols(self) -> tuple[str, ...]:
        return tuple(self.truth["symbol"].unique())

    def require(self, symbols: tuple[str, ...]) -> None:
        pass

    def first_session(self) -> None:
        return None

    def last_session(self) -> None:
        return None

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        (symbol,) = symbols
        self.asked.append((symbol, first, last))
        error = self.once.pop(symbol, None) or self.errors.get(symbol)
        if error is not None:
            raise error
        mine = self.truth[self.truth["symbol"] == symbol]
        if mine.empty:
            raise UnknownSymbol(f"nobody knows {symbol}")
        inside = mine["session"] <= pd.Timestamp(last)
        if first is not None:
            inside &= mine["session"] >= pd.Timestamp(first)
        if not inside.any():
            raise NoData(f"{symbol} has nothing from {first} to {last}")
        return mine[inside].reset_index(drop=True)

    def change(self, symbol: str, sessions: slice, factors: Mapping[str, float] | float) -> None:
        """Multiply values of a symbol's bars, by position."""
        rows = self.truth.index[self.truth["symbol"] == symbol][sessions]
        named = factors if isinstance(factors, Mapping) else dict.fromkeys(PRICES, factors)
        for name, factor in named.items():
            self.truth.loc[rows, name] *= factor

    def split(self, symbol: str, ratio: float) -> None:
        """Rewrite a symbol's whole history as a vendor does after a split."""
        self.change(symbol, slice(None), {**dict.fromkeys(PRICES, 1 / ratio), "volume": ratio, "dividend": 1 / ratio})
