"""A failing or odd calendar: always a note of the answer, never an error, and never a reason to cancel an event."""

import json
import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from pipeline.errors import RateLimited
from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents
from pipeline.prices.sources.retry import RetryBudget
from tests.events.yahoo_events.conftest import MakeEvents
from tests.prices.sources.yahoo import faults
from tests.prices.sources.yahoo.event_answers import CALENDAR, DATES, QUOTES, SUMMARY, EventAnswers, Report, seconds
from tests.prices.sources.yahoo.server import Yahoo

FIRST, LAST = date(2026, 10, 26), date(2026, 10, 30)  # with the evening after them, one week of the calendar
OUTAGES = ["500", "503", "500 json", "401", "404 html", "html", "empty", "cut", "short", "{}", "null", "reset", "999"]


@pytest.fixture
def full(answers: EventAnswers) -> EventAnswers:
    """A calendar of three pages, with a report of IBM on the first and one of AAPL on the last."""
    others = [Report(symbol=f"X{number}", at="2026-10-28T12:00:00.000Z") for number in range(230)]
    answers.reports = [
        Report(symbol="IBM", at="2026-10-28T20:10:00.000Z", timing="AMC"),
        *others,
        Report(symbol="AAPL", at="2026-10-29T20:30:00.000Z", timing="AMC"),
    ]
    return answers


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_is_a_note(events: YahooEvents, full: EventAnswers, kind: str) -> None:
    full.fail(CALENDAR, kind)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert (said.events, said.complete) == ((), frozenset())
    assert said.notes[0].startswith("the calendar of reports: ")
    assert not any("\n" in note for note in said.notes)


@pytest.mark.parametrize("kind", [*OUTAGES, "429"])
def test_a_failure_between_pages_keeps_what_was_read_and_cancels_nothing(
    events: YahooEvents, full: EventAnswers, kind: str
) -> None:
    full.fail(CALENDAR, kind, after=1)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["IBM"]
    assert said.complete == frozenset()
    assert "dates that are not in it are kept" in said.notes[0]


@pytest.mark.parametrize("kind", ["500", "html", "cut", "{}", "429", "reset"])
def test_a_failure_that_passes_is_retried(
    events: YahooEvents, full: EventAnswers, slept: list[float], kind: str
) -> None:
    full.fail(CALENDAR, kind, after=1, times=2)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["AAPL", "IBM"]
    assert (said.complete, said.notes) == ({"AAPL", "IBM"}, ())
    assert len(slept) in (1, 2)


def test_nothing_more_is_asked_after_a_rate_limit(events: YahooEvents, full: EventAnswers, slept: list[float]) -> None:
    full.fail(CALENDAR, "429")
    said = events.announced(("AAPL", "BP.L", "IBM"), FIRST, LAST)
    assert said.complete == frozenset()
    assert "429, too many requests" in said.notes[0]
    assert full.count(QUOTES) == full.count(SUMMARY) == 0
    assert min(slept) >= 5


def test_a_pause_that_yahoo_asks_for_and_the_budget_lacks_is_a_note(
    events: YahooEvents, full: EventAnswers, slept: list[float]
) -> None:
    full.fail(CALENDAR, "429", retry_after=3600)
    said = events.announced(("IBM",), FIRST, LAST)
    assert "retry after 3600 s" in said.notes[0]
    assert slept == []


def test_the_budget_is_shared_with_what_else_uses_it(
    make_events: MakeEvents, full: EventAnswers, slept: list[float]
) -> None:
    shared = RetryBudget(sleep=slept.append, timer=lambda: 0.0, rng=random.Random(7), seconds=40.0)
    events = make_events(retry=shared)
    full.fail(CALENDAR, "429")
    for _ in range(4):
        events.announced(("IBM",), FIRST, LAST)
    assert sum(slept) <= 40
    assert shared.left == pytest.approx(40 - sum(slept))
    waits = len(slept)
    full.failures.clear()
    assert events.announced(("IBM",), FIRST, LAST).complete == {"IBM"}  # a spent budget still allows one request
    assert len(slept) == waits


@pytest.mark.parametrize("kind", [*OUTAGES, "429"])
def test_a_page_that_fails_is_a_note_and_not_complete(events: YahooEvents, answers: EventAnswers, kind: str) -> None:
    answers.past = {"IBM": ["July 22, 2026 at 4 PM EDT", "April 22, 2026 at 4 PM EDT"]}
    answers.fail(DATES, kind)
    said = events.announced(("IBM",), date(2004, 1, 1), date(2026, 10, 25))
    assert (said.events, said.complete) == ((), frozenset())
    assert said.notes[0].startswith("no past reports of IBM: ")


def test_pages_stop_after_several_symbols_that_fail(events: YahooEvents, answers: EventAnswers) -> None:
    answers.fail(DATES, "500")
    symbols = tuple(f"S{number}" for number in range(50))
    said = events.announced(symbols, date(2004, 1, 1), date(2026, 10, 25))
    assert said.complete == frozenset()
    assert {one.symbols[0] for one in answers.asked} == {"S0", "S1", "S10"}
    assert said.notes[0].startswith("no past reports of S0, S1, S10, S11, S12 and 45 more: S0: Yahoo's answer")


def test_pages_stop_after_several_symbols_that_cannot_be_read(events: YahooEvents, answers: EventAnswers) -> None:
    symbols = tuple(f"S{number}" for number in range(50))
    answers.past = {symbol: ["July 22, 2026 at 4 PM EDT"] for symbol in symbols}
    answers.spoil[DATES] = lambda text, number: text.replace("Earnings Date", "Report Date")
    said = events.announced(symbols, date(2004, 1, 1), date(2026, 10, 25))
    assert "no column Earnings Date" in said.notes[0]
    assert answers.count(DATES) == 3


def _page(change: Callable[[dict[str, Any]], None]) -> Callable[[Any, int], Any]:
    def spoilt(answer: dict[str, Any], number: int) -> dict[str, Any]:
        change(answer["finance"]["result"][0])
        return answer

    return spoilt


def _renamed(result: dict[str, Any]) -> None:
    for column in result["documents"][0]["columns"]:
        column["id"] = column["label"] = f"new {column['id']}"


def _unlabelled(result: dict[str, Any]) -> None:
    result["documents"][0]["columns"].pop()


def _as_null(result: dict[str, Any]) -> None:
    result["documents"] = None


def _without_rows(result: dict[str, Any]) -> None:
    result["documents"][0]["rows"] = []
    result.pop("total")


def _full_without_total(result: dict[str, Any]) -> None:
    result.pop("total")
    result["documents"][0]["rows"] = result["documents"][0]["rows"][:100] * (len(result["documents"][0]["rows"]) >= 100)


def _emptied(result: dict[str, Any]) -> None:
    if "X150" in json.dumps(result):  # the second page
        result["documents"][0]["rows"] = []
        result["total"] = 0


def _announced_more(result: dict[str, Any]) -> None:
    result["total"] += 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_renamed, "other columns than before"),
        (_unlabelled, "rows that do not fit its columns"),
        (_as_null, "other fields than before"),
        (_without_rows, "Yahoo's answer is empty"),
        (_full_without_total, "after 200 rows it ends with a full page"),
        (_emptied, "232 rows are announced, and 100 were given"),
        (_announced_more, "632 rows are announced, and 232 were given"),
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_a_note(
    events: YahooEvents, full: EventAnswers, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    full.spoil[CALENDAR] = _page(change)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert said.complete == frozenset()
    assert words in said.notes[0]


def test_yahoos_own_complaint_is_a_note(events: YahooEvents, full: EventAnswers) -> None:
    error = {"code": "internal-error", "description": "OpenSearch IOException"}
    full.spoil[CALENDAR] = lambda answer, number: {"finance": {"result": None, "error": error}}
    (note, *_) = events.announced(("IBM",), FIRST, LAST).notes
    assert "Yahoo answers 200, OpenSearch IOException" in note


def test_columns_without_ids_are_known_by_their_labels(events: YahooEvents, full: EventAnswers) -> None:
    def unnamed(result: dict[str, Any]) -> None:
        for column in result["documents"][0]["columns"]:
            del column["id"]

    full.spoil[CALENDAR] = _page(unnamed)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [(event.symbol, event.time) for event in said.events] == [("AAPL", "after_close"), ("IBM", "after_close")]
    assert said.complete == {"AAPL", "IBM"}


def test_a_page_that_repeats_ends(events: YahooEvents, full: EventAnswers) -> None:
    full.states_total = False
    first: list[Any] = []

    def repeated(answer: dict[str, Any], number: int) -> dict[str, Any]:
        first.append(json.loads(json.dumps(answer)))
        return first[0]

    full.spoil[CALENDAR] = repeated
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert "the same page again" in said.notes[0]
    assert full.count(CALENDAR) == 2


def test_rows_that_slip_to_another_page_cancel_nothing(events: YahooEvents, full: EventAnswers) -> None:
    def slipped(answer: dict[str, Any], number: int) -> dict[str, Any]:
        if number == 0:  # between the two requests AAPL overtakes all others
            full.reports.insert(0, full.reports.pop())
        return answer

    full.spoil[CALENDAR] = slipped
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["IBM"]
    assert said.complete == frozenset()
    assert "pages overlap" in said.notes[0]


@pytest.mark.parametrize("at", ["1926-10-28T12:00:00.000Z", "2036-10-28T12:00:00.000Z", "soon", None, True, [], 1e30])
def test_an_absurd_date_is_a_note_and_only_its_symbol_is_not_complete(
    events: YahooEvents, full: EventAnswers, at: object
) -> None:
    def absurd(result: dict[str, Any]) -> None:
        for row in result["documents"][0]["rows"]:
            if row[0] == "IBM":
                row[4] = at

    full.spoil[CALENDAR] = _page(absurd)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [event.symbol for event in said.events] == ["AAPL"]
    assert said.complete == {"AAPL"}
    assert "dates that cannot be: IBM on" in said.notes[0]


def test_dates_in_seconds_and_milliseconds_are_read(events: YahooEvents, full: EventAnswers) -> None:
    def numbers(result: dict[str, Any]) -> None:
        for row in result["documents"][0]["rows"]:
            row[4] = seconds(row[4]) * (1000 if row[0] == "IBM" else 1)

    full.spoil[CALENDAR] = _page(numbers)
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert [(event.symbol, event.day.day) for event in said.events] == [("AAPL", 29), ("IBM", 28)]


def test_two_rows_of_one_report_are_one_event(events: YahooEvents, full: EventAnswers) -> None:
    full.reports = [
        Report(symbol="IBM", at="2026-10-28T20:10:00.000Z", timing="AMC"),
        Report(symbol="IBM", at="2026-10-28T20:10:00.000Z", timing="AMC"),
        Report(symbol="AAPL", at="2026-10-28T20:10:00.000Z", timing="AMC"),
        Report(symbol="AAPL", at="2026-10-28T11:10:00.000Z", timing="BMO"),
        Report(symbol="MSFT", at="2026-10-28T04:00:00.000Z", timing="TNS"),
        Report(symbol="MSFT", at="2026-10-28T11:10:00.000Z", timing="BMO"),
    ]
    said = events.announced(("AAPL", "IBM", "MSFT"), FIRST, LAST)
    assert [(event.symbol, event.time) for event in said.events] == [
        ("AAPL", "unknown"),
        ("IBM", "after_close"),
        ("MSFT", "before_open"),
    ]
    assert said.complete == {"AAPL", "IBM", "MSFT"}


@pytest.mark.parametrize("kind", ["500", "html", "429", "cut"])
def test_without_quotes_dates_are_estimates(events: YahooEvents, full: EventAnswers, kind: str) -> None:
    full.fail(QUOTES, kind)
    said = events.announced(("AAPL", "BP.L", "IBM"), FIRST, LAST)
    assert [(event.symbol, event.confirmed) for event in said.events] == [("AAPL", False), ("IBM", False)]
    assert "BP.L" not in said.complete
    assert "which dates are estimates is not known for all" in said.notes[0]


def quoted(last: str | None, start: str | None, end: str | None) -> dict[str, Any]:
    days = {"earningsTimestamp": last, "earningsTimestampStart": start, "earningsTimestampEnd": end}
    return {name: seconds(day) for name, day in days.items() if day}


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        (quoted("2026-11-03", "2026-10-28", None), "not in order"),
        (quoted(None, "2026-10-28", "2026-10-20"), "not in order"),
        (quoted("2025-08-04", "2026-10-28", None), ""),  # stale
        (quoted(None, "2026-10-28", "2026-10-28"), ""),
        ({"earningsTimestamp": "soon", "earningsTimestampStart": None}, ""),
        ({}, ""),
    ],
)
def test_a_quote_that_may_not_be_whole_is_not_complete(
    events: YahooEvents, full: EventAnswers, quote: dict[str, Any], words: str
) -> None:
    full.quotes = {"BP.L": quote}
    said = events.announced(("BP.L",), FIRST, LAST)
    assert said.complete == frozenset()
    assert words in " ".join(said.notes)
    assert all(event.symbol == "BP.L" for event in said.events)


def test_quotes_of_other_symbols_are_a_note(events: YahooEvents, full: EventAnswers) -> None:
    full.spoil[QUOTES] = lambda answer, number: {"quoteResponse": {"result": [{"symbol": "OTHER"}], "error": None}}
    said = events.announced(("BP.L",), FIRST, LAST)
    assert (said.events, said.complete) == ((), frozenset())
    assert "answered with those of others" in said.notes[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"quoteSummary": {"result": [{}], "error": None}}, "no calendarEvents"),
        ({"quoteSummary": {"result": [{"calendarEvents": {"exDividendDate": "soon"}}], "error": None}}, "'soon'"),
        ({"quoteSummary": {"result": None, "error": {"code": "Not Found", "description": "No data"}}}, "No data"),
    ],
)
def test_a_symbol_without_its_dividend_is_not_complete(
    events: YahooEvents, full: EventAnswers, answer: dict[str, Any], words: str
) -> None:
    full.ex_dividends = {"AAPL": "2026-10-29"}
    full.spoil[SUMMARY] = lambda given, number: given if "exDividendDate" in json.dumps(given) else answer
    said = events.announced(("AAPL", "IBM"), FIRST, LAST)
    assert said.complete == {"AAPL"}
    assert "no ex-dividend dates of IBM" in said.notes[0]
    assert words in said.notes[0]
    assert len(said.events) == 3


def test_an_answer_that_never_comes_is_a_note(make_events: MakeEvents, full: EventAnswers) -> None:
    full.fail(CALENDAR, "hang")
    budget = RetryBudget(sleep=lambda _: None, tries=1)
    (note, *_) = make_events(timeout=0.2, retry=budget).announced(("IBM",), FIRST, LAST).notes
    assert "no answer from Yahoo (Timeout" in note


def test_a_server_that_is_not_there_is_a_note(make_events: MakeEvents, yahoo: Yahoo) -> None:
    events = make_events()
    yahoo.close()
    (note, *_) = events.announced(("IBM",), FIRST, LAST).notes
    assert "no answer from Yahoo" in note


def test_a_redirect_to_another_host_is_a_note(
    events: YahooEvents, full: EventAnswers, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        faults.TRANSPORT, "moved", lambda handler, text: handler.send(302, "", Location="http://evil.example/x")
    )
    full.fail(CALENDAR, "moved")
    (note, *_) = events.announced(("IBM",), FIRST, LAST).notes
    assert "redirect to http://evil.example" in note
    assert slept == []


def test_a_failure_that_nobody_foresees_is_a_note(
    events: YahooEvents, full: EventAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("pipeline.events.yahoo_events.yahoo_event_source.reports_of", broken)
    said = events.announced(("IBM",), FIRST, LAST)
    assert (said.events, said.complete) == ((), frozenset())
    assert said.notes == ("no events from Yahoo: a mistake of ours",)


def test_an_address_that_is_none_is_a_note(home: object) -> None:
    from pipeline.config import Settings

    said = YahooEvents(Settings.load(yahoo_url="ftp://x")).announced(("IBM",), FIRST, LAST)
    assert "PIPELINE_YAHOO_URL" in said.notes[0]


def test_a_rate_limit_of_events_leaves_prices_their_answers(
    make_events: MakeEvents, full: EventAnswers, yahoo: Yahoo, slept: list[float]
) -> None:
    from datetime import UTC, datetime

    from pipeline.prices.sources.yahoo.yahoo_source import YahooSource

    events = make_events()
    full.fail(CALENDAR, "429")
    events.announced(("IBM",), FIRST, LAST)
    source = YahooSource(events.settings, session=events._session, clock=lambda: datetime(2013, 3, 2, 12, tzinfo=UTC))
    assert len(source.bars(("IBM",), date(2013, 3, 1), date(2013, 2, 1))) == 20
    yahoo.fail("IBM", "429", times=4)
    with pytest.raises(RateLimited, match="IBM"):
        YahooSource(events.settings, session=events._session, retry=RetryBudget(tries=1)).bars(
            ("IBM",), date(2013, 3, 1), date(2013, 2, 1)
        )
