"""Baselines: the forecasts that a network must beat. They use only what is known at the origin.

- `random_walk`: quantiles of the symbol's own past returns over the same number of sessions.
- `ewma_historical`: the same, each divided by the volatility at its time and multiplied by today's.
- `garch`: the same with the volatility of a GARCH(1,1), fitted to each symbol.
- `ewma_events`, `garch_events`: these two with the volatility that scheduled reports add, where there is a calendar of
  them: what a network gains on these is more than knowing the date.

docs/baselines.md describes and compares them.
"""

from collections.abc import Iterable

from pipeline.forecast_schema import BASELINE_FAMILIES
from pipeline.modeling.baselines.baseline_forecast import BaselineFamily, BaselineForecast
from pipeline.modeling.baselines.eligibility import forecastable, why_not
from pipeline.modeling.baselines.garch_quantiles import garch
from pipeline.modeling.baselines.historical_simulation import ewma_historical, random_walk
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.windows import Origins

__all__ = ["baseline_forecasts", "forecastable", "why_not"]

_FAMILIES: dict[str, BaselineFamily] = {
    function.__name__: function for function in (random_walk, ewma_historical, garch)
}


def baseline_forecasts(
    features: Features,
    origins: Origins,
    *,
    horizon: int,
    levels: tuple[float, ...],
    families: Iterable[str] = BASELINE_FAMILIES,
) -> dict[str, BaselineForecast]:
    """Return the forecasts of every baseline of these families, by name; event-aware ones where there is a calendar.

    Every origin with a volatility is forecast; see `forecastable`.
    """
    made: dict[str, BaselineForecast] = {}
    for name in families:
        made |= _FAMILIES[name](features, origins, horizon=horizon, levels=levels)
    return made
