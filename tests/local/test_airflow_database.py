"""Several processes write to Airflow's SQLite database: a transaction that writes waits for its turn."""

import importlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from local.airflow_database import SYNC
from local.place import Place

WRITERS, RUNS = 6, 25


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # as Airflow sets it
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, writer INTEGER)")
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    made = engine_with(database, SYNC)
    yield made
    made.dispose()


def engine_with(database: Path, connect_args: dict[str, Any]) -> Engine:
    engine = create_engine(f"sqlite:///{database}", connect_args={**connect_args, "check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return engine


def create_run(engine: Engine, writer: int, *, between: Any = lambda: None) -> None:
    """As Airflow creates the run of a backfill: a savepoint, a query, then an insert."""
    with Session(engine) as session:
        with session.begin_nested():
            session.scalar(text("SELECT count(*) FROM run"))
            between()
            session.execute(text("INSERT INTO run (writer) VALUES (:writer)"), {"writer": writer})
        session.commit()


def test_airflows_own_transactions_fail_when_another_process_writes_in_between(database: Path) -> None:
    """Why the module exists: no timeout helps a reader that wants to become a writer."""
    engine = engine_with(database, {"timeout": 60})

    def write_elsewhere() -> None:
        with sqlite3.connect(database) as other:
            other.execute("INSERT INTO run (writer) VALUES (0)")

    with pytest.raises(OperationalError, match="database is locked"):
        create_run(engine, 1, between=write_elsewhere)
    engine.dispose()


def test_another_writer_waits_until_the_run_is_created(engine: Engine, database: Path) -> None:
    waiting = threading.Thread(target=create_run, args=(engine, 2))

    create_run(engine, 1, between=waiting.start)

    waiting.join()
    assert [row[0] for row in sqlite3.connect(database).execute("SELECT writer FROM run ORDER BY id")] == [1, 2]


def test_every_run_of_many_writers_is_created(engine: Engine, database: Path) -> None:
    failures: list[Exception] = []

    def create_many(writer: int) -> None:
        try:
            for _ in range(RUNS):
                create_run(engine, writer)
        except OperationalError as error:
            failures.append(error)

    threads = [threading.Thread(target=create_many, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    counts = sqlite3.connect(database).execute("SELECT count(*) FROM run GROUP BY writer").fetchall()
    assert counts == [(RUNS,)] * WRITERS


def test_a_savepoint_that_is_rolled_back_leaves_nothing_and_no_lock(engine: Engine, database: Path) -> None:
    with Session(engine) as session:
        savepoint = session.begin_nested()
        session.execute(text("INSERT INTO run (writer) VALUES (1)"))
        savepoint.rollback()
        session.rollback()

    with sqlite3.connect(database, timeout=0) as other:
        other.execute("INSERT INTO run (writer) VALUES (2)")
        assert other.execute("SELECT writer FROM run").fetchall() == [(2,)]


def test_reading_takes_no_lock(engine: Engine, database: Path) -> None:
    with Session(engine) as session:
        session.scalar(text("SELECT count(*) FROM run"))
        with sqlite3.connect(database, timeout=0) as other:
            other.execute("INSERT INTO run (writer) VALUES (2)")


@pytest.mark.parametrize("setting", ["SQL_ALCHEMY_CONNECT_ARGS", "SQL_ALCHEMY_CONNECT_ARGS_ASYNC"])
def test_the_services_open_the_database_this_way(place: Place, setting: str) -> None:
    module, _, name = place.environment({})[f"AIRFLOW__DATABASE__{setting}"].rpartition(".")

    assert getattr(importlib.import_module(module), name)["timeout"] >= 30
