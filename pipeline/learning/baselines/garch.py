"""GARCH(1,1) with filtered historical simulation: the volatility of a model fitted to each symbol, its past for shape.

The outcomes of the symbol's past, each divided by the volatility that the model saw ahead at its time, are multiplied
by what it sees ahead now (Barone-Adesi, Giannopoulos & Vosper 1999). Where no model can be had, the forecast is that of
`ewma_historical`, counted in the notes.

Legend: S symbols, T sessions, K returns of one symbol, N origins, H horizon, Q quantile levels.
"""

from collections import defaultdict
from collections.abc import MutableMapping
from typing import Any

import numpy as np

from pipeline.learning.baselines.garch_fit import MIN_RETURNS, Garch, NoFit, fit
from pipeline.learning.baselines.historical import ewma_historical, rows_by_symbol
from pipeline.learning.baselines.past import trailing
from pipeline.learning.features import Features, future_returns
from pipeline.learning.panel import Array
from pipeline.learning.windows import Index, Origins

REFIT = 63  # returns between two fits, about a quarter


def garch(
    features: Features,
    origins: Origins,
    *,
    horizon: int,
    levels: tuple[float, ...],
    notes: MutableMapping[str, Any] | None = None,
) -> Array:
    """Return quantiles of the cumulative log return, shape (N, H, Q), by each symbol's own GARCH(1,1).

    A symbol's model is fitted anew after every `REFIT` of its own returns, counted from its first one: which fit an
    origin gets depends on nothing that comes later, on no other symbol, and not on which other origins are asked for.
    """
    future_STH = future_returns(features.panel.return_ST, horizon)
    out_NHQ = np.full((len(origins), horizon, len(levels)), np.nan)
    without: dict[str, list[Index]] = defaultdict(list)
    fits = 0
    for s, rows in rows_by_symbol(origins):
        there_K = np.flatnonzero(np.isfinite(features.panel.return_ST[s]))
        return_K = features.panel.return_ST[s, there_K]
        known_N = np.searchsorted(there_K, origins.t_N[rows], side="right")
        turn_N = np.maximum((known_N - MIN_RETURNS) // REFIT, -1)
        for turn in np.unique(turn_N):
            mine = rows[turn_N == turn]
            try:
                model = fit(return_K[: MIN_RETURNS + turn * REFIT] if turn >= 0 else return_K[:0])
            except NoFit as reason:
                without[str(reason)].append(mine)
                continue
            fits += 1
            ahead_TH = np.full(future_STH.shape[1:], np.nan)
            ahead_TH[there_K] = _volatility_ahead(model, return_K, horizon)
            out_NHQ[mine] = _simulated(future_STH[s], ahead_TH, origins.t_N[mine], levels)
    _fall_back(out_NHQ, features, origins, levels)
    if notes is not None:
        notes["fits"] = fits
        if without:
            notes["by_ewma"] = {reason: _counted(origins, parts) for reason, parts in sorted(without.items())}
    return out_NHQ


def _volatility_ahead(model: Garch, return_K: Array, horizon: int) -> Array:
    """Return the volatility of the return over 1..horizon sessions, as seen from each session, shape (K, H).

    The forecast of the variance k sessions ahead is ω + (α + β) times that of k − 1 (Bollerslev 1986); uncorrelated
    returns add up their variances.
    """
    steps_H = np.arange(horizon)
    grown_H = np.cumsum((model.alpha + model.beta) ** steps_H)
    fixed_H = model.omega * (np.cumsum(grown_H) - grown_H)
    return np.asarray(np.sqrt(model.next_variance(return_K)[:, None] * grown_H + fixed_H))


def _simulated(future_TH: Array, ahead_TH: Array, t_N: Index, levels: tuple[float, ...]) -> Array:
    shaped_TH = future_TH / ahead_TH
    out_NHQ = np.empty((len(t_N), shaped_TH.shape[1], len(levels)))
    for h in range(shaped_TH.shape[1]):
        # An outcome counts once it has come: the one from h + 1 sessions before the origin at the latest.
        out_NHQ[:, h] = trailing(shaped_TH[:, h], t_N - h - 1, levels) * ahead_TH[t_N, h, None]
    return out_NHQ
