"""Scheduled events on both databases: the same frozen bytes, replays equal their runs, and one write at a time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from pipeline.database.engine import open_database, reading
from pipeline.database.schema import batches, event_findings, events
from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import check_events
from tests.events.event_desk import DAYS, MARKET, NAMES, EventDesk, report
from tests.fire.children import at_once

pytestmark = pytest.mark.fire

LATER = datetime(2020, 6, 1, tzinfo=UTC)
MANY = [report(name, f"{2000 + number // 4}-{1 + number % 4 * 3:02}-15") for name in NAMES for number in range(80)]


def days_at_a_desk(engine: Engine, home: Path) -> EventDesk:
    """Some sessions on which dates are moved, cancelled, stated by their source, and not requested."""
    desk = EventDesk(engine, home, [report("AAA", "2019-11-05"), report("AAA", "2020-02-11", confirmed=False)])
    desk.announced.append(report("BBB", "2020-02-20", known_at=datetime(2020, 1, 20, 12, tzinfo=UTC)))
    desk.run(DAYS[0])
    desk.announced[1] = report("AAA", "2020-02-13", time="after_close")
    desk.run(DAYS[1])
    del desk.announced[2]
    desk.announced.append(report("AAA", "2020-02-15"))  # a Saturday within a week: held back
    desk.run(DAYS[2], fails=True)
    desk.run(DAYS[4])
    return desk


def test_replays_equal_their_runs_and_both_databases_give_the_same_bytes(
    opened: Callable[[], Engine], tmp_path: Path
) -> None:
    desk = days_at_a_desk(opened(), tmp_path)
    desk.replay_all(LATER)
    reconstructed = desk.look(DAYS[3])
    model = days_at_a_desk(open_database("sqlite:///:memory:"), tmp_path)
    model.ingest(DAYS[0], LATER)
    assert {day: digest for day, (digest, _) in desk.runs.items()} == {
        day: digest for day, (digest, _) in model.runs.items()
    }
    assert reconstructed[0] == model.look(DAYS[3])[0]


def test_findings_about_texts_of_any_kind_are_stored(opened: Callable[[], Engine], tmp_path: Path) -> None:
    odd = Event(symbol="X" * 99, kind="k\0" * 99, day=DAYS[0])
    desk = EventDesk(opened(), tmp_path, [])
    for _ in range(2):
        checked = check_events(Announced(events=(odd,), first=DAYS[0], last=DAYS[1]), NAMES, MARKET, LATER)
        desk.store.write(Announced(events=(), first=DAYS[0], last=DAYS[1]), LATER, findings=checked.findings)
    with reading(desk.engine) as connection:
        (row,) = connection.execute(select(event_findings)).all()
    assert (row.symbol, row.rule) == ("X" * 20, "wrong_symbol")


def _ingest(together: Callable[[], object], address: str) -> None:
    desk = EventDesk(open_database(address), Path(), MANY)
    together()
    desk.ingest(DAYS[0], desk.evening(DAYS[0]))


def test_writers_of_the_same_answer_wait_for_each_other_and_one_writes(
    address: str, opened: Callable[[], Engine]
) -> None:
    opened()
    at_once(_ingest, [(address,)] * 4)
    with reading(opened()) as connection:
        assert connection.execute(select(batches.c.rows)).scalars().all() == [len(MANY)]
        assert len(connection.execute(select(events)).all()) == len(MANY)
