"""Evenings at a desk: a store of events, a vendor whose announcements change, and what each session's run saw."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from pipeline.events.calendar_snapshot import write_calendar
from pipeline.events.event import Announced, Calendar, Event
from pipeline.events.event_asof import read_calendar
from pipeline.events.event_checks import FIRST_DAY, check_events
from pipeline.events.event_store import EventChanges, EventStore
from pipeline.market.clock import MarketClock

MARKET = MarketClock()
DAYS = MARKET.sessions.between(date(2020, 2, 3), date(2020, 2, 14))
NAMES = ("AAA", "BBB")


def report(symbol: str, day: str, **values: object) -> Event:
    return Event(symbol=symbol, kind="earnings", day=date.fromisoformat(day), **values)  # type: ignore[arg-type]


@dataclass
class EventDesk:
    """A store, what the vendor announces at present, and the runs made so far: each session's calendar."""

    engine: Engine
    home: Path
    announced: list[Event]
    runs: dict[date, tuple[str, Calendar]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = EventStore(self.engine, "yahoo")

    def evening(self, session: date) -> datetime:
        return MARKET.sessions.complete_at(session) + timedelta(minutes=5)

    def ingest(
        self, session: date, now: datetime, symbols: tuple[str, ...] = NAMES, *, fails: bool = False
    ) -> EventChanges:
        """What the step of a run does; of a vendor that fails there is an empty answer."""
        last = session + timedelta(days=60)
        mine = [one for one in self.announced if one.day <= last and one.symbol in (*symbols, "")]
        answer = Announced(events=tuple(mine), first=FIRST_DAY, last=last, complete=frozenset({*symbols, ""}))
        if fails:
            answer = Announced(events=(), first=FIRST_DAY, last=last)
        checked = check_events(answer, symbols, MARKET, now)
        kept = Announced(events=checked.events, first=answer.first, last=answer.last, complete=answer.complete)
        changes = self.store.write(kept, now, findings=checked.findings)
        self.store.requested(symbols, MARKET.at(session), now)
        return changes

    def look(self, session: date) -> tuple[str, Calendar]:
        """Freeze the calendar of a session as its run does: the SHA-256 and the calendar."""
        calendar = read_calendar(self.engine, "yahoo", NAMES, MARKET.at(session), session + timedelta(days=60))
        return write_calendar(calendar, session, self.home / "snapshots").digest, calendar

    def run(self, session: date, *, fails: bool = False) -> Calendar:
        """What a run does on the evening of its session."""
        self.ingest(session, self.evening(session), fails=fails)
        self.runs[session] = self.look(session)
        return self.runs[session][1]

    def replay_all(self, now: datetime) -> None:
        """Run every session again, in no order, and expect what its own run had, byte for byte."""
        for session in sorted(self.runs, key=lambda day: day.day % 3):
            self.ingest(session, now)
            assert self.look(session)[0] == self.runs[session][0], session


def standing(calendar: Calendar) -> list[tuple[str, str]]:
    """The events that stand at the end, by symbol and day."""
    rows = calendar.frame[calendar.frame["known_until"].isna()]
    return [(symbol, str(day.date())) for symbol, day in zip(rows["symbol"], rows["day"], strict=True)]
