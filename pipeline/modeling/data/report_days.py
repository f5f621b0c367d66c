"""The earnings reports of a calendar on the axes of a panel: on which session each is, and in which it was known.

Legend: E reports, one row for each interval in which one stood as described.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.modeling.data.panel import COMING, Index, Panel

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.market.sessions import Sessions

# Of an event whose announcement is not known. Within five sessions nearly all dates of earnings reports are fixed.
REVEALED = COMING
_LONG_BEFORE = np.timedelta64(30, "D")  # an announcement so early needs no session: nothing reads that far ahead
_NEVER = np.iinfo(np.int64).max


def _none() -> Index:
    return np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class Reports:
    """Earnings reports by symbol and session, sorted by both.

    A report on a day without a session counts for the next one. `t_E` may lie beyond the last session of the panel, by
    as many sessions as it names. A report is known at the session t if `since_E <= t < until_E`.
    """

    s_E: Index = field(default_factory=_none)
    t_E: Index = field(default_factory=_none)
    since_E: Index = field(default_factory=_none)
    until_E: Index = field(default_factory=_none)
    # Which sessions its news may move: that of its own day, unless it comes after the close, and the next one, unless
    # it comes before the open.
    moves_own_E: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    moves_next_E: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))

    def __len__(self) -> int:
        return len(self.s_E)

    def known_at(self, t_E: Index) -> NDArray[np.bool_]:
        """Return whether each report is known at its session in `t_E`, shape (E,)."""
        return np.asarray((self.since_E <= t_E) & (t_E < self.until_E))


def report_days(panel: Panel, frame: "pd.DataFrame", sessions_of: Callable[[str], "Sessions"]) -> Reports:
    """Return the earnings reports of the panel's symbols; `frame` is that of `pipeline.events.event.Calendar`."""
    mine = frame[(frame["kind"] == "earnings") & frame["symbol"].isin(panel.symbols)]
    if mine.empty:
        return Reports()
    s_E = np.searchsorted(np.array(panel.symbols), mine["symbol"].to_numpy(dtype=np.str_))  # symbols are sorted
    day_E = mine["day"].to_numpy().astype("datetime64[D]")
    t_E = np.full(len(s_E), -1, np.int64)
    since_E, until_E = np.zeros(len(s_E), np.int64), np.full(len(s_E), _NEVER)
    on_session_E = np.zeros(len(s_E), bool)
    for market, dates_X in enumerate(panel.dates_MX):
        rows = np.flatnonzero(panel.market_S[s_E] == market)
        if not len(rows):
            continue
        first = int(np.isnat(dates_X).sum())
        axis = dates_X[first:]
        at = np.searchsorted(axis, day_E[rows]) + first
        on_session_E[rows] = axis[np.minimum(at - first, len(axis) - 1)] == day_E[rows]
        t_E[rows] = np.where((day_E[rows] >= axis[0]) & (at < len(dates_X)), at, -1)
        moments = _Moments(sessions_of(panel.symbols[s_E[rows[0]]]), axis, first)
        known = mine["known_from"].to_numpy()[rows], mine["known_until"].to_numpy()[rows]
        since_E[rows] = moments.since(known[0], day_E[rows], t_E[rows])
        until_E[rows] = moments.until(known[1])
    # What happens on a day without a session moves the next one, at whatever time it happens.
    time = np.where(on_session_E, mine["time"].to_numpy(), "before_open")
    kept = np.flatnonzero(t_E >= 0)
    kept = kept[np.lexsort((since_E[kept], t_E[kept], s_E[kept]))]
    return Reports(
        s_E=s_E[kept],
        t_E=t_E[kept],
        since_E=since_E[kept],
        until_E=until_E[kept],
        moves_own_E=(time != "after_close")[kept],
        moves_next_E=(time != "before_open")[kept],
    )


class _Moments:
    """The session to whose knowledge a moment belongs: the last one that was complete, as `SessionClock.known_by`."""

    def __init__(self, sessions: "Sessions", axis: NDArray[np.datetime64], first: int) -> None:
        self._sessions, self._axis, self._first = sessions, axis, first

    def since(self, known_E: NDArray[np.datetime64], day_E: NDArray[np.datetime64], t_E: Index) -> Index:
        """Return from which session on each event is known."""
        fixed_E = np.isnat(known_E) | (known_E < day_E - _LONG_BEFORE)
        out_E = t_E - REVEALED
        out_E[~fixed_E] = self._places(known_E[~fixed_E])
        return out_E

    def until(self, known_E: NDArray[np.datetime64]) -> Index:
        """Return from which session on each event is not known any more."""
        out_E = np.full(len(known_E), _NEVER)
        ends_E = ~np.isnat(known_E)
        out_E[ends_E] = self._places(known_E[ends_E])
        return out_E

    def _places(self, moment_N: NDArray[np.datetime64]) -> Index:
        """Return the session of each moment; each session is looked up once, in ascending order."""
        moments, which_N = np.unique(moment_N.astype("datetime64[s]"), return_inverse=True)
        places = np.empty(len(moments), np.int64)
        place, complete = 0, datetime.min.replace(tzinfo=UTC)
        for at, moment in enumerate(moments.tolist()):
            known = moment.replace(tzinfo=UTC)
            if known >= complete:  # the next session is complete
                session = self._sessions.last_complete(known)
                place, complete = self._place(session), self._sessions.complete_at(self._sessions.shift(session, 1))
            places[at] = place
        return places[which_N]

    def _place(self, session: date) -> int:
        day = np.datetime64(session, "D")
        beyond = int(day > self._axis[-1])  # nothing of the panel knows of it, wherever its axis ends
        return self._first + int(np.searchsorted(self._axis, day, side="right")) - 1 + beyond
