"""Scores of quantile forecasts on the same windows.

Legend: N windows, H horizon, Q quantile levels, D sessions, G groups of windows. Returns are cumulative log returns;
losses are in basis points. docs/evaluation.md has the formulas.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.model_scores import ModelScores, QuantileShare, ScoreRow, StepScores
from pipeline.evaluation.rank_ic import rank_correlations, rank_scores, ranks
from pipeline.evaluation.significance import diebold_mariano, independent_cases, wilson
from pipeline.forecast_schema import RANGES

Array = NDArray[np.float64]
Part = str | tuple[str, float]  # a score, or the name of several and which of them: ("coverage", 50)
_BASIS_POINTS = 1e4
# Intermediate values per window and step, from which shares and ratios are computed.
_PARTS = ("hit", "moved", "walk_bp", "ones")
# The reference of the median's errors; if it was not scored, a median of no change.
RANDOM_WALK = "random_walk"


def pinball_bp(quantile_NH: Array, actual_NH: Array, level: float) -> Array:
    """Return the pinball loss of one quantile of each forecast, shape (N, H): Koenker & Bassett 1978."""
    error_NH = actual_NH - quantile_NH
    return np.asarray(_BASIS_POINTS * np.maximum(level * error_NH, (level - 1) * error_NH))


def crps_bp(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...]) -> Array:
    """Return the CRPS of each forecast, shape (N, H): twice the mean pinball loss over the levels.

    Gneiting & Raftery 2007, eq. 21, with the integral over levels taken as the mean of those that there are.
    """
    error_NHQ = actual_NH[..., None] - quantiles_NHQ
    at_Q = np.asarray(levels)
    return np.asarray(2 * _BASIS_POINTS * np.maximum(at_Q * error_NHQ, (at_Q - 1) * error_NHQ).mean(axis=-1))


def inside(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...], share: int) -> NDArray[np.bool_]:
    """Return whether each outcome fell into the range of `share` per cent (50, 80 or 90), shape (N, H)."""
    low, high = (levels.index(level) for level in RANGES[share])
    return np.asarray((actual_NH >= quantiles_NHQ[..., low]) & (actual_NH <= quantiles_NHQ[..., high]))


def score_table(
    forecasts: Mapping[str, Array],
    actual_NH: Array,
    symbols_N: NDArray[np.str_],
    levels: tuple[float, ...],
    *,
    origins_N: NDArray[Any],
) -> dict[str, ModelScores]:
    """Return the scores of each model, over all, by step and by symbol.

    `forecasts` maps names to quantiles of shape (N, H, Q), all of the same windows; `origins_N` are their sessions.
    Intervals, tests and rank IC, which compare symbols or sessions, have no value by symbol.
    """
    symbols, symbol_N = np.unique(symbols_N, return_inverse=True)
    walk_NHQ = forecasts.get(RANDOM_WALK)
    walk_NH = np.zeros_like(actual_NH) if walk_NHQ is None else walk_NHQ[..., levels.index(0.5)]
    _, day_N = np.unique(origins_N, return_inverse=True)
    came_NH = ranks(actual_NH, day_N)
    table: dict[str, ModelScores] = {}
    for name, quantiles_NHQ in forecasts.items():
        parts = _parts(quantiles_NHQ, actual_NH, levels, walk_NH)
        ic_DH = rank_correlations(ranks(quantiles_NHQ[..., levels.index(0.5)], day_N), came_NH, day_N)
        by_symbol = _ratios({part: _sums(values, symbol_N) for part, values in parts.items()})
        steps = _ratios({part: values.sum(axis=0) for part, values in parts.items()})
        (overall,) = _ratios({part: values.sum(keepdims=True).ravel() for part, values in parts.items()})
        table[name] = ModelScores(
            **overall,
            **_over_sessions(parts, ic_DH, day_N, slice(None), actual_NH.shape[1]),
            below=tuple(
                QuantileShare(level=level, share=float((actual_NH < quantiles_NHQ[..., q]).mean()))
                for q, level in enumerate(levels)
            ),
            by_step=tuple(
                StepScores(step=h + 1, **row, **_over_sessions(parts, ic_DH, day_N, slice(h, h + 1), h + 1))
                for h, row in enumerate(steps)
            ),
            by_symbol={str(symbol): ScoreRow(**row) for symbol, row in zip(symbols, by_symbol, strict=True)},
        )
    return table


def _parts(quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...], walk_NH: Array) -> dict[Part, Array]:
    """Return each score's value of each window and step, shape (N, H), and what shares are made from.

    `walk_NH` are the random walk's medians.
    """
    median_NH = quantiles_NHQ[..., levels.index(0.5)]
    moved_NH = (actual_NH != 0) & (median_NH != 0)
    pinball = {level: pinball_bp(quantiles_NHQ[..., q], actual_NH, level) for q, level in enumerate(levels)}
    total_NH = np.zeros_like(actual_NH)
    for loss_NH in pinball.values():
        total_NH += loss_NH
    return {
        "crps_bp": 2 * total_NH / len(levels),
        **{("coverage", share): inside(quantiles_NHQ, actual_NH, levels, share).astype(float) for share in RANGES},
        "mae_bp": _BASIS_POINTS * np.abs(actual_NH - median_NH),
        "up": (actual_NH > 0).astype(float),
        **{("pinball_bp", level): loss_NH for level, loss_NH in pinball.items()},
        "walk_bp": _BASIS_POINTS * np.abs(actual_NH - walk_NH),
        "hit": (moved_NH & (np.sign(median_NH) == np.sign(actual_NH))).astype(float),
        "moved": moved_NH.astype(float),
        "ones": np.ones_like(actual_NH),
    }


def _ratios(sums: Mapping[Part, Array]) -> list[dict[str, Any]]:
    """Return the fields of a `ScoreRow` for each group, from the sums of `_parts` over its windows, each shape (G,)."""
    means = {part: values_G / sums["ones"] for part, values_G in sums.items() if part not in _PARTS}
    means["mae_over_random_walk"] = _over(sums["mae_bp"], sums["walk_bp"], 1.0)
    means["direction"] = _over(sums["hit"], sums["moved"], 0.5)
    return [_fields(dict(zip(means, map(float, row), strict=True))) for row in zip(*means.values(), strict=True)]


def _fields(values: Mapping[Part, float]) -> dict[str, Any]:
    found: dict[str, Any] = {part: value for part, value in values.items() if isinstance(part, str)}
    for part, value in values.items():
        if isinstance(part, tuple):
            found.setdefault(part[0], {})[part[1]] = value
    return found


def _over_sessions(
    parts: Mapping[Part, Array], ic_DH: Array, day_N: NDArray[np.int64], steps: slice, horizon: int
) -> dict[str, Any]:
    """Return intervals and tests of the scores of some steps, from their variation between sessions."""
    mae_D, walk_D, count_D = (_sums(parts[part][:, steps], day_N) for part in ("mae_bp", "walk_bp", "ones"))
    hits_D, moved_D = (_sums(parts[part][:, steps], day_N) for part in ("hit", "moved"))
    low, high = (None, None)
    if moved_D.sum():
        low, high = wilson(hits_D.sum() / moved_D.sum(), independent_cases(hits_D, moved_D, horizon))
    better = diebold_mariano(mae_D / count_D, walk_D / count_D, horizon)
    return {
        "direction_low": low,
        "direction_high": high,
        "mae_over_random_walk_p": better.p if better else None,
        **asdict(rank_scores(ic_DH[:, steps], horizon)),
    }


def _sums(values_NH: Array, group_N: NDArray[np.int64]) -> Array:
    return np.asarray(np.bincount(group_N, values_NH.sum(axis=1)), float)


def _over(sum_G: Array, by_G: Array, otherwise: float) -> Array:
    return np.divide(sum_G, by_G, out=np.full_like(sum_G, otherwise), where=by_G != 0)
