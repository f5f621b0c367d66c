"""Loading exchange calendars: fixed bounds that do not depend on today, and the day up to which one is recorded.

`exchange_calendars` covers, unless told otherwise, 20 years back from today and one year ahead: the same request would
mean something else a year later. Here every calendar covers `FIRST_DAY` to `LAST_DAY`, or as much of that as the
package has recorded; `pipeline.sessions` estimates the sessions beyond.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from pipeline.errors import BadSetting

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from exchange_calendars import ExchangeCalendar
    from numpy.typing import NDArray

FIRST_DAY, LAST_DAY = "1990-01-01", "2040-12-31"
PACKAGE = "exchange_calendars"


@dataclass(frozen=True, eq=False, kw_only=True)
class Recorded:
    """A calendar, and the days between which the package knows which ones are sessions."""

    calendar: "ExchangeCalendar"
    since: date
    until: date

    @cached_property
    def days(self) -> "NDArray[np.datetime64]":
        """The sessions, ascending."""
        found: NDArray[np.datetime64] = self.calendar.sessions.to_numpy("datetime64[D]")
        return found

    @property
    def weekmask(self) -> str:
        """The days of the week with sessions, Monday first, as last in force: `1111100`."""
        return str(self.calendar.weekmask)


def known_calendars() -> frozenset[str]:
    """Return the codes and aliases of the calendars that the installed package has."""
    import exchange_calendars

    return frozenset(exchange_calendars.get_calendar_names(include_aliases=True))


@lru_cache(maxsize=64)
def load(exchange: str) -> Recorded:
    """Return the calendar with this code. Raises BadSetting for one that does not exist or cannot be built."""
    import exchange_calendars

    try:
        return _between(exchange, FIRST_DAY, LAST_DAY)
    except exchange_calendars.errors.InvalidCalendarName:
        known = ", ".join(sorted(exchange_calendars.get_calendar_names(include_aliases=False))[:8])
        raise BadSetting(
            f"PIPELINE_EXCHANGE={exchange!r} is no exchange calendar; use a code such as XNYS or XLON ({known}, …)"
        ) from None
    except (ValueError, NotImplementedError):
        pass  # it is recorded for fewer years, or cannot be built at all
    try:
        usual = exchange_calendars.get_calendar(exchange)
        return _between(exchange, *_within(usual.bound_min(), usual.bound_max()))
    except (ValueError, NotImplementedError) as error:
        raise BadSetting(
            f"the calendar {exchange!r} cannot be made by {PACKAGE} here ({str(error)[:80]}); use another, "
            "such as 24/5 for every weekday"
        ) from None


def _between(exchange: str, first: str, last: str) -> Recorded:
    import exchange_calendars

    return Recorded(
        calendar=exchange_calendars.get_calendar(exchange, start=first, end=last),
        since=date.fromisoformat(first),
        until=date.fromisoformat(last),
    )


def _within(first: "pd.Timestamp | None", last: "pd.Timestamp | None") -> tuple[str, str]:
    """Return the days from which and up to which a calendar with these bounds is loaded."""
    return (
        FIRST_DAY if first is None else max(FIRST_DAY, first.date().isoformat()),
        LAST_DAY if last is None else min(LAST_DAY, last.date().isoformat()),
    )
