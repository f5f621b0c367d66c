"""A PostgreSQL database that answers and cannot be written: `doctor` says so, with the next step."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from pipeline.database.engine import open_database
from pipeline.database.probe import require_writable
from pipeline.jobs import health_checks
from pipeline.jobs.health_checks import Finding
from tests.fire.postgres import Server

pytestmark = pytest.mark.fire


NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)


def database_row() -> Finding:
    """What `doctor` finds about the database."""
    return next(row for row in health_checks.examine(now=NOW) if row.what == "database")


def test_a_read_only_postgresql_is_a_problem(
    postgresql: Server, empty_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(empty_home, home)
    url = postgresql.new_database()
    open_database(url)
    plain = url.replace("+psycopg", "")
    monkeypatch.setenv("PIPELINE_DATABASE_URL", url)
    assert database_row().found.endswith("writable")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    row = database_row()
    assert not row.ok
    assert re.search(r"cannot execute UPDATE in a read-only transaction; .*read_only=off", row.found)


def test_a_postgresql_that_somebody_else_writes_is_busy(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.database.probe.WAIT_S", 1)
    url = postgresql.new_database()
    open_database(url)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        assert require_writable(url) is False
