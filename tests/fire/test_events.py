"""Scheduled events on both databases: the same frozen bytes, replays equal to runs, writes whole or not at all."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from pipeline.database.engine import open_database, reading
from pipeline.database.schema import batches, event_findings, events
from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import check_events
from pipeline.events.event_store import EventChanges, EventStore
from tests.events.event_desk import DAYS, MARKET, NAMES, EventDesk, report
from tests.fire.children import at_once, killed_at_each
from tests.fire.points import At, database_points, die

pytestmark = pytest.mark.fire

FIRST = datetime(2020, 2, 3, 22, tzinfo=UTC)
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


def everything_of(engine: Engine, source: str) -> list[tuple[object, ...]]:
    """Every stored event of a source, with the number of its batch among those of the source."""
    columns = [events.c[name] for name in ("symbol", "kind", "day", "time", "confirmed", "cancelled", "known_at")]
    with reading(engine) as connection:
        mine = select(batches.c.id).where(batches.c.source == f"events:{source}").order_by(batches.c.id)
        numbers = {batch: number for number, batch in enumerate(connection.execute(mine).scalars())}
        rows = connection.execute(select(events.c.batch_id, *columns).where(events.c.source == source)).all()
    assert {row[0] for row in rows} == set(numbers)  # no batch without its events, no event without its batch
    return sorted((numbers[row[0]], *map(str, row[1:])) for row in rows)


def begin(engine: Engine, source: str) -> EventStore:
    store = EventStore(engine, source)
    store.write(answer(report("AAA", "2019-11-05"), report("AAA", "2020-02-11"), report("BBB", "2020-02-20")), FIRST)
    return store


def go_on(store: EventStore) -> EventChanges:
    """All that a write can be: an event moved, one changed, one cancelled, a new one."""
    moved = answer(
        report("AAA", "2019-11-05", time="before_open"), report("AAA", "2020-02-13"), report("AAA", "2020-03-13")
    )
    return store.write(moved, LATER.replace(month=2, day=4))


def answer(*stated: Event) -> Announced:
    return Announced(events=stated, first=date(1990, 1, 1), last=date(2020, 4, 1), complete=frozenset(NAMES))


def _killed(number: int, address: str, source: str) -> None:
    store = EventStore(open_database(address), source)
    with database_points(At(number, die)):
        go_on(store)


def test_a_write_killed_at_any_statement_or_commit(opened: Callable[[], Engine], address: str) -> None:
    engine, states = opened(), set()
    old = everything_of(engine, begin(engine, "reference").source)
    go_on(EventStore(engine, "reference"))
    new = everything_of(engine, "reference")

    def words(number: int) -> tuple[str, str]:
        begin(engine, f"killed{number}")
        return address, f"killed{number}"

    for number, killed in killed_at_each(_killed, words):
        found = everything_of(engine, f"killed{number}")
        assert found in (old, new)
        assert killed or found == new
        states.add("old" if found == old else "new")
        go_on(EventStore(engine, f"killed{number}"))
        assert everything_of(engine, f"killed{number}") == new
    assert states == {"old", "new"}
