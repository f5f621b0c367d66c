"""When on its day a report comes, from the moment that Yahoo states and the sessions of the symbol's market."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from pipeline.events.event import Time
from pipeline.events.market_times import time_of
from pipeline.market.sessions import Sessions

# Yahoo's words for the time of a report: before the open, after the close, and not supplied.
_STATED: dict[str, Time] = {"BMO": "before_open", "AMC": "after_close", "TNS": "unknown"}
_SUPPLIED = "TAS"  # the moment is the time of the report


def day_and_time(moment: datetime, timing: str, sessions: Sessions) -> tuple[date, Time]:
    """Return the day of a report in the zone of its market, and whether it comes before the open or after the close.

    `moment` is aware, `timing` is Yahoo's word or empty. Midnight in UTC is a day without a time, unless the time is
    said to be supplied.
    """
    utc = moment.astimezone(UTC)
    if utc.time() == time(0) and timing != _SUPPLIED:
        return utc.date(), _STATED.get(timing, "unknown")
    day = moment.astimezone(ZoneInfo(sessions.zone)).date()
    return day, _STATED.get(timing) or time_of(moment, day, sessions)
