"""Scores of quantile forecasts, each beside its baseline on the same windows.

Legend: N windows, H horizon, Q quantile levels. Returns are cumulative log returns; losses are in basis points.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RANGES = {"50": (0.25, 0.75), "80": (0.10, 0.90), "90": (0.05, 0.95)}
_BASIS_POINTS = 1e4


def crps_bp(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...]) -> Array:
    """Return the CRPS of each forecast, shape (N, H): twice the mean pinball loss over the levels.

    Gneiting & Raftery 2007, eq. 21, with the integral over levels taken as the mean of those that there are.
    """
    error_NHQ = actual_NH[..., None] - quantiles_NHQ
    at_Q = np.asarray(levels)
    return np.asarray(2 * _BASIS_POINTS * np.maximum(at_Q * error_NHQ, (at_Q - 1) * error_NHQ).mean(axis=-1))


def inside(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...], name: str) -> NDArray[np.bool_]:
    """Return whether each outcome fell into the range `name` (50, 80 or 90 %), shape (N, H)."""
    low, high = (levels.index(level) for level in RANGES[name])
    return np.asarray((actual_NH >= quantiles_NHQ[..., low]) & (actual_NH <= quantiles_NHQ[..., high]))


def score_table(
    forecasts: Mapping[str, Array], actual_NH: Array, symbols_N: NDArray[np.str_], levels: tuple[float, ...]
) -> dict[str, dict[str, Any]]:
    """Return the scores of each model, over all, by step and by symbol: plain numbers, ready for JSON.

    `forecasts` maps names to quantiles of shape (N, H, Q), all of the same windows.
    """
    return {name: _scores(quantiles, actual_NH, symbols_N, levels) for name, quantiles in forecasts.items()}


def _scores(
    quantiles_NHQ: Array, actual_NH: Array, symbols_N: NDArray[np.str_], levels: tuple[float, ...]
) -> dict[str, Any]:
    def over(rows: Any, steps: Any = slice(None)) -> dict[str, float]:
        return _means(quantiles_NHQ[rows][:, steps], actual_NH[rows][:, steps], levels)

    every = slice(None)
    return {
        **over(every),
        "by_step": [{"step": h + 1, **over(every, slice(h, h + 1))} for h in range(actual_NH.shape[1])],
        "by_symbol": {str(symbol): over(symbols_N == symbol) for symbol in np.unique(symbols_N)},
    }


def _means(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...]) -> dict[str, float]:
    median_NH = quantiles_NHQ[..., levels.index(0.5)]
    absolute = np.abs(actual_NH - median_NH).mean()
    unchanged = np.abs(actual_NH).mean()
    moved_NH = (actual_NH != 0) & (median_NH != 0)
    same_way = np.sign(median_NH[moved_NH]) == np.sign(actual_NH[moved_NH])
    return {
        "crps_bp": float(crps_bp(quantiles_NHQ, actual_NH, levels).mean()),
        **{f"coverage_{name}": float(inside(quantiles_NHQ, actual_NH, levels, name).mean()) for name in RANGES},
        "mae_bp": float(_BASIS_POINTS * absolute),
        "mae_over_random_walk": float(absolute / unchanged) if unchanged else 1.0,
        "direction": float(same_way.mean()) if len(same_way) else 0.5,
        "up": float((actual_NH > 0).mean()),
    }
