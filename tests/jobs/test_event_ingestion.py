"""The events of a run: a failing or odd calendar never stops prices, and a replay reads what the live run read."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.errors import MissingStep, RateLimited
from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import FIRST_DAY
from pipeline.jobs import event_ingestion
from pipeline.jobs.context import calendar_digest_of, calendar_of
from pipeline.jobs.event_report import event_report
from pipeline.jobs.results import EventsResult, Plan
from pipeline.jobs.run_artifacts import CALENDAR
from pipeline.market.clock import MarketClock
from tests.events.event_desk import report, standing

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
AS_OF = date(2013, 2, 26)
LIVE = datetime(2013, 2, 26, 22, tzinfo=UTC)  # that evening

pytestmark = pytest.mark.usefixtures("home")


def plan(as_of: date = AS_OF, now: datetime = NOW, **overrides: Any) -> Plan:
    return jobs.plan(
        key=None, now=now, as_of=as_of, overrides=Overrides({"symbols": "AAPL,FB,GOOG", **overrides}), provenance={}
    )


def frozen(planned: Plan, now: datetime = NOW) -> tuple[EventsResult, Any]:
    """What the steps up to the snapshot give."""
    jobs.ingest_all(planned, known_at=now)
    result = jobs.ingest_events(planned.run, known_at=now)
    return result, jobs.snapshot(planned.run, known_at=now)


def test_the_sample_has_the_reports_of_its_companies_and_none_of_google() -> None:
    planned = plan()
    result, snapshot = frozen(planned)
    assert (result.source, result.notes) == ("sample", [])
    frame = calendar_of(planned.run).frame
    assert set(frame["symbol"]) == {"AAPL", "FB"}
    assert str(frame["day"].max())[:10] == "2013-04-23"  # what is to come is known
    assert (snapshot.events, snapshot.events_reconstructed) == (len(frame), len(frame))
    assert snapshot.calendar == calendar_digest_of(planned.run)


def test_the_events_step_again_changes_nothing() -> None:
    first, before = frozen(plan())
    again, after = frozen(plan())
    assert first.new > 0
    assert (again.new, again.changed, again.cancelled) == (0, 0, 0)
    assert after.calendar == before.calendar


def test_without_events_the_calendar_is_empty() -> None:
    planned = plan(events="none")
    result, snapshot = frozen(planned)
    assert result == EventsResult(source="none")
    assert len(calendar_of(planned.run).frame) == snapshot.events == 0


def test_a_run_from_before_there_were_events_has_an_empty_calendar(home: Path) -> None:
    planned = plan()
    frozen(planned)
    (home / "runs" / planned.run.key / "calendar.json").unlink()
    assert len(calendar_of(planned.run).frame) == 0
    assert calendar_digest_of(planned.run) == ""


def test_a_calendar_that_is_gone_is_named(home: Path) -> None:
    planned = plan()
    frozen(planned)
    (home / planned.run.load(CALENDAR).name).unlink()
    with pytest.raises(MissingStep, match="calendar"):
        calendar_of(planned.run)


def _missing(folder: Path) -> None:
    pass


def _no_calendar(folder: Path) -> None:
    (folder / "events.csv").write_text("<!doctype html><p>log in</p>")


def _without_dates(folder: Path) -> None:
    (folder / "events.csv").write_text("symbol,price\nAAPL,3\n")


def _nonsense(folder: Path) -> None:
    (folder / "events.csv").write_bytes(b"\x00\xff\x00" * 99)


@pytest.mark.parametrize("write", [_missing, _no_calendar, _without_dates, _nonsense])
def test_a_file_that_is_no_calendar_is_a_note_and_prices_go_on(home: Path, write: Callable[[Path], None]) -> None:
    write(home.parent)
    result, snapshot = frozen(plan(events=str(home.parent / "events.csv")))
    assert len(result.notes) == 1
    assert "the run goes on" in result.notes[0]
    assert snapshot.rows > 0


def test_odd_rows_are_reported_and_the_others_are_known(home: Path) -> None:
    (home.parent / "events.csv").write_text(
        "symbol,date\nAAPL,2013-04-23\nAAPL,2013-04-25\nAAPL,2099-01-01\nAAPL,never\nFB,2013-03-02\nNOBODY,2013-04-23\n"
    )
    planned = plan(events=str(home.parent / "events.csv"))
    result, _ = frozen(planned)
    assert result.verdicts == {"quarantine": 1, "reject": 2, "warn": 1}
    assert standing(calendar_of(planned.run)) == [("AAPL", "2013-04-23"), ("FB", "2013-03-02")]
    listed = event_report(
        Overrides({"symbols": "AAPL,FB", "events": str(home.parent / "events.csv")}), now=NOW, as_of=AS_OF
    )
    assert {one.rule for one in listed.findings} == {"within_a_week", "far_future", "unreadable", "no_session"}


def test_a_finding_is_listed_until_the_file_is_corrected(home: Path) -> None:
    path = home.parent / "events.csv"
    overrides = {"symbols": "AAPL,FB", "events": str(path)}

    def listed() -> list[str]:
        jobs.ingest_events(plan(**overrides).run, known_at=NOW)
        return [one.rule for one in event_report(Overrides(overrides), now=NOW, as_of=AS_OF).findings]

    odd = "symbol,date\nAAPL,2013-04-23\nAAPL,2013-04-25\nFB,never\nFB,1950-01-03\n"
    path.write_text(odd)
    assert sorted(listed()) == ["too_early", "unreadable", "within_a_week"]
    assert sorted(listed()) == ["too_early", "unreadable", "within_a_week"]
    path.write_text("symbol,date\nAAPL,2013-04-23\n")
    assert listed() == []
    path.write_text(odd)
    assert sorted(listed()) == ["too_early", "unreadable", "within_a_week"]


class Vendor:
    """A source of events whose answers a test sets; it remembers what it was asked."""

    name = "yahoo"

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.failing: frozenset[str] = frozenset()  # symbols without an answer about their past
        self.asked: list[tuple[tuple[str, ...], date, date]] = []

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        self.asked.append((symbols, first, last))
        if self.error is not None:
            raise self.error
        answered = frozenset(symbols) - (self.failing if first == FIRST_DAY else frozenset())
        events = tuple(one for one in self.events if one.symbol in answered and first <= one.day <= last)
        return Announced(events=events, first=first, last=last, complete=answered)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    made = Vendor()
    monkeypatch.setattr(event_ingestion, "open_event_source", lambda _settings, **_now: made)
    made.events = [report("AAPL", "2013-01-23"), report("AAPL", "2013-03-05"), report("FB", "2013-03-28")]
    return made


@pytest.mark.parametrize("error", [RateLimited("Yahoo refuses requests"), KeyError("a field of the answer")])
def test_a_source_that_fails_is_a_note_and_what_is_known_stays(vendor: Vendor, error: Exception) -> None:
    planned = plan(events="yahoo", now=LIVE)
    frozen(planned, LIVE)
    before = calendar_digest_of(planned.run)
    vendor.error = error
    result, snapshot = frozen(planned, LIVE + timedelta(hours=1))
    assert str(error) in result.notes[0]
    assert snapshot.calendar == before
    assert len(calendar_of(planned.run).frame) == 3


def test_an_answer_that_makes_no_sense_is_a_note(vendor: Vendor) -> None:
    vendor.events.append(Event(symbol="AAPL", kind="earnings", day=datetime(2013, 3, 5, tzinfo=UTC)))
    result, snapshot = frozen(plan(events="yahoo", now=LIVE), LIVE)
    assert "TypeError" in result.notes[0]
    assert snapshot.rows > 0


def test_a_replay_reads_the_calendar_of_the_live_run(vendor: Vendor) -> None:
    sessions = MarketClock().sessions.between(AS_OF, date(2013, 3, 1))
    live = {}
    for number, session in enumerate(sessions):
        now = MarketClock().sessions.complete_at(session) + timedelta(minutes=20)
        vendor.events[1] = report("AAPL", f"2013-03-{5 + number:02}", confirmed=False)  # it moves every day
        vendor.error = RateLimited("for a day") if number == 2 else None
        _, live[session] = frozen(plan(session, now, events="yahoo"), now)
    assert len({one.calendar for one in live.values()}) == len(sessions) - 1  # nothing new where the source failed
    vendor.events, vendor.error = [report("FB", "2013-03-04")], None
    for session in reversed(sessions):
        _, again = frozen(plan(session, events="yahoo"))
        assert again.calendar == live[session].calendar


def test_the_past_is_requested_once_for_each_symbol_and_then_only_what_is_recent(vendor: Vendor) -> None:
    first = LIVE.date() - timedelta(days=28)
    last = AS_OF + timedelta(days=60)
    vendor.failing = frozenset({"FB"})
    names = ("AAPL", "FB", "GOOG")
    recent, until = (names, first, last), first + timedelta(days=7)
    for asked in (
        [(names, FIRST_DAY, until), recent],
        [(("FB",), FIRST_DAY, until), recent],
        [(("FB",), FIRST_DAY, until), recent],
        [recent],  # after three tries it has to wait for a week
    ):
        vendor.asked.clear()
        jobs.ingest_events(plan(events="yahoo", now=LIVE).run, known_at=LIVE)
        assert vendor.asked == asked


def test_after_a_long_pause_the_past_is_requested_again(vendor: Vendor) -> None:
    jobs.ingest_events(plan(events="yahoo", now=LIVE).run, known_at=LIVE)
    histories = []
    for days in (1, 28, 60, 61):
        vendor.asked.clear()
        now = LIVE + timedelta(days=days)
        as_of = MarketClock().sessions.last_complete(now)
        jobs.ingest_events(plan(min(as_of, date(2013, 3, 1)), now, events="yahoo").run, known_at=now)
        histories.append([names for names, first, _ in vendor.asked if first == FIRST_DAY])
    assert histories == [[], [], [("AAPL", "FB", "GOOG")], []]


def test_a_backfill_of_an_old_session_asks_for_no_recent_events(vendor: Vendor) -> None:
    jobs.ingest_events(plan(events="yahoo").run, known_at=NOW)
    assert [(first, last < NOW.date()) for _, first, last in vendor.asked] == [(FIRST_DAY, True)]
    vendor.asked.clear()
    jobs.ingest_events(plan(events="yahoo").run, known_at=NOW)
    assert vendor.asked == []


def test_histories_of_many_symbols_are_spread_over_runs(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.events.event_histories.MOST_AT_ONCE", 2)
    run = plan(events="yahoo", now=LIVE).run
    result = jobs.ingest_events(run, known_at=LIVE)
    assert vendor.asked[0][0] == ("AAPL", "FB")
    assert "1 symbol" in result.notes[0]
    jobs.ingest_events(run, known_at=LIVE)
    assert vendor.asked[2][0] == ("GOOG",)


def test_moves_are_counted_with_their_notice(vendor: Vendor) -> None:
    frozen(plan(events="yahoo", now=LIVE), LIVE)
    vendor.events[1] = report("AAPL", "2013-03-07")
    del vendor.events[2]
    vendor.events.append(report("GOOG", "2013-03-04"))
    later = LIVE + timedelta(days=1)
    planned = plan(date(2013, 2, 27), later, events="yahoo")
    frozen(planned, later)
    vendor.events.append(report("GOOG", "2013-04-18"))
    latest = later + timedelta(days=1)
    frozen(plan(date(2013, 2, 28), latest, events="yahoo"), latest)
    listed = event_report(Overrides({"symbols": "AAPL,FB,GOOG", "events": "yahoo"}), now=latest, as_of=None)
    (moves,) = listed.moves
    assert (moves.kind, moves.seen, moves.moved, moves.cancelled) == ("earnings", 5, 1, 1)
    assert (moves.moved_late, moves.move_notice) == (1, 6)
    assert (moves.announced_late, moves.announcement_notice) == (0, 49)
    assert [(one.symbol, str(one.day)) for one in listed.coming] == [
        ("GOOG", "2013-03-04"),
        ("AAPL", "2013-03-07"),
        ("GOOG", "2013-04-18"),
    ]
    assert listed.coming[0].known_from is None  # it was there when the events of its symbol began
    assert listed.coming[2].known_from == "2013-02-28T22:00:00Z"


def test_prices_are_the_same_with_and_without_events() -> None:
    _, with_events = frozen(plan())
    _, without = frozen(plan(events="none"))
    assert with_events.digest == without.digest


def test_the_calendar_setting_is_frozen_and_part_of_the_key(home: Path) -> None:
    assert plan().run.key != plan(events="none").run.key
    relative = plan(events="events.csv").run
    assert relative.settings.events == str(home.parent / "events.csv")
    assert replace(relative, frozen=json.loads(json.dumps(relative.frozen))).settings.events == relative.settings.events
