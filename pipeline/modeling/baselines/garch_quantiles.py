"""GARCH(1,1) with filtered historical simulation: volatility from a fitted model, shape from past outcomes.

Past outcomes of the symbol, each divided by the volatility that the model forecast at its time, are multiplied by the
volatility that it forecasts now (Barone-Adesi, Giannopoulos & Vosper 1999). Without a model the forecast is that of
`ewma_historical`, counted in the notes. The event-aware forecast uses the same models: the volatility ahead, past and
present, includes the moves that were expected of scheduled reports.

Legend: S symbols, T sessions, K returns of one symbol, N origins, H horizon, Q quantile levels.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from pipeline.modeling.baseline_notes import BaselineNotes, Count
from pipeline.modeling.baselines.baseline_forecast import BaselineForecast
from pipeline.modeling.baselines.garch_fit import MIN_RETURNS, Garch, NoFit, fit
from pipeline.modeling.baselines.historical_simulation import ewma_historical, rows_by_symbol
from pipeline.modeling.baselines.trailing_quantiles import MIN_PAST, trailing
from pipeline.modeling.data.features import Features, future_returns
from pipeline.modeling.data.panel import Array, Index
from pipeline.modeling.data.windows import Origins

REFIT = 63  # returns between two fits, about a quarter
FITTED_ON = 1500  # returns that a fit uses, the newest, about six years
OUTCOMES = 1000  # standardised outcomes used: more than for other baselines, for steadier quantiles


def garch(
    features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]
) -> dict[str, BaselineForecast]:
    """Return quantiles by each symbol's own GARCH(1,1), also with the volatility of scheduled reports.

    A symbol's model is refitted after every `REFIT` of its own returns, counted from its first one: the fit used for an
    origin depends neither on later sessions, nor on other symbols, nor on which other origins are requested.
    The notes count the fits, and by reason the forecasts without one.
    """
    return_ST = features.panel.return_ST
    future_STH = future_returns(return_ST, horizon)
    spread_STH = features.scheduled.spread_of_all(horizon) if features.scheduled else None
    out_NHQ = np.full((len(origins), horizon, len(levels)), np.nan)
    event_NHQ = out_NHQ.copy()
    fitted, without = 0, _Without()
    for s, rows in rows_by_symbol(origins):
        there_K = np.flatnonzero(np.isfinite(return_ST[s]))
        for part, model in _models(return_ST[s, there_K], there_K, origins.t_N[rows]):
            mine = rows[part]
            if isinstance(model, NoFit):
                without[str(model)].append(mine)
                continue
            fitted += 1
            ahead_TH = np.full(future_STH.shape[1:], np.nan)
            ahead_TH[there_K] = _volatility_ahead(model, return_ST[s, there_K], horizon)
            out_NHQ[mine] = _simulated(future_STH[s], ahead_TH, origins.t_N[mine], levels)
            if spread_STH is not None:
                event_NHQ[mine] = _simulated(future_STH[s], ahead_TH * spread_STH[s], origins.t_N[mine], levels)
            few = mine[np.isnan(out_NHQ[mine]).any(axis=(1, 2))]
            if len(few):
                without[f"fewer than {MIN_PAST} past outcomes"].append(few)
    left_N = np.asarray(np.isnan(out_NHQ).any(axis=(1, 2)))
    if left_N.any():
        stand_ins = ewma_historical(features, origins.where(left_N), horizon=horizon, levels=levels)
        out_NHQ[left_N] = stand_ins["ewma_historical"].quantiles_NHQ
        if spread_STH is not None:
            event_NHQ[left_N] = stand_ins["ewma_events"].quantiles_NHQ
    notes = BaselineNotes(fits=fitted, by_ewma=without.counted(origins) if without else None)
    made = {"garch": BaselineForecast(quantiles_NHQ=out_NHQ, notes=notes)}
    if spread_STH is not None:
        made["garch_events"] = BaselineForecast(quantiles_NHQ=event_NHQ, notes=notes)
    return made


class _Without(defaultdict[str, list[Index]]):
    """The rows that no model forecasts, by reason."""

    def __init__(self) -> None:
        super().__init__(list)

    def counted(self, origins: Origins) -> dict[str, Count]:
        """Return how many symbols and forecasts there are, by reason."""
        return {reason: Count.of(origins, np.concatenate(parts)) for reason, parts in sorted(self.items())}


def _models(return_K: Array, there_K: Index, t_N: Index) -> Iterator[tuple[Index, Garch | NoFit]]:
    """Yield the rows that share a fit, and the model or why there is none."""
    known_N = np.searchsorted(there_K, t_N, side="right")
    turn_N = np.maximum((known_N - MIN_RETURNS) // REFIT, -1)
    for turn in np.unique(turn_N):
        last = MIN_RETURNS + turn * REFIT if turn >= 0 else 0
        rows = np.flatnonzero(turn_N == turn)
        try:
            yield rows, fit(return_K[max(0, last - FITTED_ON) : last])
        except NoFit as reason:
            yield rows, reason


def _volatility_ahead(model: Garch, return_K: Array, horizon: int) -> Array:
    """Return the volatility of the return over 1..horizon sessions, forecast at each session, shape (K, H).

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
        # Only known outcomes count: the one from h + 1 sessions before the origin at the latest.
        shape_NQ = trailing(shaped_TH[:, h], t_N - h - 1, levels, count=OUTCOMES)
        out_NHQ[:, h] = shape_NQ * ahead_TH[t_N, h, None]
    return out_NHQ
