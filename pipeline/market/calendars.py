"""Loading exchange calendars: fixed bounds that do not depend on today, and the day up to which one is recorded.

`exchange_calendars` covers by default 20 years back from today and one year ahead: the same request would
mean something else a year later. Here every calendar covers `FIRST_DAY` to `LAST_DAY`, or as much of that as the
package has recorded; `pipeline.market.sessions` estimates the sessions beyond.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from pipeline.errors import BadSetting

# Imported inside functions: numpy, pandas and exchange_calendars take 0.5 s, which reading settings, parsing a DAG and
# `--help` do not need. The same holds for `sessions`.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from exchange_calendars import ExchangeCalendar
    from numpy.typing import NDArray

FIRST_DAY, LAST_DAY = "1990-01-01", "2040-12-31"
PACKAGE = "exchange_calendars"
# Years that every calendar records completely, for the usual number of irregular holidays per year.
_USUAL_YEARS = tuple(range(2015, 2025))
_FEWEST_IRREGULAR = 3  # a year: with fewer, holidays follow rules that do not end


@dataclass(frozen=True, eq=False, kw_only=True)
class Recorded:
    """A calendar, and the days between which the package knows which ones are sessions.

    After `certain`, some holidays are missing: see `_certain`. For a calendar that cannot be built, `guessed` is true:
    the days are those of its trading week, holidays included, and of `calendar` only the opening hours and the zone can
    be used.
    """

    calendar: "ExchangeCalendar"
    days: "NDArray[np.datetime64]"  # the sessions, ascending
    since: date
    until: date
    certain: date
    guessed: bool = False

    @cached_property
    def half_days(self) -> "NDArray[np.datetime64]":
        """The sessions that close early, ascending."""
        import numpy as np

        if self.guessed:
            return np.empty(0, "datetime64[D]")
        return np.asarray(self.calendar.early_closes.to_numpy(), "datetime64[D]")

    @property
    def weekmask(self) -> str:
        """The days of the week with sessions, Monday first, as last in force: `1111100`."""
        return str(self.calendar.weekmask)


def known_calendars() -> frozenset[str]:
    """Return the codes and aliases of the calendars that the installed package has."""
    import exchange_calendars

    return frozenset(exchange_calendars.get_calendar_names(include_aliases=True))


def installed() -> str:
    """Return the package that has the calendars, with its version."""
    return f"{PACKAGE} {version(PACKAGE)}"


@lru_cache(maxsize=64)
def load(exchange: str) -> Recorded:
    """Return the calendar with this code. Raises BadSetting if there is none."""
    import exchange_calendars

    try:
        return _between(exchange, FIRST_DAY, LAST_DAY)
    except exchange_calendars.errors.InvalidCalendarName:
        known = ", ".join(sorted(exchange_calendars.get_calendar_names(include_aliases=False))[:8])
        raise BadSetting(
            f"PIPELINE_EXCHANGE={exchange!r} is not an exchange calendar; use a code such as XNYS or XLON ({known}, …)"
        ) from None
    except (ValueError, NotImplementedError):
        pass  # it is recorded for fewer years, or cannot be built
    try:
        usual = exchange_calendars.get_calendar(exchange)
        return _between(exchange, *_within(usual.bound_min(), usual.bound_max()))
    except (ValueError, NotImplementedError):
        return _guessed(exchange)


def _between(exchange: str, first: str, last: str) -> Recorded:
    import exchange_calendars

    calendar = exchange_calendars.get_calendar(exchange, start=first, end=last)
    days, until = calendar.sessions.to_numpy("datetime64[D]"), date.fromisoformat(last)
    certain = _certain(calendar, days, until)
    return Recorded(calendar=calendar, days=days, since=date.fromisoformat(first), until=until, certain=certain)


def _certain(calendar: "ExchangeCalendar", days: "NDArray[np.datetime64]", until: date) -> date:
    """Return the last day of the last year whose irregular holidays are listed, at most `until`.

    Jakarta and Karachi state no end, yet their religious holidays are listed one by one up to 2025 only. A year counts
    as incomplete where it has less than half of the usual number of irregular holidays, and less than 80 % of the usual
    number of holidays.
    """
    import numpy as np
    import pandas as pd

    listed = np.array([pd.Timestamp(day).date() for day in calendar.adhoc_holidays], "datetime64[D]")
    listed = np.unique(listed[np.is_busday(listed, weekmask=calendar.weekmask)])
    first, last = np.array([days[0], np.datetime64(until)], "datetime64[Y]").astype(int) + 1970
    years = np.arange(first, last + 1)
    starts = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    ends = (years - 1969).astype("datetime64[Y]").astype("datetime64[D]")
    irregular = np.searchsorted(listed, ends) - np.searchsorted(listed, starts)
    closed = np.busday_count(starts, ends, weekmask=calendar.weekmask)
    closed = closed - (np.searchsorted(days, ends) - np.searchsorted(days, starts))
    usual = np.isin(years, _USUAL_YEARS)
    if not usual.any() or np.median(irregular[usual]) < _FEWEST_IRREGULAR:
        return until
    lacking = (irregular < np.median(irregular[usual]) / 2) & (closed < 0.8 * np.median(closed[usual]))
    incomplete = years[lacking & (years > max(_USUAL_YEARS))]
    return min(until, date(int(incomplete[0]) - 1, 12, 31)) if len(incomplete) else until


def _within(first: "pd.Timestamp | None", last: "pd.Timestamp | None") -> tuple[str, str]:
    """Return the days from which and up to which a calendar with these bounds is loaded."""
    return (
        FIRST_DAY if first is None else max(FIRST_DAY, first.date().isoformat()),
        LAST_DAY if last is None else min(LAST_DAY, last.date().isoformat()),
    )


def _guessed(exchange: str) -> Recorded:
    """Return every day of the exchange's trading week.

    exchange_calendars 4.13 cannot build Athens, Belgrade, Bucharest, Nicosia and Tel Aviv on pandas 3.
    """
    import exchange_calendars
    import numpy as np
    from exchange_calendars import calendar_utils

    kinds = calendar_utils.global_calendar_dispatcher._calendar_factories
    kind = kinds[exchange_calendars.resolve_alias(exchange)]
    calendar = kind.__new__(kind)  # not built: only hours and week of the class are needed
    every = np.arange(FIRST_DAY, np.datetime64(LAST_DAY) + 1, dtype="datetime64[D]")
    is_session = np.is_busday(every, weekmask=calendar.weekmask)
    for first, last, weekmask in getattr(calendar, "special_weekmasks", ()):  # Tel Aviv traded on Sundays until 2026
        then = np.ones(len(every), bool) if first is None else every >= first.to_datetime64()
        then &= every <= last.to_datetime64() if last is not None else True
        is_session[then] = np.is_busday(every[then], weekmask=weekmask)
    return Recorded(
        calendar=calendar,
        days=every[is_session],
        since=date.fromisoformat(FIRST_DAY),
        until=date.fromisoformat(LAST_DAY),
        certain=date.fromisoformat(LAST_DAY),
        guessed=True,
    )
