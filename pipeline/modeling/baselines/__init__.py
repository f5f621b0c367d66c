"""Baselines: the forecasts that a network must beat. They use only what is known at the origin.

- `random_walk`: quantiles of the symbol's own past returns over the same number of sessions.
- `ewma_historical`: the same, each divided by the volatility at its time and multiplied by today's.
- `garch`: the same with the volatility of a GARCH(1,1), fitted to each symbol.

docs/baselines.md describes and compares them.
"""

from pipeline.forecast_schema import BASELINES
from pipeline.modeling.baselines.baseline_forecast import Baseline
from pipeline.modeling.baselines.eligibility import forecastable, why_not
from pipeline.modeling.baselines.garch_quantiles import garch
from pipeline.modeling.baselines.historical_simulation import ewma_historical, random_walk

__all__ = ["BASELINE_MODELS", "Baseline", "ewma_historical", "forecastable", "garch", "random_walk", "why_not"]


_FUNCTIONS = {function.__name__: function for function in (random_walk, ewma_historical, garch)}
BASELINE_MODELS: dict[str, Baseline] = {name: _FUNCTIONS[name] for name in BASELINES}
