"""Yahoo's events in a run: the past once, then a few requests a day, and a failing Yahoo stops no prices."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents
from pipeline.jobs.context import calendar_of
from pipeline.jobs.results import EventsResult
from pipeline.jobs.run import Run
from tests.events.event_desk import standing
from tests.prices.sources.yahoo.event_answers import CALENDAR, DATES, EventAnswers, Report
from tests.prices.sources.yahoo.server import Yahoo

EVENING = datetime(2013, 2, 26, 22, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _settings(yahoo: Yahoo, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_YAHOO_URL", yahoo.url)
    monkeypatch.setitem(YahooEvents.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture(autouse=True)
def _calendar(answers: EventAnswers) -> None:
    answers.reports = [Report(symbol="OTHER", at=f"2013-0{at}T13:00:00.000Z") for at in
                       ("1-30", "2-06", "2-13", "2-20", "2-27", "3-06", "3-13", "3-20", "3-27")]  # fmt: skip
    answers.reports.append(Report(symbol="AAPL", at="2013-03-12T20:30:00.000Z", timing="AMC"))
    answers.past = {
        "AAPL": ["January 23, 2013 at 4 PM EST", "October 25, 2012 at 4 PM EDT"],
        "IBM": ["January 22, 2013 at 4 PM EST"],
    }


def ingested(as_of: date, now: datetime) -> tuple[Run, EventsResult]:
    """The steps up to the snapshot of a run on the sample's prices with Yahoo's events."""
    overrides = Overrides({"symbols": "AAPL,IBM", "events": "yahoo"})
    planned = jobs.plan(key=None, now=now, as_of=as_of, overrides=overrides, provenance={})
    jobs.ingest_all(planned, known_at=now)
    result = jobs.ingest_events(planned.run, known_at=now)
    jobs.snapshot(planned.run, known_at=now)
    return planned.run, result


def test_past_and_coming_reports_become_the_calendar_of_the_run(answers: EventAnswers) -> None:
    run, result = ingested(EVENING.date(), EVENING)
    assert result.notes == []
    assert standing(calendar_of(run)) == [
        ("AAPL", "2012-10-25"),
        ("AAPL", "2013-01-23"),
        ("AAPL", "2013-03-12"),
        ("IBM", "2013-01-22"),
    ]
    assert answers.count(DATES) == 2


def test_the_past_is_requested_on_the_first_day_only(answers: EventAnswers) -> None:
    ingested(EVENING.date(), EVENING)
    answers.asked.clear()
    answers.reports[-1] = Report(symbol="AAPL", at="2013-03-14T20:30:00.000Z", timing="AMC")
    run, result = ingested(EVENING.date() + DAY, EVENING + DAY)
    assert (result.new, result.cancelled) == (1, 1)
    assert ("AAPL", "2013-03-14") in standing(calendar_of(run))
    assert answers.count(DATES) == 0
    assert answers.count(CALENDAR) > 0


@pytest.mark.parametrize("fault", ["429", "500", "cut", "html"])
def test_a_yahoo_that_fails_cancels_nothing_and_stops_nothing(answers: EventAnswers, fault: str) -> None:
    before, _ = ingested(EVENING.date(), EVENING)
    answers.reports.clear()
    for kind in ("calendar", "quotes", "summary", "dates"):
        answers.fail(kind, fault)
    run, result = ingested(EVENING.date() + DAY, EVENING + DAY)
    assert result.notes
    assert (result.new, result.changed, result.cancelled) == (0, 0, 0)
    assert standing(calendar_of(run)) == standing(calendar_of(before))
