"""The result of a baseline: its quantiles, and notes on how many of them are not its own.

Legend: N origins, H horizon, Q quantile levels.
"""

from dataclasses import dataclass
from typing import Protocol

from pipeline.modeling.baseline_notes import BaselineNotes
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Origins


@dataclass(frozen=True, kw_only=True)
class BaselineForecast:
    """Quantiles of the cumulative log return over 1..horizon sessions after each origin, and notes on them."""

    quantiles_NHQ: Array  # finite and ascending in Q for every origin with a volatility
    notes: BaselineNotes


class BaselineFamily(Protocol):
    """The baselines that are made together, by name. They forecast every origin with a volatility."""

    def __call__(
        self, features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]
    ) -> dict[str, BaselineForecast]: ...
