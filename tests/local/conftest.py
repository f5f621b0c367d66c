"""A place of its own for each test, on ports that nobody uses, and nothing left of it afterwards."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    place = Place(home=tmp_path / "var", airflow_port=ports[0], mlflow_port=ports[1])
    place.prepare()
    yield place
    processes.end(place.home, grace=1)
