"""Before the open or after the close: a moment on the clock of a market."""

from datetime import date, datetime

from pipeline.events.event import Time
from pipeline.market.sessions import Sessions


def time_of(moment: datetime, day: date, sessions: Sessions) -> Time:
    """Return whether a moment is before the open or after the close of its day; `unknown` between, and off sessions."""
    if not sessions.is_session(day):
        return "unknown"
    if moment <= sessions.opens_at(day):
        return "before_open"
    closes = sessions.complete_at(day) - sessions.close_delay
    return "after_close" if moment >= closes else "unknown"
