"""A PostgreSQL server of the tests' own, from Debian's packages: in a temporary folder, on a free port."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

PACKAGE = "apt-get install postgresql"
_USER = "postgres"  # the server refuses to run as root


def find_binaries() -> Path | None:
    """Return the folder of the newest server's binaries, or None where no server is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


class Server:
    """A server with `fsync` on that only this machine reaches. `start` and `stop`; `new_database` gives a URL."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._as: dict[str, Any] = {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
        self._numbers = itertools.count(1)
        self._port = 0
        # Not below pytest's own folder, into which only its owner may look.
        self._folder = Path(tempfile.mkdtemp(prefix="closing-bell-postgres-"))

    def create(self) -> None:
        """Make the data folder and start."""
        if self._as:
            shutil.chown(self._folder, _USER, _USER)
        self._run("initdb", "-U", _USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", self._data)
        self.start()

    def start(self) -> None:
        """Start, at first on a port that is free; return when it answers."""
        self._port = self._port or _free_port()
        options = f"-p {self._port} -h 127.0.0.1 -c unix_socket_directories='' -c fsync=on -c max_connections=200"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", str(self._folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash: the next start has to recover."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", self._data)

    def remove(self) -> None:
        """Stop if it runs, and leave nothing behind."""
        try:
            if (self._folder / "data" / "postmaster.pid").exists():
                self.stop("immediate")
        finally:
            shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"fire_{next(self._numbers)}"
        with psycopg.connect(f"postgresql://{_USER}@127.0.0.1:{self._port}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/{name}"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, *words: str) -> None:
        # Into a file: the server inherits what pg_ctl writes to, and a pipe would stay open with it.
        with (self._folder / "out").open("ab") as out:
            done = subprocess.run(
                [self._binaries / words[0], *words[1:]], stdout=out, stderr=out, cwd="/", check=False, **self._as
            )
        if done.returncode:
            told = "\n".join(path.read_text() for name in ("out", "log") if (path := self._folder / name).exists())
            raise RuntimeError(f"{words[0]} failed with {done.returncode}:\n{told[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
