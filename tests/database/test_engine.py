"""The database: its migrations make exactly the schema, its writers never mix, its errors are one clear line."""

import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from pipeline.database.engine import open_database, reading, writing
from pipeline.database.schema import batches, metadata
from pipeline.errors import BadSetting, StoreError


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'new' / 'pipeline.db'}"


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def _open_and_write(address: str, name: str) -> None:
    engine = open_database(address)
    for _ in range(20):
        with writing(engine) as connection:
            count = connection.execute(select(batches.c.id)).fetchall()
            connection.execute(
                text("INSERT INTO batches (source, known_at, rows) VALUES (:s, '2020-01-01', :n)"),
                {"s": name, "n": len(count)},
            )


def test_processes_that_open_and_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_open_and_write, args=(url(tmp_path), str(i))) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with reading(open_database(url(tmp_path))) as connection:
        seen = sorted(connection.execute(select(batches.c.rows)).scalars())
    assert seen == list(range(60))  # each saw all that was written before it, and nothing was lost


def test_a_failure_inside_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))

    def write_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO batches (source, known_at, rows) VALUES ('a', '2020-01-01', 1)"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with reading(engine) as connection:
        assert connection.execute(select(batches)).fetchall() == []


def test_a_file_that_is_no_database_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("hello " * 500)
    with pytest.raises(StoreError) as caught:
        open_database(f"sqlite:///{tmp_path / 'bad.db'}")
    assert "bad.db" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer than this code"):
        open_database(url(tmp_path))


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        open_database("postgresql+psycopg://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["nonsense", "mysql://x/y", "sqlite+nothing://x"])
def test_an_unknown_kind_of_database_is_refused(address: str) -> None:
    with pytest.raises(BadSetting, match="PIPELINE_DATABASE_URL"):
        open_database(address)
