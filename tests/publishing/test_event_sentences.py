"""Scheduled events in words: weekday and time of day, what is not certain, one and many."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.publishing import event_sentences
from pipeline.publishing.published_events import EventOutlook, PastRanges, ScheduledEvent, SymbolOutlook, WidthFactors

TUESDAY, WEDNESDAY, THURSDAY = date(2013, 1, 22), date(2013, 1, 23), date(2013, 1, 24)


def event(**fields: Any) -> ScheduledEvent:
    given = {"symbol": "IBM", "kind": "earnings", "day": TUESDAY, "time": "after_close", "confirmed": True}
    return ScheduledEvent(**{**given, "sessions": (WEDNESDAY,), **fields})


def width(session: date = WEDNESDAY, ratio: float = 2.1) -> WidthFactors:
    return WidthFactors(
        target_session=session, ratio=ratio, market=0.9, volatility=1.1, event=2.0, model=ratio / 0.9 / 1.1 / 2.0
    )


OUTLOOK = SymbolOutlook(
    events=(event(),), past_ranges=PastRanges(inside=7, ranges=8), widths=(width(), width(THURSDAY, 1.6))
)


def test_a_report_is_told_with_its_range_and_how_such_ranges_held() -> None:
    assert event_sentences.sentence(OUTLOOK) == (
        "reports Tuesday 22 January after the close: range 2.1× the usual; 7 of the last 8 such ranges held"
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"time": "before_open"}, "reports Tuesday 22 January before the open"),
        ({"time": "unknown"}, "reports Tuesday 22 January (time of day not stated)"),
        ({"confirmed": False}, "reports Tuesday 22 January after the close (estimated date)"),
        (
            {"confirmed": False, "time": "unknown"},
            "reports Tuesday 22 January (estimated date, time of day not stated)",
        ),
    ],
)
def test_what_is_not_certain_is_in_brackets(fields: dict[str, Any], told: str) -> None:
    assert event_sentences.reports(event(**fields)) == told


@pytest.mark.parametrize(
    ("past", "told"),
    [
        (PastRanges(inside=1, ranges=1), "the last such range held"),
        (PastRanges(inside=0, ranges=1), "the last such range did not hold"),
        (PastRanges(inside=0, ranges=2), "0 of the last 2 such ranges held"),
    ],
)
def test_one_range_and_many(past: PastRanges, told: str) -> None:
    assert event_sentences.sentence(replace(OUTLOOK, past_ranges=past)).endswith(f"the usual; {told}")


def test_without_earlier_ranges_or_a_usual_width_the_sentence_is_shorter() -> None:
    assert event_sentences.sentence(replace(OUTLOOK, past_ranges=None)).endswith("range 2.1× the usual")
    assert event_sentences.sentence(replace(OUTLOOK, widths=())) == "reports Tuesday 22 January after the close"
    assert event_sentences.sentence(SymbolOutlook()) == ""
    later = replace(OUTLOOK, events=(event(sessions=()),))
    assert event_sentences.sentence(later) == event_sentences.marker(later) == "", "it is beyond the forecast"


def test_the_widest_session_that_a_report_may_move_is_named() -> None:
    moved = replace(OUTLOOK, events=(event(time="unknown", day=WEDNESDAY, sessions=(WEDNESDAY, THURSDAY)),))
    wider_later = replace(moved, widths=(width(ratio=1.2), width(THURSDAY, 1.6)))
    assert "range of Thu 24 Jan 1.6× the usual; 7 of the last 8 next-session ranges" in event_sentences.sentence(
        wider_later
    )


def test_a_model_without_events_is_said_to_be_one() -> None:
    text = event_sentences.sentence(replace(OUTLOOK, counts_reports=False))
    assert "range 2.1× the usual, by a model that does not take reports into account; 7 of" in text


def test_a_width_is_a_product() -> None:
    text = event_sentences.width_sentence(width())
    assert text.replace("\N{NO-BREAK SPACE}", " ") == (
        "90 % range of Wed 23 Jan: 2.10× its usual width = market 0.90 × own volatility 1.10 × scheduled report 2.00"
        " × model 1.06"
    )
    assert "scheduled report" not in event_sentences.width_sentence(replace(width(), event=1.0))


def test_the_width_that_is_explained_is_the_one_that_the_report_widens() -> None:
    moved = replace(OUTLOOK, events=(event(day=WEDNESDAY, sessions=(THURSDAY,)),))
    assert "range of Thu 24 Jan: 1.60×" in event_sentences.explained(moved)
    assert "range of Wed 23 Jan: 2.10×" in event_sentences.explained(replace(OUTLOOK, events=()))
    assert event_sentences.explained(SymbolOutlook()) == ""


def test_those_that_report_within_two_sessions_come_first_the_widest() -> None:
    sessions = (WEDNESDAY, THURSDAY, date(2013, 1, 25))
    third = replace(OUTLOOK, events=(event(sessions=sessions[2:]),))
    wider = replace(OUTLOOK, widths=(width(ratio=3.0),))
    outlook = EventOutlook(symbols={"AAPL": OUTLOOK, "IBM": wider, "MSFT": third, "FB": SymbolOutlook()})
    lines = event_sentences.soon(outlook, dict.fromkeys(outlook.symbols, sessions))
    assert [line.split()[0] for line in lines] == ["IBM", "AAPL"]
    assert event_sentences.soon(outlook, dict.fromkeys(outlook.symbols, sessions), most=1)[1:] == [
        "and 1 more reports within two sessions"
    ]


def test_coming_events_are_listed_by_day_with_those_of_the_market() -> None:
    known = datetime(2013, 1, 2, 22, tzinfo=UTC)
    dividend = event(kind="ex_dividend", day=THURSDAY, sessions=(), time="unknown", known_since=known)
    bank = event(symbol="", kind="central_bank", day=WEDNESDAY, sessions=(), time="unknown")
    outlook = EventOutlook(symbols={"IBM": replace(OUTLOOK, events=(event(), dividend))}, market=(bank,))
    rows = event_sentences.rows(outlook)
    assert [(row.symbol, row.kind) for row in rows] == [
        ("IBM", "earnings report"),
        ("market", "central bank"),
        ("IBM", "ex-dividend date"),
    ]
    assert (rows[0].time, rows[0].known_since) == ("after the close", "not recorded")
    assert (rows[2].time, rows[2].known_since) == ("not stated", "Wed 2 Jan")
