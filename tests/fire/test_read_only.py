"""A PostgreSQL database that answers and cannot be written: `doctor` says so, with the next step."""

import psycopg
import pytest

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.database.probe import require_writable
from pipeline.errors import StoreError
from pipeline.jobs import health_checks
from tests.fire.postgres import Server

pytestmark = pytest.mark.fire


def test_a_read_only_postgresql_is_a_problem(postgresql: Server) -> None:
    url = postgresql.new_database()
    open_database(url)
    plain = url.replace("+psycopg", "")
    settings = Settings.load(database_url=url)
    assert health_checks._database(settings).endswith("writable")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match=r"cannot execute UPDATE in a read-only transaction; .*read_only=off"):
        health_checks._database(settings)


def test_a_postgresql_that_somebody_else_writes_is_busy(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.database.probe._WAIT_S", 1)
    url = postgresql.new_database()
    open_database(url)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        assert require_writable(url) is False
