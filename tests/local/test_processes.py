"""Ending what is ours and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import processes
from local.place import MARKER

Spawn = Callable[..., subprocess.Popen[str]]
WAIT = "print('up', flush=True); import sys; sys.stdin.read()"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a Python program, marked with `home` where one is given, and return once it says so."""
    children: list[subprocess.Popen[str]] = []

    def start(home: Path | None, code: str = WAIT) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != MARKER}
        environment |= {MARKER: str(home)} if home else {}
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        children.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_ends_what_carries_the_home_and_spares_all_else(tmp_path: Path, spawn: Spawn) -> None:
    ours, unmarked, others = spawn(tmp_path / "a"), spawn(None), spawn(tmp_path / "ab")
    assert processes.end(tmp_path / "a") == 1
    assert ours.wait(timeout=5) != 0
    assert unmarked.poll() is None
    assert others.poll() is None


def test_ends_orphans_in_sessions_of_their_own(tmp_path: Path, spawn: Spawn) -> None:
    fork = (
        "import subprocess, sys;"
        "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],"
        "stdout=subprocess.DEVNULL, start_new_session=True)"
    )
    spawn(tmp_path, fork).wait(timeout=10)
    assert len(processes.ours(tmp_path)) == 1
    assert processes.end(tmp_path) == 1
    assert not processes.ours(tmp_path)


def test_kills_what_does_not_listen(tmp_path: Path, spawn: Spawn) -> None:
    stubborn = spawn(tmp_path, f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}")
    assert processes.end(tmp_path, grace=0.2) == 1
    assert stubborn.wait(timeout=5) == -9


def test_finds_a_process_that_airflow_has_renamed(
    tmp_path: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local.place import Place

    environment = Place(home=tmp_path, airflow_port=1, mlflow_port=2).environment({})
    monkeypatch.setenv("SPT_NOENV", environment["SPT_NOENV"])
    spawn(tmp_path, f"import setproctitle; setproctitle.setproctitle('airflow worker ' + 'x' * 5000); {WAIT}")
    assert processes.end(tmp_path) == 1


def test_never_ends_the_one_who_asks_nor_its_parents(tmp_path: Path) -> None:
    ask = f"from pathlib import Path; from local import processes; print(processes.end(Path({str(tmp_path)!r})))"
    shell = f"{sys.executable} -c {ask!r}; echo still here"
    done = subprocess.run(
        ["sh", "-c", shell], env=os.environ | {MARKER: str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == ["0", "still here", ""]


def test_says_nothing_is_there_where_nothing_is(tmp_path: Path) -> None:
    assert processes.end(tmp_path) == 0
