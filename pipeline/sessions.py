"""The exchange's clock: which sessions exist, when each has closed, and which one is the last complete one.

A session is a `datetime.date`, a moment an aware `datetime`. Nothing here reads the time: `now` is an argument.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from pipeline.errors import BadSession, BadSetting

if TYPE_CHECKING:
    import pandas as pd
    from exchange_calendars import ExchangeCalendar

# exchange_calendars starts 20 years back unless told; price histories go further.
FIRST_DAY = "1990-01-01"
# Some are recorded from later on: Shanghai from 1991, Tokyo and Bombay from 1997.
_STARTS = (FIRST_DAY, "1991-01-01", "1997-01-01", "2002-01-01", None)


class Sessions:
    """The sessions of one exchange, half days and holidays included.

    `close_delay` is how long after the close a session's bar counts as complete.
    """

    def __init__(self, exchange: str, close_delay: timedelta = timedelta(minutes=30)) -> None:
        self.exchange = exchange
        self.close_delay = close_delay

    @cached_property
    def _calendar(self) -> "ExchangeCalendar":
        return _calendar(self.exchange)

    @property
    def zone(self) -> str:
        """The exchange's time zone, such as `America/New_York`."""
        return str(self._calendar.tz)

    def is_session(self, day: date) -> bool:
        """Whether `day` is a session; False outside the calendar's range."""
        calendar = self._calendar
        inside = calendar.first_session.date() <= day <= calendar.last_session.date()
        return inside and bool(calendar.is_session(_stamp(day)))

    def require_session(self, day: date) -> date:
        """Return `day`, or raise BadSession that names the sessions around it."""
        if self.is_session(day):
            return day
        first, last = self._calendar.first_session.date(), self._calendar.last_session.date()
        if not first <= day <= last:
            raise BadSession(f"{day} is outside the calendar of {self.exchange}, which has {first} to {last}")
        before, after = (
            self._calendar.date_to_session(str(day), "previous"),
            self._calendar.date_to_session(str(day), "next"),
        )
        raise BadSession(
            f"{day} is not a session of {self.exchange} (weekend or holiday); "
            f"the sessions around it are {before.date()} and {after.date()}"
        )

    def between(self, first: date, last: date) -> list[date]:
        """Return the sessions from `first` to `last`, both included."""
        calendar = self._calendar
        start = max(_stamp(first), calendar.first_session)
        end = min(_stamp(last), calendar.last_session)
        if end < start:
            return []
        return [stamp.date() for stamp in calendar.sessions_in_range(start, end)]

    def at_or_before(self, day: date) -> date:
        """Return the last session that is not after `day`."""
        session: date = self._calendar.date_to_session(str(day), "previous").date()
        return session

    def shift(self, session: date, count: int) -> date:
        """Return the session `count` sessions after `session` (before it where negative)."""
        shifted: date = self._calendar.session_offset(_stamp(session), count).date()
        return shifted

    def following(self, session: date, count: int) -> list[date]:
        """Return the `count` sessions after `session`: the targets of a forecast made from it."""
        window = self._calendar.sessions_window(self.shift(session, 1).isoformat(), count)
        return [stamp.date() for stamp in window]

    def complete_at(self, session: date) -> datetime:
        """Return the moment (UTC) from which the session's bar counts as complete: its close plus the delay."""
        close: datetime = self._calendar.session_close(_stamp(session)).to_pydatetime()
        return close.astimezone(UTC) + self.close_delay

    def opens_at(self, session: date) -> datetime:
        """Return the moment (UTC) at which the session opens."""
        opens: datetime = self._calendar.session_open(_stamp(session)).to_pydatetime()
        return opens.astimezone(UTC)

    def last_complete(self, now: datetime) -> date:
        """Return the last session that is complete at `now`."""
        day = now.astimezone(UTC).date() + timedelta(days=1)  # exchanges east of Greenwich are a day ahead
        stamp = self._calendar.date_to_session(min(_stamp(day), self._calendar.last_session), "previous")
        session: date = stamp.date()
        while self.complete_at(session) > now:
            session = self.shift(session, -1)
        return session


def _stamp(day: date) -> "pd.Timestamp":
    import pandas as pd  # a third of a second, which who reads only the settings does not need to wait

    return pd.Timestamp(day)


@lru_cache(maxsize=64)
def _calendar(exchange: str) -> "ExchangeCalendar":
    import exchange_calendars

    for start in _STARTS:
        try:
            return exchange_calendars.get_calendar(exchange, start=start)
        except exchange_calendars.errors.InvalidCalendarName:
            known = ", ".join(sorted(exchange_calendars.get_calendar_names(include_aliases=False))[:8])
            raise BadSetting(
                f"PIPELINE_EXCHANGE={exchange!r} is no exchange calendar; use a code such as XNYS or XLON ({known}, …)"
            ) from None
        except (ValueError, NotImplementedError) as error:
            reason = str(error)[:80]
    raise BadSetting(
        f"the calendar {exchange!r} cannot be made by exchange_calendars here ({reason}); use another, "
        "such as 24/5 for every weekday"
    )
