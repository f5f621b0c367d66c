"""Baselines: the forecasts that a network must beat. They use only what is known at the origin.

- `random_walk`: quantiles of the symbol's own past returns over the same number of sessions.
- `ewma_historical`: the same, each divided by the volatility at its time and multiplied by today's.
- `garch`: the same with the volatility of a GARCH(1,1), fitted to each symbol.

docs/baselines.md describes and compares them.
"""

from collections.abc import MutableMapping
from typing import Any, Protocol

from pipeline.forecast_schema import BASELINES
from pipeline.modeling.baselines.eligibility import forecastable, why_not
from pipeline.modeling.baselines.garch_quantiles import garch
from pipeline.modeling.baselines.historical_simulation import ewma_historical, random_walk
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Origins

__all__ = ["BASELINE_MODELS", "Baseline", "ewma_historical", "forecastable", "garch", "random_walk", "why_not"]


class Baseline(Protocol):
    """A baseline: quantiles of the cumulative log return over 1..horizon sessions after each origin, shape (N, H, Q).

    Finite and ascending for every origin with a volatility (see `forecastable`). What a reader should know of how they
    were made is written into `notes`.
    """

    def __call__(
        self,
        features: Features,
        origins: Origins,
        *,
        horizon: int,
        levels: tuple[float, ...],
        notes: MutableMapping[str, Any] | None = None,
    ) -> Array: ...


_FUNCTIONS = {function.__name__: function for function in (random_walk, ewma_historical, garch)}
BASELINE_MODELS: dict[str, Baseline] = {name: _FUNCTIONS[name] for name in BASELINES}
