"""Why a range is as wide as it is: the width of a published 90 % range against its usual width, in parts that add up.

Widths are those of log returns: log(q0.95 / q0.05). The usual width of a range over h sessions is

    usual = median volatility of the symbol · √h · standard width of h sessions,

the median over the last 252 sessions, and the standard width that of the 90 % range of the symbol's past returns over h
sessions, each in units of its volatility: what volatility-scaled historical simulation forecasts at that volatility.
The logarithm of width / usual is the sum of four parts, so that as factors they multiply:

    market     = mean, over the symbols of the market, of log(volatility / median volatility)
    volatility = the symbol's own log(volatility / median volatility), less the market's part
    event      = log of the factor by which scheduled reports widen the volatility over the h sessions
    model      = what remains: the published model against the standard width at this volatility and with these reports

A market of fewer than `FEWEST_SYMBOLS` symbols has no part; all of it is then the symbol's own.

Legend: S symbols, T sessions, N forecasts, H horizon.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.modeling.data.panel import Array, Index

USUAL = 252  # sessions whose median volatility is the usual one
FEWEST_SESSIONS = 126  # volatilities among them; with fewer a symbol has no usual width
FEWEST_SYMBOLS = 3


@dataclass(frozen=True, kw_only=True)
class WidthParts:
    """The logarithm of width over usual width and its four parts, each (N, H); NaN without a usual width."""

    total_NH: Array
    market_NH: Array
    volatility_NH: Array
    event_NH: Array
    model_NH: Array


def width_parts(
    scale_ST: Array,
    market_S: NDArray[np.int64],
    s_N: Index,
    t_N: Index,
    *,
    width_NH: Array,
    standard_NH: Array,
    event_NH: Array,
) -> WidthParts:
    """Return the parts of each width.

    `scale_ST` is the daily volatility known at each session, `width_NH` the published width, `standard_NH` that of
    volatility-scaled historical simulation at the same origins, `event_NH` the factor of scheduled reports (1 without).
    """
    deviation_N = _deviation(scale_ST, s_N, t_N)
    market_N = _market(scale_ST, market_S, s_N, t_N)
    ones_NH = np.ones_like(width_NH)
    with np.errstate(divide="ignore", invalid="ignore"):
        event_part_NH = np.log(event_NH)
        model_NH = np.log(width_NH) - np.log(standard_NH) - event_part_NH
    parts = (market_N[:, None] * ones_NH, (deviation_N - market_N)[:, None] * ones_NH, event_part_NH, model_NH)
    total_NH = parts[0] + parts[1] + parts[2] + parts[3]
    known_NH = np.isfinite(total_NH)
    total_NH, *parts_NH = (np.where(known_NH, each, np.nan) for each in (total_NH, *parts))
    return WidthParts(
        total_NH=total_NH,
        market_NH=parts_NH[0],
        volatility_NH=parts_NH[1],
        event_NH=parts_NH[2],
        model_NH=parts_NH[3],
    )


def _deviation(scale_ST: Array, s_N: Index, t_N: Index) -> Array:
    """Return log(volatility / its median over the last `USUAL` sessions), shape (N,); NaN with too few of them."""
    out_N = np.full(len(s_N), np.nan)
    for row, (s, t) in enumerate(zip(s_N.tolist(), t_N.tolist(), strict=True)):
        past = scale_ST[s, max(0, t - USUAL + 1) : t + 1]
        past = past[np.isfinite(past) & (past > 0)]
        now = scale_ST[s, t]
        if len(past) >= FEWEST_SESSIONS and np.isfinite(now) and now > 0:
            out_N[row] = np.log(now / np.median(past))
    return out_N


def _market(scale_ST: Array, market_S: NDArray[np.int64], s_N: Index, t_N: Index) -> Array:
    """Return the mean deviation of the symbols of each forecast's market at its session, shape (N,)."""
    found: dict[tuple[int, int], float] = {}
    for market, t in {*zip(market_S[s_N].tolist(), t_N.tolist(), strict=True)}:
        mine = np.flatnonzero(market_S == market)
        deviation = _deviation(scale_ST, mine, np.full(len(mine), t))
        deviation = deviation[np.isfinite(deviation)]
        found[market, t] = float(deviation.mean()) if len(deviation) >= FEWEST_SYMBOLS else 0.0
    return np.array([found[int(market_S[s]), int(t)] for s, t in zip(s_N, t_N, strict=True)], float)
