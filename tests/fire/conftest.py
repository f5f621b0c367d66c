"""The databases under fault injection: SQLite in a file, and a real PostgreSQL that lives as long as the tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import Engine

from pipeline.database.engine import open_database
from tests.fire.postgres import PACKAGE, Server, find_binaries

settings.register_profile(
    "fire",
    derandomize=True,
    deadline=None,
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

IN_CI = os.environ.get("CI") == "true"


def missing(what: str) -> None:
    """Skip on somebody's machine; fail in CI, where nothing may go untested unnoticed."""
    if IN_CI:
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None:
        missing(f"there is no PostgreSQL server on this machine: {PACKAGE}")
        raise AssertionError
    pytest_socket.socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    server = Server(binaries)
    try:
        server.create()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on one backend and on the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'prices.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def opened(address: str) -> Iterator[Callable[[], Engine]]:
    """Open the database as a new process does; everything is closed at the end."""
    engines: list[Engine] = []

    def open_again() -> Engine:
        engines.append(open_database(address))
        return engines[-1]

    yield open_again
    for engine in engines:
        engine.dispose()
