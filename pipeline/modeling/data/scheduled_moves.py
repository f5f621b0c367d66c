"""How far scheduled reports will move a price: what is known of it at each session, from past reports alone.

A report moves the session of its day, the next one, or both: most calendars do not say whether it comes before the open
or after the close, but a company rarely changes its habit. The expected move of either session, in units of the
volatility known now, is the mean of two estimates from the symbol's own last eight reports: their moves in units of the
volatility at their time, and their moves as they were. Both are shrunk towards a move of two volatilities with the
weight of three reports, so that a symbol with few of them has a usual one.

Legend: S symbols, T sessions, E reports, R reports looked back on, K coming sessions, N origins, H horizon.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.modeling.data.panel import Array, Index
from pipeline.modeling.data.report_days import REVEALED, Reports

_LOOKED_BACK = 8  # reports: two years
_PRIOR, _PRIOR_REPORTS = 2.0, 3.0
_MOST = 6.0  # volatilities: larger moves are clipped …
_MOST_RAW = 10.0  # … of the volatility at their time, for moves as they were
_USUAL = 0.8  # the mean absolute value of a standard normal variable: a session's usual move in volatilities
_KNOWN_FOR = 100  # sessions after a report in which a calendar counts as known: more than a quarter


@dataclass(frozen=True, kw_only=True)
class ScheduledMoves:
    """What is known at each session of the reports around it. Everything at t uses what was known at t."""

    reported_today_ST: NDArray[np.bool_]  # whether a report may have moved this session on its own day
    reported_yesterday_ST: NDArray[np.bool_]  # … or as the session after its day
    next_session_ST: NDArray[np.bool_]  # whether a report may move the session after this one
    calendar_ST: NDArray[np.bool_]  # whether the symbol's reports are known at all
    # The expected variance of the session k ahead beyond the usual one, in units of the daily variance; 0 without one.
    excess_STK: NDArray[np.float32]

    @property
    def moves_next_ST(self) -> NDArray[np.bool_]:
        """Whether a report may have moved the session after each, in hindsight; False at the last one."""
        moved_ST = self.reported_today_ST | self.reported_yesterday_ST
        return np.concatenate([moved_ST[:, 1:], np.zeros_like(moved_ST[:, :1])], axis=1)

    def spread(self, s_N: Index, t_N: Index, horizon: int) -> Array:
        """Return the volatility over 1..horizon sessions after each origin, over one without reports, shape (N, H)."""
        excess_NH = np.zeros((len(s_N), horizon))
        width = min(horizon, self.excess_STK.shape[2])
        excess_NH[:, :width] = self.excess_STK[s_N, t_N, :width]
        return np.asarray(np.sqrt(1.0 + excess_NH.cumsum(axis=1) / np.arange(1, horizon + 1)))


def scheduled_moves(reports: Reports, own_ST: Array, before_ST: Array, scale_ST: Array) -> ScheduledMoves:
    """Return what reports mean at each session.

    `own_ST` are log returns less the market's, `before_ST` the volatility before each, `scale_ST` the one after it.
    """
    shape = own_ST.shape
    own_move_ST = _excess(_expected(reports, own_ST, before_ST, scale_ST, lag=0))
    next_move_ST = _excess(_expected(reports, own_ST, before_ST, scale_ST, lag=1))
    next_session_ST = _marked(reports, shape, 1, reports.moves_own_E) | _marked(reports, shape, 0, reports.moves_next_E)
    excess_STK = np.zeros((*shape, REVEALED), np.float32)
    for k in range(1, REVEALED + 1):
        excess_STK[..., k - 1] += own_move_ST * _marked(reports, shape, k, reports.moves_own_E)
        excess_STK[..., k - 1] += next_move_ST * _marked(reports, shape, k - 1, reports.moves_next_E)
    return ScheduledMoves(
        reported_today_ST=_marked(reports, shape, 0, reports.moves_own_E),
        reported_yesterday_ST=_marked(reports, shape, -1, reports.moves_next_E),
        next_session_ST=next_session_ST,
        calendar_ST=_known(reports, shape),
        excess_STK=excess_STK,
    )


def _marked(reports: Reports, shape: tuple[int, ...], ahead: int, which_E: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether a report `ahead` sessions after each session, before it where negative, is known there."""
    at_E = reports.t_E - ahead
    rows = which_E & (at_E >= 0) & (at_E < shape[1]) & reports.known_at(at_E)
    marked_ST = np.zeros(shape, bool)
    marked_ST[reports.s_E[rows], at_E[rows]] = True
    return marked_ST


def _known(reports: Reports, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a report of the symbol is known that is close, or less than about a quarter ago."""
    first_E = np.clip(np.maximum(reports.since_E, reports.t_E - REVEALED), 0, shape[1])
    after_E = np.clip(np.minimum(reports.until_E, reports.t_E + _KNOWN_FOR + 1), first_E, shape[1])
    change_SX = np.zeros((shape[0], shape[1] + 1), np.int64)
    np.add.at(change_SX, (reports.s_E, first_E), 1)
    np.add.at(change_SX, (reports.s_E, after_E), -1)
    return np.asarray(change_SX.cumsum(axis=1)[:, :-1] > 0)


def _excess(move_ST: Array) -> Array:
    """Return the variance that a move of this mean size adds to the usual one, in units of it."""
    return np.maximum((move_ST / _USUAL) ** 2 - 1.0, 0.0)


def _expected(reports: Reports, own_ST: Array, before_ST: Array, scale_ST: Array, *, lag: int) -> Array:
    """Return the expected move `lag` sessions after a report, in units of the volatility known at each session."""
    at_E = reports.t_E + lag
    rows = np.flatnonzero(
        (reports.moves_next_E if lag else reports.moves_own_E) & (at_E < own_ST.shape[1]) & reports.known_at(at_E)
    )
    s_E, at_E = reports.s_E[rows], at_E[rows]
    move_E, before_E = np.abs(own_ST[s_E, at_E]), before_ST[s_E, at_E]
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.isfinite(move_E) & (before_E > 0)
        s_E, at_E, move_E, before_E = s_E[kept], at_E[kept], move_E[kept], before_E[kept]
        scaled_E = np.minimum(move_E / before_E, _MOST)
    raw_E = np.minimum(move_E, _MOST_RAW * before_E)
    # How many of these moves had been seen at each session, and their sums over the last ones.
    seen_ST = np.zeros(own_ST.shape, np.int64)
    np.add.at(seen_ST, (s_E, at_E), 1)
    seen_ST = seen_ST.cumsum(axis=1)
    first_S = np.searchsorted(s_E, np.arange(len(own_ST)))
    newest_ST = first_S[:, None] + seen_ST
    number_E = np.arange(len(s_E)) - first_S[s_E] + 1
    used_ST = np.minimum(seen_ST, _LOOKED_BACK) + _PRIOR_REPORTS
    by_scale_ST = (_last_sums(scaled_E, number_E)[newest_ST] * (seen_ST > 0) + _PRIOR_REPORTS * _PRIOR) / used_ST
    with np.errstate(divide="ignore", invalid="ignore"):
        raw_ST = _last_sums(raw_E, number_E)[newest_ST] * (seen_ST > 0) / scale_ST
    as_it_was_ST = np.minimum((np.nan_to_num(raw_ST, posinf=0.0) + _PRIOR_REPORTS * _PRIOR) / used_ST, _MOST_RAW)
    return np.asarray((by_scale_ST + as_it_was_ST) / 2)


def _last_sums(value_E: Array, number_E: Index) -> Array:
    """Return the sum of the last values of the symbol up to each report, shape (E + 1,), after a first 0.

    Added up report by report: a running difference would let one symbol change the last bit of another.
    """
    padded = np.concatenate([np.zeros(_LOOKED_BACK), value_E])
    windows_ER = np.lib.stride_tricks.sliding_window_view(padded, _LOOKED_BACK)[1:]
    mine_ER = np.arange(_LOOKED_BACK)[::-1] < number_E[:, None]
    return np.concatenate([[0.0], np.where(mine_ER, windows_ER, 0.0).sum(axis=1)])
