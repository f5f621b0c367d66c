"""Past reports: a request for each symbol whose history is asked for, and how far a page reaches."""

from datetime import date, timedelta

import pytest

from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents
from tests.prices.sources.yahoo.event_answers import CALENDAR, DATES, EventAnswers, Report, page

FIRST, YESTERDAY, TODAY = date(2004, 1, 1), date(2026, 10, 25), date(2026, 10, 26)
QUARTERS = ["January 28, 2027 at 4 PM EST", "July 22, 2026 at 4 PM EDT", "April 22, 2026 at 6 AM EDT",
            "January 28, 2026 at 12 AM EST", "October 22, 2025 at 12 PM EDT"]  # fmt: skip


def test_past_reports_have_their_days_and_times(events: YahooEvents, answers: EventAnswers) -> None:
    answers.past = {"IBM": QUARTERS}
    said = events.announced(("IBM",), FIRST, YESTERDAY)
    assert [(event.day.isoformat(), event.time, event.confirmed) for event in said.events] == [
        ("2025-10-22", "unknown", True),  # noon
        ("2026-01-28", "unknown", True),  # midnight: not stated
        ("2026-04-22", "before_open", True),
        ("2026-07-22", "after_close", True),
    ]
    assert (said.complete, said.notes) == ({"IBM"}, ())
    assert (answers.count(DATES), answers.count(CALENDAR)) == (1, 0)


def test_the_order_of_the_page_does_not_matter(events: YahooEvents, answers: EventAnswers) -> None:
    answers.past = {"IBM": QUARTERS}
    said = events.announced(("IBM",), FIRST, YESTERDAY)
    answers.past = {"IBM": [QUARTERS[at] for at in (3, 0, 4, 2, 1)]}
    assert events.announced(("IBM",), FIRST, YESTERDAY) == said


def test_times_are_judged_on_the_symbols_own_market(events: YahooEvents, answers: EventAnswers) -> None:
    answers.past = {
        "BP.L": ["August 4, 2026 at 2 AM EDT", "February 10, 2026 at 12 AM EST"],
        "AIR.NZ": ["August 26, 2026 at 4:30 PM EDT"],
    }
    said = events.announced(("AIR.NZ", "BP.L"), FIRST, YESTERDAY)
    assert [(event.symbol, event.day.isoformat(), event.time) for event in said.events] == [
        ("AIR.NZ", "2026-08-27", "before_open"),
        ("BP.L", "2026-02-10", "unknown"),
        ("BP.L", "2026-08-04", "before_open"),
    ]


def test_a_full_page_is_complete_only_from_its_oldest_day(events: YahooEvents, answers: EventAnswers) -> None:
    days = [date(2026, 7, 22) - timedelta(days=91 * quarter) for quarter in range(120)]
    answers.past = {"IBM": [f"{day:%B} {day.day}, {day.year} at 4 PM EST" for day in days]}
    assert len(events.announced(("IBM",), date(1990, 1, 1), YESTERDAY).events) == 100
    assert events.announced(("IBM",), date(1990, 1, 1), YESTERDAY).complete == frozenset()
    assert events.announced(("IBM",), days[99], YESTERDAY).complete == {"IBM"}


def test_a_long_span_joins_pages_and_the_calendar(events: YahooEvents, answers: EventAnswers) -> None:
    answers.past = {"IBM": [*QUARTERS, "October 26, 2026 at 4 PM EDT"]}
    answers.reports = [Report(symbol="IBM", at="2026-10-28T20:10:00.000Z", timing="AMC")]
    said = events.announced(("IBM",), FIRST, date(2026, 10, 30))
    assert [event.day.isoformat() for event in said.events][-2:] == ["2026-07-22", "2026-10-28"]
    assert said.complete == {"IBM"}


def test_an_answer_that_begins_within_a_month_asks_for_no_page(events: YahooEvents, answers: EventAnswers) -> None:
    events.announced(("IBM",), TODAY - timedelta(days=31), TODAY)
    assert answers.count(DATES) == 0
    events.announced(("IBM",), TODAY - timedelta(days=32), TODAY)
    assert answers.count(DATES) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (page("MSFT", QUARTERS), "answered with those of 'MSFT'"),
        (page("IBM", QUARTERS).replace("Earnings Date", "Report Date"), "no column Earnings Date"),
        ("<html>Will be right back…</html>", "lists no past reports"),
        (page("IBM", [*QUARTERS, "soon"]), "cannot be: 'soon'"),
        (page("IBM", [*QUARTERS, "July 22, 1926 at 4 PM EDT"]), "cannot be: 'July 22, 1926"),
        (page("IBM", [*QUARTERS, "July 22, 2226 at 4 PM EDT"]), "cannot be: 'July 22, 2226"),
        (page("IBM", [*QUARTERS, "July 42, 2026 at 4 PM EDT"]), "cannot be: 'July 42, 2026"),
        (page("IBM", [*QUARTERS, "July 22, 2026 at 44 PM EDT"]), "cannot be: 'July 22, 2026 at 44"),
    ],
)
def test_an_odd_page_is_a_note_and_not_complete(
    events: YahooEvents, answers: EventAnswers, text: str, words: str
) -> None:
    answers.past = {"AAPL": QUARTERS, "IBM": QUARTERS}
    answers.spoil["dates"] = lambda given, number: text if "IBM" in given else given
    said = events.announced(("AAPL", "IBM"), FIRST, YESTERDAY)
    assert said.complete == {"AAPL"}
    (note,) = said.notes
    assert words in note
    assert "\n" not in note
    assert len([event for event in said.events if event.symbol == "AAPL"]) == 4


def test_an_unknown_symbol_does_not_stop_the_others(
    events: YahooEvents, answers: EventAnswers, slept: list[float]
) -> None:
    answers.past = {"IBM": QUARTERS}
    answers.fail(DATES, "404 html", times=2)  # yfinance repeats a failed request with other cookies
    said = events.announced(("GONE", "IBM"), FIRST, YESTERDAY)
    assert said.complete == {"IBM"}
    assert said.notes == ("no past reports of GONE: Yahoo does not know GONE, or no longer",)
    assert slept == []
