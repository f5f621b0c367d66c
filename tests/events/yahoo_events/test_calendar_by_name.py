"""The calendar of a few symbols: asked for them by name, and not for the thousands of other companies."""

import json
from datetime import date
from typing import Any

import pytest

from pipeline.events.yahoo_events.yahoo_event_source import BY_NAME, YahooEvents
from tests.events.yahoo_events.conftest import MakeEvents
from tests.prices.sources.yahoo.event_answers import CALENDAR, EventAnswers, Report

FIRST, LAST = date(2026, 10, 1), date(2026, 12, 20)


@pytest.fixture
def events(make_events: MakeEvents) -> YahooEvents:
    return make_events(by_name=BY_NAME)


@pytest.fixture(autouse=True)
def _companies(answers: EventAnswers) -> None:
    answers.reports = [
        Report(symbol=f"S{number}", at=f"2026-{10 + number % 3}-1{number % 10}T21:30:00.000Z", timing="AMC")
        for number in range(4000)
    ]


def test_a_few_symbols_are_one_request(events: YahooEvents, answers: EventAnswers) -> None:
    said = events.announced(("S1", "S2", "SPY"), FIRST, LAST)
    assert [(event.symbol, event.day.isoformat()) for event in said.events] == [
        ("S1", "2026-11-11"),
        ("S2", "2026-12-12"),
    ]
    assert said.complete == {"S1", "S2", "SPY"}
    assert [one.symbols for one in answers.asked if one.kind == CALENDAR] == [("S1", "S2", "SPY")]


def test_a_thousand_symbols_are_twenty_requests(events: YahooEvents, answers: EventAnswers) -> None:
    symbols = tuple(f"S{number}" for number in range(BY_NAME))
    said = events.announced(symbols, FIRST, LAST)
    assert len(said.events) == len(said.complete) == BY_NAME
    assert answers.count(CALENDAR) == 20
    events.announced((*symbols, "S1000"), FIRST, LAST)
    assert [one.symbols for one in answers.asked if one.kind == CALENDAR][20:] == [()] * (answers.count(CALENDAR) - 20)


def test_the_answer_is_the_same_as_from_the_calendar_of_all(events: YahooEvents, make_events: MakeEvents) -> None:
    symbols = tuple(f"S{number}" for number in range(60))
    span = (date(2026, 10, 10), date(2026, 10, 19))
    said = events.announced(symbols, *span)
    assert (len(said.events), len(said.complete)) == (20, 60)
    assert said == make_events(by_name=0).announced(symbols, *span)


def test_symbols_with_more_reports_than_a_page_are_asked_for_in_halves(
    events: YahooEvents, answers: EventAnswers
) -> None:
    answers.page_rows = 10
    symbols = tuple(f"S{number}" for number in range(30))
    said = events.announced(symbols, FIRST, LAST)
    assert len(said.events) == len(said.complete) == 30
    assert {one.offset for one in answers.asked} == {0}


def test_answers_that_are_never_whole_do_not_cost_a_request_for_each_symbol(
    events: YahooEvents, answers: EventAnswers
) -> None:
    answers.page_rows = 1
    symbols = tuple(f"S{number}" for number in range(BY_NAME))
    said = events.announced(symbols, FIRST, LAST)
    assert answers.count(CALENDAR) <= 60
    assert said.complete <= {event.symbol for event in said.events}
    assert "empty or not whole" in said.notes[0]


def test_an_empty_answer_cancels_nothing(events: YahooEvents, answers: EventAnswers) -> None:
    answers.reports = []
    said = events.announced(("S1", "S2"), FIRST, LAST)
    assert (said.events, said.complete) == ((), frozenset())
    assert "answer about S1, S2 is empty" in said.notes[0]


def test_an_answer_about_others_cancels_nothing(events: YahooEvents, answers: EventAnswers) -> None:
    answers.spoil[CALENDAR] = lambda answer, number: json.loads(json.dumps(answer).replace('"S1"', '"S9"'))
    said = events.announced(("S1", "S2"), FIRST, LAST)
    assert (said.events, said.complete) == ((), frozenset())
    assert "asked Yahoo for the reports of S1, S2, and was answered with S9" in said.notes[0]


@pytest.mark.parametrize("kind", ["500", "html", "429", "cut", "404 html"])
def test_one_failing_answer_leaves_the_others(events: YahooEvents, answers: EventAnswers, kind: str) -> None:
    symbols = tuple(f"S{number}" for number in range(150))
    answers.fail(CALENDAR, kind, after=1)
    said = events.announced(symbols, FIRST, LAST)
    assert len(said.events) == 50
    assert {event.symbol for event in said.events} == said.complete
    assert said.notes[0].startswith("the calendar of reports: ")


def test_a_part_of_an_answer_is_not_whole(events: YahooEvents, answers: EventAnswers) -> None:
    def halved(answer: dict[str, Any], number: int) -> dict[str, Any]:
        answer["finance"]["result"][0]["total"] = 3
        return answer

    answers.spoil[CALENDAR] = halved
    said = events.announced(("S1", "S2"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["S1", "S2"]
    assert said.complete == frozenset()
    assert "not whole" in said.notes[0]
