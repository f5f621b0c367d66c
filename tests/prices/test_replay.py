"""A replay of a past session reads what its own run read, whatever came later: bars, releases, corrections, splits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.errors import BadUpstream, NoData
from pipeline.prices import quarantine
from pipeline.prices.answers import Request
from pipeline.prices.asof import AsOf
from pipeline.prices.ingest import take_in
from pipeline.prices.oversight import look_over
from pipeline.prices.snapshot import read_snapshot, write_snapshot
from pipeline.prices.store import PriceStore
from tests.prices.scripted import CLOCK, Scripted, walk

FIRST, LAST = date(2019, 1, 2), date(2020, 3, 2)
DAYS = CLOCK.between(date(2020, 2, 3), date(2020, 2, 14))
NAMES = ("AAA", "BBB", "CCC")


@dataclass
class Desk:
    """A store, a source whose truth changes, and the runs made so far: each session's snapshot and audit."""

    home: Path
    source: Scripted
    runs: dict[date, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = PriceStore(open_database(f"sqlite:///{self.home / 'p.db'}"), "yahoo")
        self.settings = Settings.load(home=self.home, source="yahoo", symbols=",".join(NAMES))

    def evening(self, session: date) -> datetime:
        return CLOCK.complete_at(session) + timedelta(minutes=5)

    def ingest(self, session: date, now: datetime, symbols: tuple[str, ...] = NAMES, *, last_try: bool = True) -> None:
        request = Request(
            symbols=symbols,
            last_of=lambda _symbol: session,
            sessions_of=lambda _symbol: CLOCK,
            known_at=now,
            settled_at=self.settings.known_by(session),
            last_try=last_try,
        )
        take_in(self.source, self.store, request)

    def look(self, session: date, now: datetime, symbols: tuple[str, ...] = NAMES) -> tuple[str, dict[str, Any]]:
        """Freeze and audit a session as its run does: the snapshot's SHA-256 and the audit."""
        engine = self.store.engine
        known = AsOf(engine, "yahoo", symbols, lambda _symbol: session, self.settings.known_by(session))
        frozen = write_snapshot(known.tables(), session, self.home / "snapshots")
        bars = read_snapshot(frozen)
        audit = look_over(engine, known, bars, self.settings, symbols, lambda _symbol: session, now=now)
        return frozen.digest, audit

    def run(self, session: date) -> dict[str, Any]:
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


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("PIPELINE_HOME", "PIPELINE_SOURCE", "PIPELINE_SYMBOLS"):
        monkeypatch.delenv(name, raising=False)
    return Desk(tmp_path, Scripted(pd.concat([walk(name, FIRST, LAST) for name in NAMES], ignore_index=True)))


def left_out(audit: dict[str, Any]) -> dict[str, str]:
    return {one["symbol"]: one["reason"] for one in audit["doubtful"]}


def months_later() -> datetime:
    return datetime(2020, 6, 1, tzinfo=UTC)


def test_a_bar_that_came_late_is_as_late_in_the_replay(desk: Desk) -> None:
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    said = left_out(desk.run(DAYS[1]))
    assert said == {"AAA": f"has no bar for {DAYS[1]}, its last is of {DAYS[0]}"}
    back()
    assert left_out(desk.run(DAYS[2])) == {}
    assert (
        len(CLOCK.between(FIRST, DAYS[2])) * len(NAMES)
        == AsOf(desk.store.engine, "yahoo", NAMES, lambda _symbol: DAYS[2], desk.settings.known_by(DAYS[2]))
        .bars()
        .shape[0]
    )
    desk.replay_all(months_later())


def test_a_bar_that_came_before_the_next_session_counts(desk: Desk) -> None:
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    desk.run(DAYS[1])
    back()
    now = desk.evening(DAYS[1]) + timedelta(hours=2)
    desk.ingest(DAYS[1], now)
    digest, audit = desk.look(DAYS[1], now)
    assert left_out(audit) == {}
    assert digest != desk.runs[DAYS[1]][0]
    desk.runs[DAYS[1]] = digest, audit
    desk.run(DAYS[2])
    desk.replay_all(months_later())


def test_a_bar_that_was_held_and_released_later_stays_held_in_the_replay(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[1])
    good = desk.source.truth.copy()
    rows = desk.source.truth.index[desk.source.truth["symbol"] == "AAA"][at : at + 1]
    desk.source.truth.loc[rows, "close"] = np.nan
    assert "quarantine" in left_out(desk.run(DAYS[1]))["AAA"]
    desk.source.truth = good
    desk.run(DAYS[2])
    held = quarantine.held_back(desk.store.engine, "yahoo", (), date.max)
    assert held["status"].tolist() == ["settled"]
    desk.replay_all(months_later())


def test_a_doubtful_correction_and_its_release_count_from_then_on(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[0]) - 2
    desk.source.change("BBB", slice(at, at + 1), 1.3)
    assert desk.run(DAYS[1])["quarantine"] == 1
    held = quarantine.held_back(desk.store.engine, "yahoo", (), date.max)
    now = desk.evening(DAYS[2]) - timedelta(minutes=1)
    quarantine.decide(desk.store.engine, "yahoo", held["id"].tolist(), "released", now=now, note="it was so")
    audit = desk.run(DAYS[2])
    assert (audit["quarantine"], audit["released"]) == (0, 1)
    desk.replay_all(months_later())


def test_corrections_splits_and_warnings_count_from_when_they_came(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[1])
    jump = {"open": 1.6, "high": 1.6, "low": 1.6, "close": 1.6, "volume": 20.0}
    desk.source.change("CCC", slice(at, None), jump)
    assert [one["rule"] for one in desk.run(DAYS[1])["problems"]] == ["jump"]
    desk.source.change("CCC", slice(at, at + 1), 1.02)
    desk.source.split("BBB", 2.0)
    desk.run(DAYS[2])
    desk.source.split("CCC", 3.0)
    desk.run(DAYS[3])
    desk.run(DAYS[4])
    desk.replay_all(months_later())


def test_a_symbol_that_nobody_knew_then_is_not_known_in_the_replay(desk: Desk) -> None:
    new = desk.source.truth[desk.source.truth["symbol"] == "CCC"]
    desk.source.truth = desk.source.truth[desk.source.truth["symbol"] != "CCC"].reset_index(drop=True)
    assert "nobody knows CCC" in left_out(desk.run(DAYS[0]))["CCC"]
    desk.source.truth = pd.concat([desk.source.truth, new], ignore_index=True)
    desk.run(DAYS[1])
    desk.replay_all(months_later())


def test_a_session_that_nobody_ran_on_is_read_as_it_is_known_now(desk: Desk) -> None:
    """The machine was off for some days: what it missed is there for a backfill, and labelled."""
    desk.run(DAYS[0])
    desk.run(DAYS[4])
    digest, audit = desk.look(DAYS[2], months_later())
    assert left_out(audit) == {}
    assert audit["reconstructed"] == 2 * len(NAMES)
    at = desk.position(DAYS[2])
    desk.source.change("AAA", slice(at - 3, at + 1), 1.02)
    desk.run(DAYS[5])
    desk.replay_all(months_later())
    corrected = AsOf(desk.store.engine, "yahoo", ("AAA",), lambda _symbol: DAYS[2], desk.settings.known_by(DAYS[2]))
    changed = corrected.bars()["close"].to_numpy()[-4:] / desk.source.truth["close"].to_numpy()[at - 3 : at + 1]
    # What was known in time stays, what was not is the newest there is.
    assert changed.round(6).tolist() == [round(1 / 1.02, 6), round(1 / 1.02, 6), 1.0, 1.0]
    assert desk.look(DAYS[2], months_later())[0] != digest


def test_a_symbol_that_was_added_later_has_a_past_too(desk: Desk) -> None:
    desk.ingest(DAYS[0], desk.evening(DAYS[0]), ("AAA",))
    desk.ingest(DAYS[3], desk.evening(DAYS[3]))
    _, audit = desk.look(DAYS[0], months_later())
    assert left_out(audit) == {}
    assert audit["reconstructed"] == 2 * len(CLOCK.between(FIRST, DAYS[0]))


@pytest.mark.parametrize("error", [NoData("not yet"), BadUpstream("500")])
def test_what_is_asked_for_again_is_no_miss(desk: Desk, error: Exception) -> None:
    """A task that fails and is tried again did not go on; if it never came through, nobody had a forecast."""
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    if isinstance(error, BadUpstream):
        desk.source.errors["AAA"] = error
    with pytest.raises(type(error)):
        desk.ingest(DAYS[1], desk.evening(DAYS[1]), last_try=False)
    desk.source.errors.clear()
    back()
    desk.ingest(DAYS[1], months_later())
    _, audit = desk.look(DAYS[1], months_later())
    assert left_out(audit) == {}
