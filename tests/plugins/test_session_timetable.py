"""The schedule of an exchange: when runs are due, for which session, and what is never run."""

import json
from datetime import date, timedelta

import pendulum
import pytest
import session_timetable
from airflow.exceptions import AirflowTimetableInvalid
from airflow.plugins_manager import get_timetables_plugins
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from hypothesis import given, settings
from hypothesis import strategies as st
from next_open_deadline import next_open
from session_timetable import ExchangeSessionTimetable

from pipeline.market.sessions import Sessions

NEW_YORK = ExchangeSessionTimetable("XNYS", 30)


def utc(text: str) -> pendulum.DateTime:
    return pendulum.parse(text, tz="UTC")


def interval(start: str, end: str) -> DataInterval:
    return DataInterval(utc(start), utc(end))


def allow(earliest: str | None = None, latest: str | None = None, *, catchup: bool = True) -> TimeRestriction:
    return TimeRestriction(earliest and utc(earliest), latest and utc(latest), catchup)


def following(timetable: ExchangeSessionTimetable, restriction: TimeRestriction, count: int) -> list[DagRunInfo]:
    """Return the first `count` runs, asked for as the scheduler does: each by the one before."""
    runs: list[DagRunInfo] = []
    while len(runs) < count:
        last = runs[-1] if runs else None
        found = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)
        if found is None:
            break
        runs.append(found)
    return runs


def days(runs: list[DagRunInfo]) -> list[str]:
    return [run.logical_date.to_date_string() for run in runs]


@pytest.fixture
def at(monkeypatch):
    """Set the clock."""

    def set_clock(text: str) -> None:
        monkeypatch.setattr(session_timetable, "now", lambda: utc(text))

    return set_clock


def test_a_session_runs_from_its_midnight_to_its_close_plus_the_delay():
    (run,) = following(NEW_YORK, allow("2013-02-25"), 1)

    assert run.data_interval == interval("2013-02-25", "2013-02-25T21:30")
    assert run.run_after == utc("2013-02-25T21:30")
    assert run.logical_date == utc("2013-02-25")


def test_holidays_and_weekends_have_no_run():
    # Thanksgiving 2012 is Thursday the 22nd; Presidents' Day 2013 is Monday, February 18.
    assert days(following(NEW_YORK, allow("2012-11-21"), 3)) == ["2012-11-21", "2012-11-23", "2012-11-26"]
    assert days(following(NEW_YORK, allow("2013-02-15"), 2)) == ["2013-02-15", "2013-02-19"]


def test_a_half_day_is_due_earlier():
    half_day, whole_day = following(NEW_YORK, allow("2012-11-23"), 2)

    assert half_day.run_after == utc("2012-11-23T18:30")
    assert whole_day.run_after == utc("2012-11-26T21:30")


def test_the_close_follows_daylight_saving_time():
    friday, monday = following(NEW_YORK, allow("2013-03-08"), 2)

    assert friday.run_after == utc("2013-03-08T21:30")
    assert monday.run_after == utc("2013-03-11T20:30")


def test_a_long_closure_is_bridged():
    assert days(following(NEW_YORK, allow("2001-09-10"), 2)) == ["2001-09-10", "2001-09-17"]
    assert days(following(ExchangeSessionTimetable("XTKS"), allow("2019-04-26"), 2)) == ["2019-04-26", "2019-05-07"]


@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XTKS", "XASX", "XNZE", "CMES", "24/7"])
def test_every_session_is_run_once_and_only_when_complete(exchange):
    timetable = ExchangeSessionTimetable(exchange, 45)
    sessions = Sessions(exchange, timedelta(minutes=45))
    expected = sessions.between(date(2019, 12, 20), date(2020, 1, 10))

    runs = following(timetable, allow("2019-12-20", "2020-01-10"), 100)

    assert [run.logical_date.date() for run in runs] == expected
    assert [run.run_after for run in runs] == [sessions.complete_at(session) for session in expected]
    assert [sessions.last_complete(run.data_interval.end) for run in runs] == expected
    assert all(run.data_interval.start < run.data_interval.end for run in runs)


def test_runs_lie_between_the_first_and_the_last_date_allowed_both_included():
    allowed = allow("2013-02-25", "2013-02-28")
    assert days(following(NEW_YORK, allowed, 10)) == ["2013-02-25", "2013-02-26", "2013-02-27", "2013-02-28"]

    assert days(following(NEW_YORK, allow("2013-02-25T00:00:01", "2013-02-26"), 10)) == ["2013-02-26"]


def test_a_start_before_the_calendar_begins_with_its_first_session():
    assert days(following(NEW_YORK, allow("1900-01-01"), 1)) == ["1990-01-02"]


def test_with_catchup_and_no_start_nothing_can_be_first():
    assert following(NEW_YORK, allow(), 1) == []


def test_without_catchup_the_first_run_is_the_last_complete_session(at):
    restriction = allow(catchup=False)

    at("2013-02-27T21:29")
    assert days(following(NEW_YORK, restriction, 1)) == ["2013-02-26"]
    at("2013-02-27T21:30")
    assert days(following(NEW_YORK, restriction, 1)) == ["2013-02-27"]
    at("2013-03-03T12:00")  # a Sunday
    assert days(following(NEW_YORK, restriction, 1)) == ["2013-03-01"]


def test_without_catchup_missed_sessions_are_passed_over(at):
    at("2013-02-27T22:00")

    last = interval("2013-02-05", "2013-02-05T21:30")
    run = NEW_YORK.next_dagrun_info(last_automated_data_interval=last, restriction=allow("2013-01-01", catchup=False))

    assert days([run]) == ["2013-02-27"]


def test_without_catchup_a_later_start_is_still_waited_for(at):
    at("2013-02-27T22:00")
    assert days(following(NEW_YORK, allow("2013-03-11", catchup=False), 1)) == ["2013-03-11"]


def test_with_catchup_missed_sessions_are_run_one_by_one(at):
    at("2013-02-27T22:00")

    last = interval("2013-02-21", "2013-02-21T21:30")
    run = NEW_YORK.next_dagrun_info(last_automated_data_interval=last, restriction=allow("2013-01-01"))

    assert days([run]) == ["2013-02-22"]


@pytest.mark.parametrize("changed", [ExchangeSessionTimetable("XNYS", 240), ExchangeSessionTimetable("XLON", 0)])
def test_a_changed_schedule_does_not_run_a_session_again(changed):
    (last,) = following(NEW_YORK, allow("2013-02-25"), 1)

    after = changed.next_dagrun_info_v2(last_dagrun_info=last, restriction=allow("2013-01-01"))

    assert days([after]) == ["2013-02-26"]


def test_a_run_by_hand_gets_the_last_complete_session():
    def by_hand(moment: str) -> DataInterval:
        return NEW_YORK.infer_manual_data_interval(run_after=utc(moment))

    assert by_hand("2013-02-25T21:30") == interval("2013-02-25", "2013-02-25T21:30")
    assert by_hand("2013-02-25T21:29") == interval("2013-02-22", "2013-02-22T21:30")
    assert by_hand("2012-11-23T18:30") == interval("2012-11-23", "2012-11-23T18:30")
    assert by_hand("2013-02-24T12:00") == interval("2013-02-22", "2013-02-22T21:30")


@settings(max_examples=50, deadline=None)
@given(st.datetimes(min_value=pendulum.naive(1995, 1, 1), max_value=pendulum.naive(2025, 1, 1)))
def test_whenever_started_by_hand_no_later_session_was_complete(moment):
    moment = pendulum.instance(moment, tz="UTC")

    found = NEW_YORK.infer_manual_data_interval(run_after=moment)

    after = NEW_YORK.next_dagrun_info(last_automated_data_interval=found, restriction=allow())
    assert found.end <= moment < after.run_after


def test_any_time_zone_is_understood():
    in_tokyo = pendulum.datetime(2013, 2, 26, 6, 30, tz="Asia/Tokyo")  # 2013-02-25 21:30 UTC

    assert NEW_YORK.infer_manual_data_interval(run_after=in_tokyo) == interval("2013-02-25", "2013-02-25T21:30")
    midnight = pendulum.datetime(2013, 2, 25, 9, 0, tz="Asia/Tokyo")  # 2013-02-25 00:00 UTC
    assert days(following(NEW_YORK, TimeRestriction(midnight, None, True), 1)) == ["2013-02-25"]


def test_every_moment_it_returns_is_in_utc():
    (run,) = following(ExchangeSessionTimetable("XTKS"), allow("2013-02-25"), 1)

    moments = [run.run_after, run.logical_date, *run.data_interval]
    assert {moment.timezone_name for moment in moments} == {"UTC"}


def test_run_ids_say_when_the_session_was_complete():
    (run,) = following(NEW_YORK, allow("2013-02-25"), 1)

    run_id = NEW_YORK.generate_run_id(
        run_type=DagRunType.SCHEDULED, run_after=run.run_after, data_interval=run.data_interval
    )

    assert run_id == "scheduled__2013-02-25T21:30:00+00:00"


def test_airflow_knows_it_and_can_store_it():
    assert "session_timetable.ExchangeSessionTimetable" in get_timetables_plugins()

    stored = json.loads(json.dumps(encode_timetable(ExchangeSessionTimetable("XLON", 45))))
    restored = decode_timetable(stored)

    assert restored.serialize() == {"exchange": "XLON", "close_delay_minutes": 45}
    assert restored.summary == "XLON close + 45 min"
    assert restored.description == "Each session of XLON, 45 minutes after its close"


@pytest.mark.parametrize(("exchange", "delay"), [("", 30), (" ", 30), ("XNYS", -1), ("XNYS", 721)])
def test_arguments_that_are_no_schedule_are_refused(exchange, delay):
    with pytest.raises(AirflowTimetableInvalid):
        ExchangeSessionTimetable(exchange, delay).validate()


@pytest.mark.parametrize("exchange", ["XBOM", "XSHG", "XSES"])
def test_the_schedule_goes_on_beyond_the_recorded_calendar_and_warns(exchange, caplog):
    runs = following(ExchangeSessionTimetable(exchange), allow("2026-12-30"), 5)

    assert days(runs) == ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-04", "2027-01-05"]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 3
    assert all("recorded up to 2026-12-31" in text and "exchange_calendars" in text for text in warned)


def test_a_deadline_after_an_estimated_session_that_became_a_holiday_is_the_next_open():
    friday, holiday = utc("2026-11-27"), utc("2026-11-26")  # Thanksgiving
    assert next_open("XNYS", holiday) == next_open("XNYS", utc("2026-11-25")) == utc("2026-11-27T14:30")
    assert next_open("XNYS", friday) == utc("2026-11-30T14:30")
    assert next_open("XBOM", utc("2027-01-01")) == utc("2027-01-04T03:45")
