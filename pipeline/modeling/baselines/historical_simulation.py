"""Historical simulation: quantiles of a symbol's past returns, as they were or scaled to today's volatility.

Dividing each outcome by the volatility at its time and multiplying by today's is historical simulation with volatility
updating (Hull & White 1998), also called filtered (Barone-Adesi, Giannopoulos & Vosper 1999).

Legend: S symbols, T sessions, N origins, H horizon, Q quantile levels.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.modeling.baseline_notes import BaselineNotes, Count
from pipeline.modeling.baselines.baseline_forecast import BaselineForecast
from pipeline.modeling.baselines.trailing_quantiles import pooled, trailing
from pipeline.modeling.data.features import STILL, Features, future_returns
from pipeline.modeling.data.panel import Array, Index
from pipeline.modeling.data.scheduled_moves import ScheduledMoves
from pipeline.modeling.data.windows import Origins


def random_walk(
    features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]
) -> dict[str, BaselineForecast]:
    """Return quantiles from the symbol's own past returns."""
    return {"random_walk": _from_past(features, origins, horizon, levels, by_volatility=False)}


def ewma_historical(
    features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]
) -> dict[str, BaselineForecast]:
    """Return quantiles from the symbol's past returns at today's volatility, also with that of scheduled reports."""
    made = {"ewma_historical": _from_past(features, origins, horizon, levels, by_volatility=True)}
    if features.scheduled is not None:
        made["ewma_events"] = _from_past(
            features, origins, horizon, levels, by_volatility=True, scheduled=features.scheduled
        )
    return made


def rows_by_symbol(origins: Origins) -> Iterator[tuple[int, Index]]:
    """Yield each symbol of the origins with its rows."""
    order_N = np.argsort(origins.s_N, kind="stable")
    symbols, first = np.unique(origins.s_N[order_N], return_index=True)
    yield from zip(symbols.tolist(), np.split(order_N, first[1:]), strict=False)


def _from_past(
    features: Features,
    origins: Origins,
    horizon: int,
    levels: tuple[float, ...],
    *,
    by_volatility: bool,
    scheduled: ScheduledMoves | None = None,
) -> BaselineForecast:
    future_STH = future_returns(features.panel.return_ST, horizon)
    moving_ST = np.where(features.scale_ST > STILL, features.scale_ST, np.nan)
    spread_STH = scheduled.spread_of_all(horizon) if scheduled else None
    out_NHQ = np.empty((len(origins), horizon, len(levels)))
    borrowed_N = np.zeros(len(origins), bool)
    for step in range(1, horizon + 1):
        shaped_ST = future_STH[..., step - 1] / (moving_ST * np.sqrt(step))
        if spread_STH is not None:
            shaped_ST /= spread_STH[..., step - 1]
        own_ST = shaped_ST if by_volatility else future_STH[..., step - 1]
        scale_N = features.scale_ST[origins.s_N, origins.t_N] * np.sqrt(step)
        if spread_STH is not None:
            scale_N *= spread_STH[origins.s_N, origins.t_N, step - 1]
        # Only known outcomes count: the one from `step` sessions before the origin at the latest.
        last_N = origins.t_N - step
        out_NQ = out_NHQ[:, step - 1]
        for s, rows in rows_by_symbol(origins):
            out_NQ[rows] = trailing(own_ST[s], last_N[rows], levels)
        few_N = np.isnan(out_NQ[:, 0])
        if by_volatility:
            out_NQ *= scale_N[:, None]
        out_NQ[few_N] = _of_market(features, shaped_ST, origins.where(few_N), step, levels) * scale_N[few_N, None]
        borrowed_N |= few_N
    borrowed = Count.of(origins, np.flatnonzero(borrowed_N)) if borrowed_N.any() else None
    return BaselineForecast(quantiles_NHQ=out_NHQ, notes=BaselineNotes(borrowed=borrowed))


def _of_market(features: Features, shaped_ST: Array, origins: Origins, step: int, levels: tuple[float, ...]) -> Array:
    """Return quantiles of the standardised outcomes of each origin's market, shape (N, Q)."""
    out_NQ = np.empty((len(origins), len(levels)))
    market_N = features.panel.market_S[origins.s_N]
    for market in np.unique(market_N):
        mine = market_N == market
        last, at = np.unique(origins.t_N[mine] - step, return_inverse=True)
        out_NQ[mine] = pooled(shaped_ST[features.panel.market_S == market], last, levels)[at]
    return out_NQ
