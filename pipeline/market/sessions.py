"""Sessions of an exchange: which exist, when each is complete, and which one was completed last.

A session is a `datetime.date`, a moment an aware `datetime`. Nothing here reads the time: `now` is an argument.

Calendars are recorded for some years only (Bombay's up to the end of this one, Riyadh's from 2021). Sessions before and
after are *estimated*: every day of the market's trading week counts as one, holidays are not known, and it opens and
closes at its usual times. `is_estimated` tells them apart.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pipeline.errors import BadSession
from pipeline.market.calendars import Recorded, load

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ONE_DAY = timedelta(days=1)


class Sessions:
    """The sessions of one exchange, half days and holidays included.

    `close_delay` is how long after the close a session's bar counts as complete.
    """

    def __init__(self, exchange: str, close_delay: timedelta = timedelta(minutes=30)) -> None:
        self.exchange = exchange
        self.close_delay = close_delay

    @cached_property
    def _recorded(self) -> Recorded:
        return load(self.exchange)

    @property
    def is_guessed(self) -> bool:
        """Whether the calendar cannot be built, so that every one of its sessions is estimated."""
        return self._recorded.guessed

    @property
    def recorded_until(self) -> date:
        """The last day that the calendar records."""
        return self._recorded.certain

    @property
    def half_days(self) -> "NDArray[np.datetime64]":
        """The recorded sessions that close early; none of a calendar that cannot be built."""
        return self._recorded.half_days

    def is_estimated(self, session: date) -> bool:
        """Whether a session is outside the recorded years: it may turn out to be a holiday."""
        book = self._recorded
        return book.guessed or not book.since <= session <= book.certain

    @property
    def zone(self) -> str:
        """The exchange's time zone, such as `America/New_York`."""
        return str(self._recorded.calendar.tz)

    def is_session(self, day: date) -> bool:
        """Whether `day` is a session, or an estimated one outside the recorded years."""
        return self.at_or_before(day) == day

    def require_session(self, day: date) -> date:
        """Return `day` if it is a session, else raise BadSession with the sessions around it."""
        if self.is_session(day):
            return day
        before = self.at_or_before(day)
        raise BadSession(
            f"{day} is not a session of {self.exchange} (weekend or holiday); "
            f"the sessions around it are {before} and {self.shift(before, 1)}"
        )

    def between(self, first: date, last: date) -> list[date]:
        """Return the sessions from `first` to `last`, both included."""
        if first > last:
            return []
        book = self._recorded
        start, end = max(first, book.since), min(last, book.until)
        recorded = slice(self._before(start), self._before(end + ONE_DAY)) if start <= end else slice(0)
        return [
            *self._trading_days(first, min(last, book.since - ONE_DAY)),
            *book.days[recorded].tolist(),
            *self._trading_days(max(first, book.until + ONE_DAY), last),
        ]

    def at_or_before(self, day: date) -> date:
        """Return the last session that is not after `day`."""
        if not self._is_within(day):
            session = self._trading_day(day, 0)
            return self._numbered(len(self._recorded.days) - 1) if self._is_within(session) else session
        return self._numbered(self._before(day + ONE_DAY) - 1)

    def shift(self, session: date, count: int) -> date:
        """Return the session `count` sessions after `session` (before it where negative).

        Raises BadSession where `session` is not a session.
        """
        return self._numbered(self._number(self.require_session(session)) + count)

    def following(self, session: date, count: int) -> list[date]:
        """Return the `count` sessions after `session`: the targets of a forecast made from it."""
        return self.between(self.shift(session, 1), self.shift(session, count)) if count else []

    def complete_at(self, session: date) -> datetime:
        """Return the moment (UTC) from which the session's bar counts as complete: its close plus the delay."""
        self.require_session(session)
        if self.is_estimated(session):
            calendar = self._recorded.calendar
            close = self._usual(session + timedelta(days=calendar.close_offset), calendar.close_times[-1][1])
        else:
            close = self._recorded.calendar.session_close(_stamp(session)).to_pydatetime()
        return close.astimezone(UTC) + self.close_delay

    def opens_at(self, session: date) -> datetime:
        """Return the moment (UTC) at which the session opens."""
        self.require_session(session)
        if self.is_estimated(session):
            calendar = self._recorded.calendar
            return self._usual(session + timedelta(days=calendar.open_offset), calendar.open_times[-1][1])
        opens: datetime = self._recorded.calendar.session_open(_stamp(session)).to_pydatetime()
        return opens.astimezone(UTC)

    def last_complete(self, now: datetime) -> date:
        """Return the last session that is complete at `now`."""
        session = self.at_or_before(now.astimezone(UTC).date() + ONE_DAY)  # east of Greenwich the date is a day ahead
        while self.complete_at(session) > now:
            session = self.shift(session, -1)
        return session

    def _usual(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def _is_within(self, day: date) -> bool:
        return self._recorded.since <= day <= self._recorded.until

    def _number(self, session: date) -> int:
        """Return the number of a session: recorded ones count from 0, estimated ones before are negative."""
        import numpy as np

        book = self._recorded
        mask = book.weekmask
        if session < book.since:
            return -int(np.busday_count(session, book.since, weekmask=mask))
        if session > book.until:
            after = np.busday_count(book.until + ONE_DAY, session + ONE_DAY, weekmask=mask)
            return len(book.days) - 1 + int(after)
        return self._before(session)

    def _numbered(self, number: int) -> date:
        book = self._recorded
        last = len(book.days) - 1
        if number < 0:
            return self._trading_day(book.since - ONE_DAY, number + 1)
        if number > last:
            return self._trading_day(book.until, number - last)
        found: date = book.days[number].astype(object)
        return found

    def _before(self, day: date) -> int:
        """Return how many recorded sessions lie before `day`."""
        import numpy as np

        return int(np.searchsorted(self._recorded.days, np.datetime64(day, "D")))

    def _trading_days(self, first: date, last: date) -> list[date]:
        days = (first + timedelta(days=at) for at in range((last - first).days + 1))
        return [day for day in days if self._recorded.weekmask[day.weekday()] == "1"]

    def _trading_day(self, day: date, count: int) -> date:
        """Return the day `count` days of the trading week after `day`, which is first rolled back into the week."""
        import numpy as np

        found: date = np.busday_offset(day, count, roll="backward", weekmask=self._recorded.weekmask).astype(object)
        return found


def _stamp(day: date) -> "pd.Timestamp":
    import pandas as pd  # 0.3 s, which reading the settings alone does not need

    return pd.Timestamp(day)
