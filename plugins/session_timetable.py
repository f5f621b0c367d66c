"""The timetable of an exchange: one run per session, due when the session is complete, never on a holiday.

The run of session D
- has D at midnight UTC as its logical date and start of its data interval, so `{{ ds }}` is the session and a
  backfill `--from-date 2013-02-25 --to-date 2013-02-28` means the sessions of those four days;
- is due, and its data interval ends, when D is complete: at the close (the early one on half days) plus the delay.

A manual run gets the interval of the last session that is complete at that moment.

Sessions come from `pipeline.market.sessions`, which is imported when the scheduler needs it, never when a DAG file is
parsed.
"""

import logging
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import pendulum
from airflow.exceptions import AirflowTimetableInvalid
from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

if TYPE_CHECKING:
    from pipeline.market.sessions import Sessions

log = logging.getLogger(__name__)
ONE_DAY = timedelta(days=1)
LONGEST_CLOSURE = timedelta(days=60)  # no exchange of the calendars has been closed for longer since 1990


class ExchangeSessionTimetable(Timetable):
    """One run per session of `exchange` (a calendar code such as XNYS), `close_delay_minutes` after its close."""

    def __init__(self, exchange: str = "XNYS", close_delay_minutes: int = 30) -> None:
        self.exchange = exchange
        self.close_delay_minutes = close_delay_minutes
        self.description = f"Each session of {exchange}, {close_delay_minutes} minutes after its close"

    @property
    def summary(self) -> str:
        """The schedule as the list of DAGs shows it."""
        return f"{self.exchange} close + {self.close_delay_minutes} min"

    def serialize(self) -> dict[str, Any]:
        """Return the arguments as JSON, for `deserialize`."""
        return {"exchange": self.exchange, "close_delay_minutes": self.close_delay_minutes}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Return the timetable that `serialize` wrote."""
        return cls(**data)

    def validate(self) -> None:
        """Raise AirflowTimetableInvalid for invalid arguments; the exchange itself is not looked up."""
        if not self.exchange.strip():
            raise AirflowTimetableInvalid("the exchange is empty: use a calendar code such as XNYS")
        if not 0 <= self.close_delay_minutes <= 720:
            raise AirflowTimetableInvalid(f"close_delay_minutes={self.close_delay_minutes}: use 0 to 720")

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """Return the interval of the last session that is complete at `run_after`."""
        return self._data_interval(self._sessions.last_complete(run_after))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the first session after the last run's that `restriction` allows; None where there is none.

        Without catchup, sessions before the last complete one are skipped; that one still runs when the DAG is
        unpaused.
        """
        days: list[date] = []
        if last_automated_data_interval is not None:
            # By its start: the same session must not run twice after a change of exchange or delay.
            days.append(_utc(last_automated_data_interval.start).date() + ONE_DAY)
        if restriction.earliest is not None:
            days.append(_first_midnight(restriction.earliest))
        if not restriction.catchup:
            days.append(self._sessions.last_complete(now()))
        session = self._first_session_from(max(days)) if days else None
        if session is None or (restriction.latest is not None and _midnight(session) > restriction.latest):
            return None
        interval = self._data_interval(session)
        return DagRunInfo.interval(start=interval.start, end=interval.end)

    @cached_property
    def _sessions(self) -> "Sessions":
        from pipeline.market.sessions import Sessions  # pandas and the calendar stay out of DAG parsing

        return Sessions(self.exchange, timedelta(minutes=self.close_delay_minutes))

    def _data_interval(self, session: date) -> DataInterval:
        return DataInterval(start=_midnight(session), end=_utc(self._sessions.complete_at(session)))

    def _first_session_from(self, day: date) -> date | None:
        from pipeline.market.calendars import FIRST_DAY

        start = max(day, date.fromisoformat(FIRST_DAY))
        found = self._sessions.between(start, start + LONGEST_CLOSURE)
        if found and self._sessions.is_estimated(found[0]):
            _warn(self._sessions, found[0])
        return found[0] if found else None


def _warn(sessions: "Sessions", session: date) -> None:
    log.warning(
        "%s: the calendar is recorded up to %s; the run of %s is scheduled for an estimated session, which may be a "
        "holiday. Upgrade the package exchange_calendars.",
        sessions.exchange,
        sessions.recorded_until,
        session,
    )


def now() -> pendulum.DateTime:
    """Return the time in UTC; tests replace it."""
    return pendulum.now("UTC")


def _utc(moment: datetime) -> pendulum.DateTime:
    return pendulum.instance(moment).in_timezone("UTC")


def _midnight(day: date) -> pendulum.DateTime:
    return pendulum.datetime(day.year, day.month, day.day, tz="UTC")


def _first_midnight(moment: datetime) -> date:
    """Return the first day whose midnight (UTC) is not before `moment`."""
    start = _utc(moment)
    return start.date() if start == start.start_of("day") else start.date() + ONE_DAY


class SessionTimetablePlugin(AirflowPlugin):
    """Registers the timetable with every Airflow component."""

    name = "session_timetable"
    timetables: list[Any] = [ExchangeSessionTimetable]
