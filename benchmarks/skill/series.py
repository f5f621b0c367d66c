"""The training data of a peer: one series per symbol, and the part of it that a fold may see.

Quantiles of the returns of single sessions do not add up to quantiles of their sum. So a peer is trained for one `step`
at a time, on the sum of the last `step` returns at each session; of its `step` outputs only the last is used, whose
sum begins after the origin. This runs in the peers' environment, which has only numpy and pandas.

Legend: T bars of a symbol, W windows, L context.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

DECAY = 0.94  # RiskMetrics, J.P. Morgan 1996
WARM_UP = 20  # returns that the first volatility is computed from
STILL = 1e-6  # below this daily volatility a price does not move


@dataclass(frozen=True, kw_only=True)
class Series:
    """A symbol's bars from the first usable value on. Bars are counted, so that a holiday is not a gap."""

    symbol: str
    sessions_T: NDArray[np.datetime64]
    close_T: Array
    y_T: Array  # known at t
    scale_T: Array  # turns a forecast from t into a log return; known at t


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The sessions that one model forecasts from."""

    first: np.datetime64
    last: np.datetime64


def series_of(prices: pd.DataFrame, *, step: int, scaled: bool) -> list[Series]:
    """Return the series of each symbol of `prices` (symbol, session, close, level; sorted), without empty ones.

    y is the log total return of the last `step` bars; if `scaled`, over the volatility known before them times the
    root of `step`.
    """
    made = []
    for symbol, rows in prices.groupby("symbol", sort=True):
        y_T, scale_T = target(rows["level"].to_numpy(float), step=step, scaled=scaled)
        missing = np.flatnonzero(~np.isfinite(y_T) | ~np.isfinite(scale_T))
        begin = int(missing[-1]) + 1 if len(missing) else 0
        if begin < len(rows):
            made.append(
                Series(
                    symbol=str(symbol),
                    sessions_T=rows["session"].to_numpy().astype("datetime64[D]")[begin:],
                    close_T=rows["close"].to_numpy(float)[begin:],
                    y_T=y_T[begin:],
                    scale_T=scale_T[begin:],
                )
            )
    return made


def target(level_T: Array, *, step: int, scaled: bool) -> tuple[Array, Array]:
    """Return the series to train on and its scale, both (T,), of a total-return index; NaN if undefined.

    In y[t], the scale is that of t - step; a forecast from t is multiplied by that of t.
    """
    log_T = np.log(level_T)
    scale_T = np.ones(len(log_T))
    if scaled:
        volatility_T = ewma_volatility(np.diff(log_T, prepend=np.nan))
        scale_T = np.where(volatility_T > STILL, volatility_T, np.nan) * np.sqrt(step)
    y_T = np.full(len(log_T), np.nan)
    y_T[step:] = (log_T[step:] - log_T[:-step]) / scale_T[:-step]
    return y_T, scale_T


def ewma_volatility(return_T: Array) -> Array:
    """Return the EWMA volatility known at each bar, shape (T,); NaN before the warm-up.

    Up to `WARM_UP` returns it is their root mean square.
    """
    out_T = np.full(len(return_T), np.nan)
    variance, seen = 0.0, 0
    for t, value in enumerate(return_T.tolist()):
        if np.isfinite(value):
            seen += 1
            weight = 1 / seen if seen <= WARM_UP else 1 - DECAY
            variance = (1 - weight) * variance + weight * value**2
            if seen >= WARM_UP:
                out_T[t] = np.sqrt(variance)
    return out_T


def folds_of(prices: pd.DataFrame, first: date, last: date, refit_every: int) -> Iterator[Fold]:
    """Yield the folds of the sessions from `first` to `last`, of `refit_every` sessions each, the last one shorter."""
    sessions = np.unique(prices["session"].to_numpy().astype("datetime64[D]"))
    sessions = sessions[(sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))]
    for at in range(0, len(sessions), refit_every):
        part = sessions[at : at + refit_every]
        yield Fold(first=part[0], last=part[-1])


def history(series: Series, fold: Fold) -> Array:
    """Return the training data of a fold: the values of the sessions before its first.

    A value is the sum of returns that ended at its session, so no target reaches into the fold.
    """
    return series.y_T[series.sessions_T < fold.first]


def origins(series: Series, fold: Fold, *, context: int, step: int) -> NDArray[np.int64]:
    """Return the bars to forecast from, shape (W,): in the fold, with a complete context and a bar `step` later."""
    t_T = np.arange(len(series.y_T))
    inside_T = (series.sessions_T >= fold.first) & (series.sessions_T <= fold.last)
    return t_T[inside_T & (t_T >= context - 1) & (t_T + step < len(t_T))]


def contexts(series: Series, t_W: NDArray[np.int64], context: int) -> Array:
    """Return the last `context` values up to each bar, itself included, shape (W, L)."""
    return np.asarray(series.y_T[t_W[:, None] + np.arange(1 - context, 1)])


def contract(
    series: Series,
    t_W: NDArray[np.int64],
    quantiles_WQ: Array,
    *,
    step: int,
    levels: Sequence[float],
    model: str,
    version: str,
) -> pd.DataFrame:
    """Return forecasts in the columns that the product publishes, in prices.

    Quantiles that cross are put in order (Chernozhukov, Fernández-Val & Galichon 2010), which never makes them worse.
    """
    close_W = series.close_T[t_W]
    returns_WQ = np.sort(quantiles_WQ, axis=1) * series.scale_T[t_W][:, None]
    columns: dict[str, Any] = {
        "symbol": series.symbol,
        "as_of": series.sessions_T[t_W].astype("datetime64[s]"),
        "step": np.full(len(t_W), step, np.int64),
        "target_session": series.sessions_T[t_W + step].astype("datetime64[s]"),
        "last_close": close_W,
        "model": model,
        "model_version": version,
    }
    prices_WQ = close_W[:, None] * np.exp(returns_WQ)
    return pd.DataFrame(columns | {f"q{level:g}": prices_WQ[:, at] for at, level in enumerate(levels)})
