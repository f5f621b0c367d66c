"""How far scheduled reports will move a price: what is known of it at each session, from past reports alone.

A report moves the session of its day, the next one, or both: most calendars do not say whether it comes before the open
or after the close, but a company rarely changes its habit. The expected move of either session, in units of the
volatility known now, is the mean of two estimates from the symbol's own last eight reports: their moves in units of the
volatility at their time, and their moves as they were. Both are shrunk towards a move of two volatilities with the
weight of three reports, so that a symbol with few of them has a usual one.

Reports are few: everything but the flags is computed only where one is near.

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

    def spread(self, s_N: Index, t_N: Index, horizon: int) -> Array:
        """Return the volatility over 1..horizon sessions after each origin, over one without reports, shape (N, H)."""
        return _spread(self.excess_STK[s_N, t_N], horizon)

    def spread_of_all(self, horizon: int) -> Array:
        """Return the same for every symbol and session, shape (S, T, H)."""
        return _spread(self.excess_STK, horizon)


def scheduled_moves(reports: Reports, own_ST: Array, before_ST: Array, scale_ST: Array) -> ScheduledMoves:
    """Return what reports mean at each session.

    `own_ST` are log returns less the market's, `before_ST` the volatility before each, `scale_ST` the one after it.
    """
    shape = own_ST.shape
    excess_STK = np.zeros((*shape, REVEALED), np.float32)
    for lag, moves_E in ((0, reports.moves_own_E), (1, reports.moves_next_E)):
        past = _past_moves(reports, own_ST, before_ST, lag=lag)
        for k in range(1, REVEALED + 1):
            s_N, t_N = _marked(reports, shape, k - lag, moves_E)
            excess_STK[s_N, t_N, k - 1] += _excess(past.expected(s_N, t_N, scale_ST))
    return ScheduledMoves(
        reported_today_ST=_flag(reports, shape, 0, reports.moves_own_E),
        reported_yesterday_ST=_flag(reports, shape, -1, reports.moves_next_E),
        next_session_ST=_flag(reports, shape, 1, reports.moves_own_E) | _flag(reports, shape, 0, reports.moves_next_E),
        calendar_ST=_known(reports, shape),
        excess_STK=excess_STK,
    )


def _spread(excess_XK: NDArray[np.float32], horizon: int) -> Array:
    """Return the spread over 1..horizon sessions from the excess of each; further ahead than known there is none."""
    excess_XH = np.zeros((*excess_XK.shape[:-1], horizon))
    width = min(horizon, excess_XK.shape[-1])
    excess_XH[..., :width] = excess_XK[..., :width]
    return np.asarray(np.sqrt(1.0 + excess_XH.cumsum(axis=-1) / np.arange(1, horizon + 1)))


def _marked(reports: Reports, shape: tuple[int, ...], ahead: int, which_E: NDArray[np.bool_]) -> tuple[Index, Index]:
    """Return each symbol and session from which a report `ahead` sessions after it, if negative before it, is known."""
    at_E = reports.t_E - ahead
    rows = which_E & (at_E >= 0) & (at_E < shape[1]) & reports.known_at(at_E)
    s_N, t_N = np.divmod(np.unique(reports.s_E[rows] * shape[1] + at_E[rows]), shape[1])
    return s_N, t_N


def _flag(reports: Reports, shape: tuple[int, ...], ahead: int, which_E: NDArray[np.bool_]) -> NDArray[np.bool_]:
    flag_ST = np.zeros(shape, bool)
    flag_ST[_marked(reports, shape, ahead, which_E)] = True
    return flag_ST


def _known(reports: Reports, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a report of the symbol is known that is close, or less than about a quarter ago."""
    first_E = np.clip(np.maximum(reports.since_E, reports.t_E - REVEALED), 0, shape[1])
    after_E = np.clip(np.minimum(reports.until_E, reports.t_E + _KNOWN_FOR + 1), first_E, shape[1])
    change_SX = np.zeros((shape[0], shape[1] + 1), np.int32)
    np.add.at(change_SX, (reports.s_E, first_E), 1)
    np.add.at(change_SX, (reports.s_E, after_E), -1)
    return np.asarray(np.cumsum(change_SX, axis=1, out=change_SX)[:, :-1] > 0)


def _excess(move_N: Array) -> Array:
    """Return the variance that a move of this mean size adds to the usual one, in units of it."""
    return np.maximum((move_N / _USUAL) ** 2 - 1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class _PastMoves:
    """The moves of one lag after reports, sorted by symbol and session, and their sums over the last ones."""

    key_E: Index  # symbol · sessions + session
    first_S: Index  # the row of each symbol's first move
    scaled_X: Array  # sums of the last moves in volatilities of their time, shape (E + 1,): see `_last_sums`
    raw_X: Array  # … as they were

    def expected(self, s_N: Index, t_N: Index, scale_ST: Array) -> Array:
        """Return the expected move in units of the volatility known at each session, shape (N,)."""
        newest_N = np.searchsorted(self.key_E, s_N * scale_ST.shape[1] + t_N, side="right")
        seen_N = newest_N - self.first_S[s_N]
        used_N = np.minimum(seen_N, _LOOKED_BACK) + _PRIOR_REPORTS
        by_scale_N = (self.scaled_X[newest_N] * (seen_N > 0) + _PRIOR_REPORTS * _PRIOR) / used_N
        with np.errstate(divide="ignore", invalid="ignore"):
            raw_N = self.raw_X[newest_N] * (seen_N > 0) / scale_ST[s_N, t_N]
        as_it_was_N = np.minimum((np.nan_to_num(raw_N, posinf=0.0) + _PRIOR_REPORTS * _PRIOR) / used_N, _MOST_RAW)
        return np.asarray((by_scale_N + as_it_was_N) / 2)


def _past_moves(reports: Reports, own_ST: Array, before_ST: Array, *, lag: int) -> _PastMoves:
    """Return the moves `lag` sessions after each report that was known by then."""
    at_E = reports.t_E + lag
    rows = np.flatnonzero(
        (reports.moves_next_E if lag else reports.moves_own_E) & (at_E < own_ST.shape[1]) & reports.known_at(at_E)
    )
    s_E, at_E = reports.s_E[rows], at_E[rows]
    move_E, before_E = np.abs(own_ST[s_E, at_E]), before_ST[s_E, at_E]
    kept = np.isfinite(move_E) & (before_E > 0)
    s_E, at_E, move_E, before_E = s_E[kept], at_E[kept], move_E[kept], before_E[kept]
    first_S = np.searchsorted(s_E, np.arange(len(own_ST)))
    number_E = np.arange(len(s_E)) - first_S[s_E] + 1
    return _PastMoves(
        key_E=s_E * own_ST.shape[1] + at_E,
        first_S=first_S,
        scaled_X=_last_sums(np.minimum(move_E / before_E, _MOST), number_E),
        raw_X=_last_sums(np.minimum(move_E, _MOST_RAW * before_E), number_E),
    )


def _last_sums(value_E: Array, number_E: Index) -> Array:
    """Return the sum of the last values of the symbol up to each report, shape (E + 1,), after a first 0.

    Added up report by report: a running difference would let one symbol change the last bit of another.
    """
    padded = np.concatenate([np.zeros(_LOOKED_BACK), value_E])
    windows_ER = np.lib.stride_tricks.sliding_window_view(padded, _LOOKED_BACK)[1:]
    mine_ER = np.arange(_LOOKED_BACK)[::-1] < number_E[:, None]
    return np.concatenate([[0.0], np.where(mine_ER, windows_ER, 0.0).sum(axis=1)])
