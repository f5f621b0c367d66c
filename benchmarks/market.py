"""A synthetic vendor: fixed data for the cases, whose cost is not counted.

A log-normal walk for each symbol, seeded by its number, on the sessions of XNYS. Some histories are corrected late and
a few are rewritten by a split, so that revisions and second generations are there to be read.
"""

import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.market.sessions import Sessions
from pipeline.prices.sources import Basis

SEED = 20_260_102
CLOCK = Sessions("XNYS")
FIRST = date(2014, 1, 2)
RESERVE = 60  # sessions after the history, for the days that are appended
# One in so many symbols is corrected late, or rewritten by a 2:1 split.
CORRECTED, REWRITTEN = 20, 100


@dataclass
class Market:
    """A live source in memory. `wall_s` and `cpu_s` are its own time, which is not part of the measurement."""

    history: int
    revised: bool = False
    name: str = "bench"
    live: bool = True
    overlap: int | None = 10
    wall_s: float = field(default=0.0, init=False)
    cpu_s: float = field(default=0.0, init=False)

    @cached_property
    def days(self) -> "np.ndarray[Any, np.dtype[np.datetime64]]":
        """The sessions of the history and of the reserve."""
        count = self.history + RESERVE
        between = CLOCK.between(FIRST, FIRST + timedelta(days=int(count * 1.5) + 30))[:count]
        return np.array(between, dtype="datetime64[s]")

    def session(self, place: int) -> date:
        """Return the session at a place: 0 is the last of the history."""
        day: date = self.days[self.history - 1 + place].astype("datetime64[D]").item()
        return day

    def symbols(self) -> tuple[str, ...]:
        """Return nothing: callers name their symbols."""
        return ()

    def require(self, symbols: tuple[str, ...]) -> None:
        """Accept every symbol."""

    def first_session(self) -> date | None:
        """Return the first of the history."""
        return FIRST

    def last_session(self) -> date | None:
        """Return None: the source has no end."""
        return None

    def basis(self, symbol: str) -> Basis:  # noqa: ARG002  all alike
        """Return the basis that Yahoo has."""
        return "split_adjusted"

    def description(self, last: date | None = None) -> str:  # noqa: ARG002  the same at any time
        """Return how the prices are understood."""
        return "synthetic prices, split-adjusted"

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of one symbol, cut to the sessions asked for."""
        wall, cpu = time.perf_counter(), time.process_time()
        (symbol,) = symbols
        start = 0 if first is None else int(np.searchsorted(self.days, np.datetime64(first, "s")))
        end = int(np.searchsorted(self.days, np.datetime64(last, "s"), side="right"))
        frame = self._walk(symbol, slice(start, end))
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu
        return frame

    def _walk(self, symbol: str, part: slice) -> pd.DataFrame:
        number, count = int(symbol[1:]), len(self.days)
        rng = np.random.default_rng([SEED, number])
        close = rng.uniform(10, 200) * np.exp(np.cumsum(rng.normal(0, 0.012, count)))
        wiggle = rng.uniform(0, 0.008, (3, count))
        opened = close * (1 + wiggle[0] - 0.004)
        values = {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wiggle[1]),
            "low": np.minimum(opened, close) * (1 - wiggle[2]),
            "close": close,
            "volume": np.round(np.exp(rng.normal(14, 0.4, count))),
        }
        if self.revised:
            self._revise(values, number)
        # Quarterly, of a third of the symbols.
        paid = (np.arange(count) % 63 == number % 63) & (number % 3 == 0)
        columns = {name: one[part] for name, one in values.items()}
        size = len(columns["close"])
        return pd.DataFrame(
            {
                "symbol": pd.array([symbol], dtype="str").take(np.zeros(size, np.intp)),
                "session": self.days[part],
                **columns,
                "dividend": np.where(paid, 0.25, 0.0)[part],
                "split_ratio": np.ones(size),
                "currency": pd.array(["USD"], dtype="str").take(np.zeros(size, np.intp)),
            }
        )

    def _revise(self, values: dict[str, Any], number: int) -> None:
        """Change the last sessions of a few histories a little, and the whole scale of fewer."""
        late = slice(self.history - 4, self.history - 2)
        if number % CORRECTED == 1:
            for name in ("open", "high", "low", "close"):
                values[name][late] *= 1.002
        if number % REWRITTEN == 2:
            for name in ("open", "high", "low", "close"):
                values[name] /= 2.0
            values["volume"] *= 2.0
