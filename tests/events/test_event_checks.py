"""Bad dates get verdicts: what cannot be is rejected, what is doubtful is held back, what is odd is only reported."""

from datetime import UTC, date, datetime

import pytest

from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import FIRST_DAY, CheckedEvents, check_events
from pipeline.market.clock import MarketClock
from tests.events.event_desk import report

NOW = datetime(2020, 2, 3, 22, tzinfo=UTC)


def checked(*events: Event, symbols: tuple[str, ...] = ("AAA", "BP.L")) -> CheckedEvents:
    answer = Announced(events=events, first=FIRST_DAY, last=date(2021, 12, 31), complete=frozenset(symbols))
    return check_events(answer, symbols, MarketClock(), NOW)


def rules(result: CheckedEvents) -> list[tuple[str, str]]:
    return [(one.verdict, one.rule) for one in result.findings]


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (report("ZZZ", "2020-02-11"), "wrong_symbol"),
        (report("AAA", "1989-12-29"), "too_early"),
        (report("AAA", "2021-02-10"), "far_future"),
        (Event(symbol="AAA", kind="central_bank", day=date(2020, 2, 11)), "unknown_kind"),
        (Event(symbol="", kind="earnings", day=date(2020, 2, 11)), "unknown_kind"),
        (Event(symbol="", kind="Not a kind!", day=date(2020, 2, 11)), "unknown_kind"),
        (report("AAA", "2020-02-11", time="noonish"), "unknown_time"),
    ],
)
def test_what_cannot_be_is_rejected_and_the_others_stay(event: Event, rule: str) -> None:
    result = checked(event, report("AAA", "2020-05-12"))
    assert rules(result) == [("reject", rule)]
    assert [one.day for one in result.events] == [date(2020, 5, 12)]


@pytest.mark.parametrize(
    ("symbol", "day", "effective"),
    [
        ("AAA", "2020-02-15", "2020-02-18"),  # a Saturday before a holiday
        ("AAA", "2020-02-17", "2020-02-18"),  # Presidents' Day
        ("BP.L", "2020-04-13", "2020-04-14"),  # Easter Monday in London, a session in New York
    ],
)
def test_a_day_without_a_session_is_kept_with_a_warning_that_names_the_next(
    symbol: str, day: str, effective: str
) -> None:
    result = checked(report(symbol, day))
    assert [str(one.day) for one in result.events] == [day]
    assert rules(result) == [("warn", "no_session")]
    assert result.findings[0].detail.endswith(f"it takes effect on {effective}")


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ({"confirmed": False}, {}, 1),
        ({}, {"confirmed": False}, 0),
        ({"known_at": datetime(2020, 1, 5, tzinfo=UTC)}, {"known_at": datetime(2020, 1, 2, tzinfo=UTC)}, 0),
        ({}, {"known_at": datetime(2020, 1, 2, tzinfo=UTC)}, 1),
        ({}, {"time": "after_close"}, 1),
        ({}, {}, 0),
    ],
)
def test_of_two_reports_within_a_week_one_is_held_back(
    one: dict[str, object], other: dict[str, object], kept: int
) -> None:
    pair = (report("AAA", "2020-02-11", **one), report("AAA", "2020-02-13", **other))
    for order in (pair, pair[::-1]):
        result = checked(*order)
        assert result.events == (pair[kept],)
        assert rules(result) == [("quarantine", "within_a_week")]
        assert result.findings[0].day == pair[1 - kept].day


def test_three_reports_within_a_week_leave_one() -> None:
    result = checked(*(report("AAA", f"2020-02-{day}") for day in (10, 12, 14)))
    assert [one.day for one in result.events] == [date(2020, 2, 10)]
    assert len(result.findings) == 2


def test_a_week_or_more_apart_two_symbols_dividends_and_meetings_are_no_conflict() -> None:
    events = [
        report("AAA", "2020-02-11"),
        report("AAA", "2020-02-18"),
        report("BP.L", "2020-02-12"),
        *(Event(symbol="AAA", kind="ex_dividend", day=date(2020, 2, day)) for day in (11, 13)),
        *(Event(symbol="", kind="central_bank", day=date(2020, 3, day)) for day in (17, 18)),
    ]
    result = checked(*events)
    assert len(result.events) == len(events)
    assert result.findings == ()


def test_the_same_event_twice_is_one_with_what_is_known_of_it() -> None:
    result = checked(report("AAA", "2020-02-11"), report("AAA", "2020-02-11", time="before_open"))
    assert result.events == (report("AAA", "2020-02-11", time="before_open"),)
    assert result.findings == ()
