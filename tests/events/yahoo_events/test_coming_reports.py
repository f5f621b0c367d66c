"""Reports of the coming weeks: a few requests for all symbols, and the day and time in the zone of the market."""

from datetime import date

import pytest

from pipeline.events.event import EARNINGS, EX_DIVIDEND, Event
from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents
from tests.events.yahoo_events.conftest import MakeEvents
from tests.prices.sources.yahoo.event_answers import (
    CALENDAR,
    DATES,
    QUOTES,
    SUMMARY,
    EventAnswers,
    Report,
    seconds,
    stamp,
)
from tests.prices.sources.yahoo.server import Yahoo

FIRST, LAST = date(2026, 10, 26), date(2026, 12, 4)


def fill(answers: EventAnswers, *reports: Report) -> None:
    """Let the calendar have these reports, and one of another company in each week."""
    others = [Report(symbol="OTHER", at=f"{day}T13:00:00.000Z") for day in
              ("2026-10-27", "2026-11-03", "2026-11-10", "2026-11-17", "2026-11-24", "2026-12-01")]  # fmt: skip
    answers.reports = [*others, *reports]


def test_a_report_is_stated_with_its_day_and_time(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers, Report(symbol="AAPL", at="2026-10-29T20:30:00.000Z", timing="AMC"))
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert said.events == (
        Event(symbol="AAPL", kind=EARNINGS, day=date(2026, 10, 29), time="after_close", confirmed=False),
    )
    assert (said.first, said.last, said.notes) == (FIRST, LAST, ())
    assert said.complete == {"AAPL", "IBM"}


@pytest.mark.parametrize(
    ("at", "timing", "day", "time"),
    [
        (stamp("2026-10-30", "16:05", "America/New_York"), "TAS", "2026-10-30", "after_close"),  # summer time
        (stamp("2026-11-03", "16:05", "America/New_York"), "TAS", "2026-11-03", "after_close"),  # winter time
        ("2026-10-30T20:30:00.000Z", "TAS", "2026-10-30", "after_close"),
        ("2026-11-03T20:30:00.000Z", "TAS", "2026-11-03", "unknown"),  # the same hour of UTC is before the close
        ("2026-10-30T13:30:00.000Z", "TAS", "2026-10-30", "before_open"),
        ("2026-11-03T14:30:00.000Z", "TAS", "2026-11-03", "before_open"),
        ("2026-11-03T15:00:00.000Z", "TAS", "2026-11-03", "unknown"),
        (stamp("2026-11-27", "13:10", "America/New_York"), "TAS", "2026-11-27", "after_close"),  # a half day
        ("2026-11-04T00:30:00.000Z", "AMC", "2026-11-03", "after_close"),  # an evening in New York
        ("2026-11-05T00:00:00.000Z", "TAS", "2026-11-04", "after_close"),
        ("2026-11-05T00:00:00.000Z", "TNS", "2026-11-05", "unknown"),  # a day without a time
        ("2026-11-05T00:00:00.000Z", "BMO", "2026-11-05", "before_open"),
        ("2026-11-05T05:00:00.000Z", "TNS", "2026-11-05", "unknown"),
        ("2026-11-05T21:00:00.000Z", "TNS", "2026-11-05", "unknown"),
        ("2026-11-07T16:00:00.000Z", "TAS", "2026-11-07", "unknown"),  # a Saturday: the checks of events say so
        ("2026-12-05T01:00:00.000Z", "AMC", "2026-12-04", "after_close"),  # the last evening
    ],
)  # fmt: skip
def test_the_day_and_the_time_are_those_of_new_york(
    events: YahooEvents, answers: EventAnswers, at: str, timing: str, day: str, time: str
) -> None:
    fill(answers, Report(symbol="IBM", at=at, timing=timing))
    (event,) = events.announced(("IBM",), FIRST, LAST).events
    assert (event.day.isoformat(), event.time) == (day, time)


def test_the_calendar_is_read_to_its_last_page(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers, *(Report(symbol=f"X{number}", at="2026-10-28T12:00:00.000Z") for number in range(250)))
    said = events.announced(("X0", "X249"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["X0", "X249"]
    assert [one.offset for one in answers.asked if one.kind == CALENDAR][:3] == [0, 100, 200]
    assert said.notes == ()


def test_pages_shorter_than_requested_are_not_taken_for_the_last(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers, *(Report(symbol=f"X{number}", at="2026-10-28T12:00:00.000Z") for number in range(60)))
    answers.page_rows, answers.states_total = 25, False
    said = events.announced(("X59",), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["X59"]
    assert said.complete == {"X59"}


def test_ten_thousand_symbols_cost_few_requests(events: YahooEvents, answers: EventAnswers) -> None:
    symbols = tuple(f"S{number}" for number in range(10_000))
    days = [f"2026-{day}" for day in ("10-28", "11-04", "11-11", "11-18", "11-25", "12-02")]
    answers.reports = [
        Report(symbol=symbol, at=f"{days[number % 6]}T21:30:00.000Z", timing="AMC")
        for number, symbol in enumerate(symbols[:3000])
    ]
    said = events.announced(symbols, FIRST, LAST)
    assert len(said.events) == 3000
    assert len(said.complete) == 10_000
    assert (answers.count(CALENDAR), answers.count(QUOTES)) == (30, 30)
    assert answers.count(SUMMARY) == answers.count(DATES) == 0


def test_a_date_is_confirmed_where_a_quote_says_so(events: YahooEvents, answers: EventAnswers) -> None:
    fill(
        answers,
        *(Report(symbol=name, at="2026-11-05T21:10:00.000Z", timing="AMC") for name in ("AAPL", "IBM", "MSFT", "F")),
        Report(symbol="GE", at="2026-10-26T12:00:00.000Z", timing="BMO", actual=1.25),
    )
    there, later = seconds("2026-11-05T21:10"), seconds("2026-11-09T21:10")
    sure = {"isEarningsDateEstimate": False}
    answers.quotes = {
        "AAPL": {"earningsTimestampStart": there, "earningsTimestampEnd": there, **sure},
        "IBM": {"earningsTimestampStart": there, "earningsTimestampEnd": there, "isEarningsDateEstimate": True},
        "MSFT": {"earningsTimestampStart": there, "earningsTimestampEnd": later, **sure},
        "F": {"earningsTimestampStart": later, "earningsTimestampEnd": later, **sure},
    }
    said = events.announced(("AAPL", "F", "GE", "IBM", "MSFT"), FIRST, LAST)
    assert {event.symbol: event.confirmed for event in said.events} == {
        "AAPL": True, "F": False, "GE": True, "IBM": False, "MSFT": False,
    }  # fmt: skip
    assert [one.symbols for one in answers.asked if one.kind == QUOTES] == [("AAPL", "F", "IBM", "MSFT")]


def test_shares_outside_the_us_have_their_dates_from_quotes(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers)
    answers.quotes = {
        "BP.L": {  # in London the clocks changed on October 25
            "earningsTimestamp": seconds("2026-08-04T06:00"),
            "earningsTimestampStart": seconds("2026-11-03T07:00"),
            "earningsTimestampEnd": seconds("2026-11-03T07:00"),
            "isEarningsDateEstimate": False,
        },
        "7203.T": {
            "earningsTimestamp": seconds("2026-08-06T05:00"),
            "earningsTimestampStart": seconds("2026-11-05T06:30"),
            "earningsTimestampEnd": seconds("2026-11-09T06:30"),
            "isEarningsDateEstimate": True,
        },
        "AIR.NZ": {"earningsTimestampStart": seconds("2026-11-10T20:00"), "isEarningsDateEstimate": True},
    }
    said = events.announced(("7203.T", "AIR.NZ", "BP.L", "IBM"), FIRST, LAST)
    assert [(event.symbol, event.day.isoformat(), event.time, event.confirmed) for event in said.events] == [
        ("7203.T", "2026-11-05", "after_close", False),
        ("AIR.NZ", "2026-11-11", "before_open", False),  # Wednesday in Auckland
        ("BP.L", "2026-11-03", "before_open", True),
    ]
    assert said.complete == {"7203.T", "BP.L", "IBM"}  # of AIR.NZ the last report is not stated


def test_ex_dividend_dates_are_asked_for_symbol_by_symbol(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers)
    answers.ex_dividends = {"IBM": "2026-11-10", "MSFT": "2026-08-20"}
    said = events.announced(("AAPL", "IBM", "MSFT"), FIRST, LAST)
    assert said.events == (Event(symbol="IBM", kind=EX_DIVIDEND, day=date(2026, 11, 10)),)
    assert answers.count(SUMMARY) == 3


def test_what_has_no_events_is_not_asked_for(events: YahooEvents, answers: EventAnswers) -> None:
    said = events.announced(("^GSPC", "BTC-USD", "EURUSD=X"), FIRST, LAST)
    assert (said.events, said.complete, said.notes) == ((), frozenset(), ())
    assert answers.asked == []


def test_a_symbol_that_is_none_is_a_note(events: YahooEvents, answers: EventAnswers) -> None:
    fill(answers)
    said = events.announced(("BRK.B", "IBM", "US0378331005"), FIRST, LAST)
    assert said.complete == {"IBM"}
    assert len(said.notes) == 2
    assert "BRK-B" in said.notes[0]


def test_the_clock_of_the_machine_changes_nothing(
    events: YahooEvents, answers: EventAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    fill(answers, Report(symbol="IBM", at="2026-11-04T00:30:00.000Z", timing="AMC"))
    answers.ex_dividends = {"IBM": "2026-11-10"}
    said = []
    for zone in ("Asia/Tokyo", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        said.append(events.announced(("IBM",), FIRST, LAST))
    monkeypatch.undo()
    time.tzset()
    assert said[0] == said[1]
    assert [event.day.isoformat() for event in said[0].events] == ["2026-11-03", "2026-11-10"]


def test_no_other_host_is_asked(make_events: MakeEvents, yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch) -> None:
    from curl_cffi import requests

    asked = set()
    send = requests.Session.request

    def watched(self: requests.Session, method: str, url: str, *args: object, **kwargs: object) -> object:
        asked.add("/".join(url.split("/")[:3]))
        return send(self, method, url, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "request", watched)
    fill(yahoo.events, Report(symbol="IBM", at="2026-11-04T00:30:00.000Z", timing="AMC"))
    yahoo.events.past = {"IBM": ["July 22, 2026 at 4 PM EDT"]}
    yahoo.events.fail("summary", "401")
    make_events().announced(("IBM", "BP.L"), date(2010, 1, 1), LAST)
    assert asked == {yahoo.url}
