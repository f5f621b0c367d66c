"""The result of a baseline: its quantiles, and how many of them are not its own.

Legend: N origins, H horizon, Q quantile levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol, Self

import numpy as np

from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Index, Origins
from pipeline.storage.documents import OMIT_NONE


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many symbols and forecasts something applies to."""

    symbols: int
    forecasts: int

    @classmethod
    def of(cls, origins: Origins, rows: Index) -> Self:
        """Count the origins in these rows."""
        return cls(symbols=len(np.unique(origins.s_N[rows])), forecasts=len(rows))


@dataclass(frozen=True, kw_only=True)
class BaselineNotes:
    """What a reader should know about the forecasts; None for what does not apply."""

    borrowed: Annotated[Count | None, OMIT_NONE] = None  # with the outcomes of the symbol's market instead of its own
    fits: Annotated[int | None, OMIT_NONE] = None  # models fitted
    by_ewma: Annotated[Mapping[str, Count] | None, OMIT_NONE] = None  # without a model, by reason


@dataclass(frozen=True, kw_only=True)
class BaselineForecast:
    """Quantiles of the cumulative log return over 1..horizon sessions after each origin, and notes on them."""

    quantiles_NHQ: Array  # finite and ascending in Q for every origin with a volatility
    notes: BaselineNotes


class Baseline(Protocol):
    """A baseline. It forecasts every origin with a volatility; see `forecastable`."""

    def __call__(
        self, features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]
    ) -> BaselineForecast: ...
