"""Inputs and targets of a network. Every value at t uses sessions up to t only.

Legend: S symbols, T sessions, F features, A inputs known ahead, N origins, H horizon. Returns are log total returns.

The scale of a symbol is its EWMA volatility (RiskMetrics, J.P. Morgan 1996: variance[t] = 0.94 · variance[t−1] +
0.06 · return[t]²). Inputs are divided by the scale of the session before, targets by the scale at the origin times
√step: the results are distributed nearly alike for all symbols and decades, so one network can serve them all. Where a
report is scheduled, the volatility over the steps to come includes the move that is expected of it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.forecast_schema import AHEAD_INPUTS, EVENT_INPUTS, PAST_INPUTS, SCHEDULED, ahead_columns
from pipeline.modeling.data.earnings_cycle import around_earlier_quarters
from pipeline.modeling.data.panel import Array, Index, Panel
from pipeline.modeling.data.report_days import Reports
from pipeline.modeling.data.scheduled_moves import ScheduledMoves, scheduled_moves

DECAY = 0.94
_SLOW_DECAY = 0.99
_VOLUME_DECAY = 0.95
WARM_UP = 20  # returns that the first volatility is computed from
_CLIP = 8.0  # features beyond eight volatilities are clipped
STILL = 1e-6  # below this daily volatility a price does not move


@dataclass(frozen=True, kw_only=True)
class Features:
    """Inputs and scales of every symbol and session; NaN-free where `usable_ST`."""

    panel: Panel
    x_STF: NDArray[np.float32]  # one column for each of `names`
    scale_ST: Array  # daily volatility known at t; NaN before the warm-up
    usable_ST: NDArray[np.bool_]
    names: tuple[str, ...] = PAST_INPUTS
    ahead_STA: NDArray[np.float32] | None = None  # a column for each of `ahead_columns()`; None: 0 everywhere
    scheduled: ScheduledMoves | None = None  # None without a calendar of reports

    def of(self, inputs: tuple[str, ...]) -> NDArray[np.float32]:
        """Return the columns of the past inputs among these, shape (S, T, F). Raises ValueError for an unknown one."""
        past = tuple(name for name in inputs if name not in AHEAD_INPUTS)
        if past == self.names:
            return self.x_STF
        unknown = sorted(set(past) - set(self.names))
        if unknown:
            raise ValueError(f"there is no input {', '.join(unknown)}; there are {', '.join(self.names)}")
        return np.ascontiguousarray(self.x_STF[..., [self.names.index(name) for name in past]])

    def ahead(self, inputs: tuple[str, ...]) -> NDArray[np.float32]:
        """Return the columns of those among these inputs that are known ahead, shape (S, T, A)."""
        every = ahead_columns()
        chosen = [every.index(name) for name in ahead_columns(inputs)]
        if self.ahead_STA is None:
            return np.zeros((*self.scale_ST.shape, len(chosen)), np.float32)
        return np.ascontiguousarray(self.ahead_STA[..., chosen])

    def without_reports(self) -> "Features":
        """Return these features as they are without a calendar of reports."""
        if self.scheduled is None:
            return self
        x_STF = self.x_STF.copy()
        x_STF[..., [at for at, name in enumerate(self.names) if name in EVENT_INPUTS]] = 0.0
        return replace(self, x_STF=x_STF, scheduled=None)

    def windows_with_reports(self, s_N: Index, t_N: Index) -> int:
        """Return how many of these windows have a scheduled report in the sessions after them."""
        return 0 if self.scheduled is None else int(self.scheduled.excess_STK[s_N, t_N].any(axis=1).sum())

    def report_due(self, s_N: Index, t_N: Index) -> NDArray[np.bool_] | None:
        """Return whether a scheduled report may move the session after each window, (N,); None without a calendar."""
        return None if self.scheduled is None else self.scheduled.next_session_ST[s_N, t_N]

    def spread(self, s_N: Index, t_N: Index, horizon: int, inputs: tuple[str, ...]) -> Array:
        """Return the volatility of the return over 1..horizon sessions after each origin, shape (N, H).

        That of the origin times √step; with the input `scheduled_volatility` times the effect of scheduled reports.
        """
        scale_NH = self.scale_ST[s_N, t_N][:, None] * np.sqrt(np.arange(1, horizon + 1))
        if SCHEDULED not in inputs or self.scheduled is None:
            return np.asarray(scale_NH)
        return np.asarray(scale_NH * self.scheduled.spread(s_N, t_N, horizon))


def make_features(panel: Panel, reports: Reports | None = None) -> Features:
    """Return the features of a panel, with its scheduled earnings reports if there are any."""
    return_ST = panel.return_ST
    scale_ST = ewma_volatility(return_ST, DECAY)
    slow_ST = ewma_volatility(return_ST, _SLOW_DECAY)
    before_ST = np.concatenate([np.full_like(scale_ST[:, :1], np.nan), _carried(scale_ST)[:, :-1]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled_ST = return_ST / before_ST
        intraday_ST = np.log(panel.close_ST / panel.open_ST)
        own_return_ST = return_ST - _market(return_ST, panel.market_S)
        scheduled = scheduled_moves(reports, own_return_ST, before_ST, scale_ST) if reports is not None else None
        columns = (
            scaled_ST,
            (return_ST - intraday_ST) / before_ST,
            np.log(panel.high_ST / panel.close_ST) / before_ST,
            np.log(panel.low_ST / panel.close_ST) / before_ST,
            _volume_against_average(panel.volume_ST),
            _market(scaled_ST, panel.market_S),
            _market(np.abs(scaled_ST), panel.market_S),
            np.log(scale_ST / slow_ST),
            *around_earlier_quarters(own_return_ST / before_ST),
        )
    x_STF = np.zeros((*return_ST.shape, len(PAST_INPUTS)), np.float32)
    for at, column_ST in enumerate(columns):
        np.clip(column_ST, -_CLIP, _CLIP, out=x_STF[..., at], casting="same_kind")
    if scheduled is not None:  # else the flags are 0
        flags = (scheduled.reported_today_ST, scheduled.reported_yesterday_ST, scheduled.calendar_ST)
        x_STF[..., len(columns) :] = np.stack(flags, axis=-1)
    usable_ST = np.isfinite(x_STF).all(axis=-1) & (scale_ST > STILL)
    x_STF[~usable_ST] = 0.0
    return Features(
        panel=panel,
        x_STF=x_STF,
        scale_ST=scale_ST,
        usable_ST=usable_ST,
        ahead_STA=_calendar_ahead(panel),
        scheduled=scheduled,
    )


def future_returns(return_ST: Array, horizon: int) -> Array:
    """Return the cumulative return over 1..horizon sessions after each session, shape (S, T, H); NaN at the end."""
    count = return_ST.shape[1]
    out_STH = np.full((*return_ST.shape, horizon), np.nan)
    total_ST = np.zeros_like(return_ST)
    for step in range(1, min(horizon, count - 1) + 1):
        total_ST = total_ST[:, : count - step] + return_ST[:, step:]
        out_STH[:, : count - step, step - 1] = total_ST
        total_ST = np.concatenate([total_ST, np.full((len(return_ST), step), np.nan)], axis=1)
    return out_STH


def ewma_volatility(return_ST: Array, decay: float) -> Array:
    """Return the EWMA volatility known at each session, shape (S, T).

    The first value is the root mean square of the first `WARM_UP` returns; NaN before it and without a bar.
    """
    squares_ST = return_ST**2
    there_ST = np.isfinite(squares_ST)
    seen_ST = there_ST.cumsum(axis=1)
    out_ST = np.full_like(return_ST, np.nan)
    variance_S = np.zeros(len(return_ST))
    for t in range(return_ST.shape[1]):
        there_S, seen_S = there_ST[:, t], seen_ST[:, t]
        weight_S = np.where(seen_S <= WARM_UP, 1 / np.maximum(seen_S, 1), 1 - decay)
        moved_S = (1 - weight_S) * variance_S + weight_S * np.where(there_S, squares_ST[:, t], 0.0)
        variance_S = np.where(there_S, moved_S, variance_S)
        out_ST[:, t] = np.where(there_S & (seen_S >= WARM_UP), np.sqrt(variance_S), np.nan)
    return out_ST


def _calendar_ahead(panel: Panel) -> NDArray[np.float32] | None:
    """Return for each session the days without trading before the next one, and whether that is a half day.

    None if the panel does not name the session after its last one.
    """
    if not panel.coming_MK.size:
        return None
    last = panel.last + 1
    closed_MT = np.nan_to_num(np.diff(panel.dates_MX[:, : last + 1], axis=1).astype(float), nan=1.0) - 1
    ahead_MTA = np.stack([np.clip(closed_MT, 0, _CLIP), panel.half_MX[:, 1 : last + 1].astype(float)], axis=-1)
    return np.asarray(ahead_MTA.astype(np.float32)[panel.market_S])


def _volume_against_average(volume_ST: Array) -> Array:
    """Return the log of volume over its EWMA before the session; 0 without volume."""
    with np.errstate(divide="ignore"):
        log_ST = np.log(volume_ST)
    traded_ST = np.isfinite(log_ST)
    out_ST = np.zeros_like(log_ST)
    average_S = np.full(len(log_ST), np.nan)
    for t in range(log_ST.shape[1]):
        traded_S, value_S = traded_ST[:, t], log_ST[:, t]
        started_S = np.isfinite(average_S)
        out_ST[:, t] = np.where(traded_S & started_S, value_S - average_S, 0.0)
        mixed_S = np.where(started_S, _VOLUME_DECAY * average_S + (1 - _VOLUME_DECAY) * value_S, value_S)
        average_S = np.where(traded_S, mixed_S, average_S)
    return out_ST


def _market(values_ST: Array, market_S: NDArray[np.int64]) -> Array:
    """Return for every symbol the mean of each session over the symbols of its market.

    Other markets do not count: their session of the same day may close later.
    """
    out_ST = np.empty_like(values_ST)
    for market in np.unique(market_S):
        mine = market_S == market
        there_ST = np.isfinite(values_ST[mine])
        count_T = there_ST.sum(axis=0)
        mean_T = np.where(there_ST, values_ST[mine], 0.0).sum(axis=0) / np.maximum(count_T, 1)
        out_ST[mine] = np.where(count_T > 0, mean_T, np.nan)
    return out_ST


def _carried(values_ST: Array) -> Array:
    """Return the values with gaps filled forward: a symbol keeps its scale over a missing bar."""
    at_ST = np.where(np.isfinite(values_ST), np.arange(values_ST.shape[1]), 0)
    return np.take_along_axis(values_ST, np.maximum.accumulate(at_ST, axis=1), axis=1)
