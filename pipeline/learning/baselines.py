"""Forecasts that nobody has to train: what a network must beat. All see what is known at the origin, no more.

Legend: S symbols, T sessions, N origins, H horizon, Q quantile levels, W past outcomes.

- `random_walk`: the symbol's own past returns over as many sessions, as they were.
- `ewma_historical`: the same, each divided by the volatility at its time and multiplied by today's: historical
  simulation with volatility updating (Hull & White 1998; Barone-Adesi et al. 1999, "filtered").
"""

from collections.abc import Callable

import numpy as np

from pipeline.learning.features import STILL, WARM_UP, Features, future_returns
from pipeline.learning.panel import Array
from pipeline.learning.windows import Origins

PAST = 500  # outcomes looked back on: two years
MIN_PAST = 100  # with fewer of its own, a symbol borrows the shape of its market's outcomes


def forecastable(features: Features) -> Origins:
    """Return the origins at the last session that every baseline can forecast: see `why_not` for the other symbols."""
    t = features.panel.last
    s_N = np.flatnonzero(features.scale_ST[:, t] > STILL)
    return Origins(s_N=s_N, t_N=np.full(len(s_N), t))


def why_not(features: Features, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return the reason of each symbol that cannot be forecast from its last session."""
    panel = features.panel
    can = {panel.symbols[s] for s in forecastable(features).s_N}
    return {symbol: _reason(features, symbol) for symbol in symbols if symbol not in can}


def _reason(features: Features, symbol: str) -> str:
    panel = features.panel
    if symbol not in panel.symbols:
        return "has no bar at all"
    s = panel.symbols.index(symbol)
    there_T = np.flatnonzero(np.isfinite(panel.close_ST[s]))
    wanted, last = panel.day(s, panel.last), panel.day(s, int(there_T[-1]))
    if last != wanted:
        return f"has no bar for {wanted}, its last is of {last}"
    if len(there_T) <= WARM_UP:
        return f"has {len(there_T)} sessions, {WARM_UP + 1} are needed for a volatility"
    return "has not moved for so long that it has no volatility"


def random_walk(features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]) -> Array:
    """Return quantiles of the cumulative log return, shape (N, H, Q), from the symbol's own past returns."""
    return _from_past(features, origins, horizon, levels, by_volatility=False)


def ewma_historical(features: Features, origins: Origins, *, horizon: int, levels: tuple[float, ...]) -> Array:
    """Return quantiles of the cumulative log return, shape (N, H, Q), from past returns in today's volatility."""
    return _from_past(features, origins, horizon, levels, by_volatility=True)


Baseline = Callable[..., Array]
BASELINES: dict[str, Baseline] = {"random_walk": random_walk, "ewma_historical": ewma_historical}


def _from_past(
    features: Features, origins: Origins, horizon: int, levels: tuple[float, ...], *, by_volatility: bool
) -> Array:
    future_STH = future_returns(features.panel.return_ST, horizon)
    out_NHQ = np.empty((len(origins), horizon, len(levels)))
    scale_N = features.scale_ST[origins.s_N, origins.t_N]
    for step in range(1, horizon + 1):
        shaped_ST = future_STH[..., step - 1] / (features.scale_ST * np.sqrt(step))
        own_ST = shaped_ST if by_volatility else future_STH[..., step - 1]
        for s in np.unique(origins.s_N):
            mine = origins.s_N == s
            # An outcome counts once it has come: the one from `step` sessions before the origin at the latest.
            own_NQ = _trailing(own_ST[s], origins.t_N[mine] - step, levels)
            few = np.isnan(own_NQ[:, 0])
            rows_NQ = own_NQ * (scale_N[mine] * np.sqrt(step))[:, None] if by_volatility else own_NQ
            if few.any():
                market_ST = shaped_ST[features.panel.market_S == features.panel.market_S[s]]
                borrowed_NQ = _pooled(market_ST, origins.t_N[mine][few] - step, levels)
                rows_NQ[few] = borrowed_NQ * (scale_N[mine][few] * np.sqrt(step))[:, None]
            out_NHQ[mine, step - 1] = rows_NQ
    return out_NHQ


def _trailing(values_T: Array, last_N: np.ndarray[tuple[int], np.dtype[np.int64]], levels: tuple[float, ...]) -> Array:
    """Return quantiles of the last `PAST` finite values up to each index, shape (N, Q); NaN with too few of them."""
    there = np.flatnonzero(np.isfinite(values_T))
    padded_W = np.concatenate([np.full(PAST, np.nan), values_T[there]])
    known_N = np.searchsorted(there, last_N, side="right")
    windows_NW = np.lib.stride_tricks.sliding_window_view(padded_W, PAST)[known_N]
    out_NQ = np.full((len(last_N), len(levels)), np.nan)
    full = known_N >= PAST
    out_NQ[full] = np.quantile(windows_NW[full], levels, axis=1).T
    for row in np.flatnonzero(~full & (known_N >= MIN_PAST)):
        out_NQ[row] = np.quantile(windows_NW[row][PAST - known_N[row] :], levels)
    return out_NQ


def _pooled(values_ST: Array, last_N: np.ndarray[tuple[int], np.dtype[np.int64]], levels: tuple[float, ...]) -> Array:
    """Return quantiles of a market's values in the `PAST` sessions up to each index; the normal's where none are."""
    from scipy.stats import norm

    out_NQ = np.empty((len(last_N), len(levels)))
    for row, last in enumerate(last_N):
        values = values_ST[:, max(0, last - PAST + 1) : last + 1]
        values = values[np.isfinite(values)]
        out_NQ[row] = np.quantile(values, levels) if len(values) >= WARM_UP else norm.ppf(levels)
    return out_NQ
