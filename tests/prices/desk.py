"""Days at a desk: a store, a source whose truth changes, and what each session's run saw."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.market.clock import MarketClock
from pipeline.prices.audit import audit_snapshot
from pipeline.prices.audit_types import Audit
from pipeline.prices.ingestion.ingest import ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot
from pipeline.prices.store.writer import PriceStore
from tests.prices.scripted import CLOCK, Scripted, walk

FIRST, LAST = date(2019, 1, 2), date(2020, 3, 2)
DAYS = CLOCK.between(date(2020, 2, 3), date(2020, 2, 14))
NAMES = ("AAA", "BBB", "CCC")


@dataclass
class Desk:
    """A store, a source whose truth changes, and the runs made so far: each session's snapshot and audit."""

    home: Path
    source: Scripted
    runs: dict[date, tuple[str, Audit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = PriceStore(open_database(f"sqlite:///{self.home / 'p.db'}"), "yahoo")
        self.settings = Settings.load(home=self.home, source="yahoo", symbols=",".join(NAMES))

    def evening(self, session: date) -> datetime:
        return CLOCK.complete_at(session) + timedelta(minutes=5)

    def ingest(self, session: date, now: datetime, symbols: tuple[str, ...] = NAMES, *, last_try: bool = True) -> None:
        request = Request(
            symbols=symbols,
            clock=MarketClock().at(session),
            known_at=now,
            last_try=last_try,
        )
        ingest_bars(self.source, self.store, request)

    def look(self, session: date, now: datetime, symbols: tuple[str, ...] = NAMES) -> tuple[str, Audit]:
        """Freeze and audit a session as its run does: the snapshot's SHA-256 and the audit."""
        known = AsOf(self.store.engine, "yahoo", symbols, MarketClock().at(session))
        frozen = write_snapshot(known.tables(), session, self.home / "snapshots")
        bars = read_snapshot(frozen)
        audit = audit_snapshot(known, bars, now=now)
        return frozen.digest, audit

    def run(self, session: date) -> Audit:
        """What a run does on the evening of its session."""
        now = self.evening(session)
        self.ingest(session, now)
        self.runs[session] = self.look(session, now)
        return self.runs[session][1]

    def replay_all(self, now: datetime) -> None:
        """Run every session again, in no order, and expect what its own run had."""
        for session in sorted(self.runs, key=lambda day: day.day % 3):
            self.ingest(session, now)
            assert self.look(session, now) == self.runs[session], session

    def missing(self, symbol: str, session: date) -> Callable[[], None]:
        """Take a bar away from the source; what is returned brings it back."""
        whole = self.source.truth
        gone = (whole["symbol"] == symbol) & (whole["session"] == pd.Timestamp(session))
        row = whole[gone]
        self.source.truth = whole[~gone].reset_index(drop=True)

        def back() -> None:
            joined = pd.concat([self.source.truth, row])
            self.source.truth = joined.sort_values(["symbol", "session"], ignore_index=True)

        return back

    def position(self, session: date) -> int:
        return len(CLOCK.between(FIRST, session)) - 1


def new_desk(home: Path) -> Desk:
    """A desk with three shares, before its first day."""
    return Desk(home, Scripted(pd.concat([walk(name, FIRST, LAST) for name in NAMES], ignore_index=True)))


def left_out(audit: Audit) -> dict[str, str]:
    """The symbols that get no forecast, and why."""
    return {one.symbol: one.reason for one in audit.doubtful}
