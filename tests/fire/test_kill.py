"""kill -9 at every point of a write: what is found is the old state or the new, and doing it again ends the same."""

import itertools
import os
import random
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.prices.store.writer import Appended, PriceStore
from tests.fire.children import FORKS, Work, killed_at_each
from tests.fire.model import DAYS, LATE, bar, checked, everything, frame_of, moment, read, scaled
from tests.fire.points import At, database_points, die, sqlite_points
from tests.fire.postgres import Server

pytestmark = pytest.mark.fire

OLD = {(name, day): bar(50) for name in ("AAA", "BBB") for day in DAYS[:10]}


def begin(engine: Engine, source: str) -> PriceStore:
    store = PriceStore(engine, source)
    store.append(checked(frame_of(OLD), frame_of({("AAA", DAYS[10]): bar(9)})), moment(1))
    return store


def go_on(store: PriceStore) -> Appended:
    """All that an append can be: new sessions, a correction, a split, a symbol, a bar that is held back."""
    content = {("AAA", day): bar(51) for day in DAYS[9:12]}
    content |= {("BBB", day): scaled(bar(50), 0.5, 1) for day in DAYS[:12]}
    content |= {("CCC", day): bar(7) for day in DAYS[:200]}
    held = frame_of({("CCC", DAYS[-1]): bar(9)})
    return store.append(checked(frame_of(content), held), moment(2), rewritten=frozenset({"BBB"}))


def _append(number: int, address: str, source: str) -> None:
    store = PriceStore(open_database(address), source)
    with database_points(At(number, die)):
        go_on(store)


def _append_on_sqlite(number: int, address: str, source: str) -> None:
    store = PriceStore(open_database(address), source)
    sqlite_points(At(number, die))
    go_on(store)


def seen_at_each_point(work: Work, opened: Callable[[], Engine], address: str) -> tuple[int, set[str]]:
    """Return how many points there were and which states were found there."""
    engine = opened()
    old = everything(engine, begin(engine, "reference").source)
    whole = go_on(PriceStore(engine, "reference"))
    new = everything(engine, "reference")
    states, points = set(), 0

    def words(number: int) -> tuple[str, str]:
        begin(engine, f"killed{number}")
        return address, f"killed{number}"

    for number, killed in killed_at_each(work, words):
        store = PriceStore(engine, f"killed{number}")
        found = everything(store.engine, store.source)
        assert found in (old, new)
        assert killed or found == new
        states.add("old" if found == old else "new")
        again = go_on(store)
        assert again == (whole if found == old else Appended(unchanged=whole.new + whole.revised + whole.unchanged))
        assert everything(store.engine, store.source) == new
        points = number
    return points, states


def test_an_append_killed_at_any_statement_row_or_commit(opened: Callable[[], Engine], address: str) -> None:
    points, states = seen_at_each_point(_append, opened, address)
    assert points > 8
    assert states == {"old", "new"}


def test_an_append_killed_in_any_write_of_sqlite_to_the_disk(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'p.db'}"
    points, states = seen_at_each_point(_append_on_sqlite, lambda: open_database(address), address)
    assert points > 15
    assert states == {"old", "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["p.db"]


def _append_on_and_on(address: str, source: str, first: int, told: Connection) -> None:
    store = PriceStore(open_database(address), source)
    for number in itertools.count(first):
        store.append(checked(frame_of(revision(number))), moment(number))
        told.send(number)


def revision(number: int) -> dict[tuple[str, date], tuple[float, ...]]:
    return {(name, day): bar(20 + number, number) for name in ("AAA", "BBB", "CCC") for day in DAYS[:5]}


def killed_after(address: str, first: int, acknowledged: int, spin: int) -> int:
    """Let a process append from the batch `first` on, kill it, and return the last batch it has acknowledged."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_append_on_and_on, args=(address, "fire", first, theirs))
    process.start()
    theirs.close()
    last = first - 1
    for _ in range(acknowledged):
        last = ours.recv()
    for _ in range(spin):  # somewhere in the next append
        os.getppid()
    process.kill()
    process.join()
    while ours.poll():
        try:
            last = ours.recv()
        except EOFError:
            break
    return last


def test_what_was_acknowledged_survives_kills_at_any_time(opened: Callable[[], Engine], address: str) -> None:
    engine, chance, last = opened(), random.Random(24), 0
    for _ in range(25):
        last = killed_after(address, last + 1, chance.randint(1, 4), chance.randint(0, 100_000))
        stored = everything(engine, "fire")
        assert len(stored["batches"]) - last in (0, 1)  # one may be stored that there was no time to tell of
        last = len(stored["batches"])
        found = read(engine, "fire", ("AAA", "BBB", "CCC"), DAYS[-1], LATE)
        pd.testing.assert_frame_equal(found, frame_of(revision(last)), check_exact=True)


def test_what_was_acknowledged_survives_a_crash_of_the_server(postgresql: Server) -> None:
    address = postgresql.new_database()
    engine = open_database(address)
    go_on(begin(engine, "fire"))
    stored = everything(engine, "fire")
    engine.dispose()
    postgresql.stop("immediate")
    postgresql.start()
    engine = open_database(address)
    assert everything(engine, "fire") == stored
    assert go_on(PriceStore(engine, "fire")).new == 0
    engine.dispose()
