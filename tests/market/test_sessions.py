"""Sessions of an exchange: holidays, half days, and when a bar counts as complete."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from pipeline.errors import BadSession, BadSetting
from pipeline.market.sessions import Sessions

NEW_YORK = Sessions("XNYS")


def test_a_holiday_is_named_with_the_sessions_around_it() -> None:
    with pytest.raises(BadSession, match="2026-11-25 and 2026-11-27"):
        NEW_YORK.require_session(date(2026, 11, 26))


def test_a_session_is_complete_after_its_close_and_the_delay() -> None:
    thanksgiving_friday = date(2026, 11, 27)  # closes at 13:00 in New York
    assert NEW_YORK.complete_at(thanksgiving_friday) == datetime(2026, 11, 27, 18, 30, tzinfo=UTC)
    assert NEW_YORK.opens_at(thanksgiving_friday) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    just_before = datetime(2026, 11, 27, 18, 29, 59, tzinfo=UTC)
    assert NEW_YORK.last_complete(just_before) == date(2026, 11, 25)
    assert NEW_YORK.last_complete(just_before + timedelta(seconds=1)) == thanksgiving_friday


def test_half_days_are_the_recorded_sessions_that_close_early() -> None:
    of_2020 = NEW_YORK.half_days[
        (NEW_YORK.half_days >= np.datetime64("2020")) & (NEW_YORK.half_days < np.datetime64("2021"))
    ]
    assert of_2020.tolist() == [date(2020, 11, 27), date(2020, 12, 24)]
    assert all(NEW_YORK.is_session(day) for day in of_2020.tolist())
    assert (np.diff(NEW_YORK.half_days) > np.timedelta64(0, "D")).all()


@pytest.mark.parametrize(("exchange", "utc_close_hour"), [("XTKS", 6), ("XLON", 16), ("XNYS", 21)])
def test_each_exchange_has_its_own_clock(exchange: str, utc_close_hour: int) -> None:
    sessions = Sessions(exchange, timedelta(0))
    assert sessions.complete_at(date(2024, 1, 15 if exchange != "XNYS" else 16)).hour == utc_close_hour


def test_following_sessions_skip_weekends_and_holidays() -> None:
    assert NEW_YORK.following(date(2013, 3, 27), 3) == [date(2013, 3, 28), date(2013, 4, 1), date(2013, 4, 2)]


def test_an_unknown_exchange_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="PIPELINE_EXCHANGE='NYSE9'"):
        Sessions("NYSE9").is_session(date(2020, 1, 2))
