"""The sample: daily bars of AAPL, FB, GOOG, IBM and MSFT from March 2000 to March 2013, shipped in a package.

Raw prices with an adjusted close, from which the dividends and splits are derived. FB, listed in May 2012, is the
symbol with little history.
"""

from datetime import date
from functools import lru_cache

import pandas as pd
from bokeh_sampledata import stocks

from pipeline.prices.adjustments import actions_from_adjusted
from pipeline.prices.bars import as_bars
from pipeline.prices.sources import Basis, require_known


class SampleSource:
    """Real prices without a network."""

    name = "sample"
    live = False
    overlap: int | None = None

    def symbols(self) -> tuple[str, ...]:
        """Return the five symbols."""
        return tuple(sorted(_sample()["symbol"].unique()))

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for any other symbol."""
        require_known(symbols, self.symbols(), "the sample")

    def first_session(self) -> date:
        """Return 2000-03-01, where the sample begins."""
        first: pd.Timestamp = _sample()["session"].min()
        return first.date()

    def last_session(self) -> date:
        """Return 2013-03-01, where the sample ends."""
        last: pd.Timestamp = _sample()["session"].max()
        return last.date()

    def basis(self, symbol: str) -> Basis:  # noqa: ARG002  it is the same for all
        """Return `raw`: as traded, with the splits listed."""
        return "raw"

    def description(self, last: date | None = None) -> str:  # noqa: ARG002  it never changes
        """Return how the prices are interpreted."""
        return "packaged sample, raw prices, dividends and splits from the adjusted close"

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` to `last`; raises BadSymbol for one that it does not have."""
        self.require(symbols)
        sample = _sample()
        inside = sample["symbol"].isin(symbols) & (sample["session"] <= pd.Timestamp(last))
        if first is not None:
            inside &= sample["session"] >= pd.Timestamp(first)
        return sample[inside].reset_index(drop=True)


@lru_cache(maxsize=1)
def _sample() -> pd.DataFrame:
    parts = []
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        frame = pd.DataFrame(getattr(stocks, symbol))
        dividend, split_ratio = actions_from_adjusted(
            frame["close"].to_numpy(float), frame["adj_close"].to_numpy(float)
        )
        parts.append(
            frame.assign(
                symbol=symbol,
                session=pd.to_datetime(frame["date"]),
                dividend=dividend,
                split_ratio=split_ratio,
                currency="USD",
            )
        )
    return as_bars(pd.concat(parts, ignore_index=True))
