"""The processes of a setup, recognised by an environment variable that they inherit, and how they are ended."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from local.errors import LocalError
from local.place import MARKER

GRACE_SECONDS = 5.0
ROUNDS = 5


def ours(home: Path) -> list[psutil.Process]:
    """Return this user's processes with `home` in their environment, except the calling one and its parents.

    Zombies do not count.
    """
    calling = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in _own() if process.pid not in calling and _marked(process, str(home))]


def end(home: Path, grace: float = GRACE_SECONDS) -> int:
    """End every process of `home`: terminate, wait `grace` seconds, then kill. Return how many there were.

    Repeats until none is found, because a process may have started another one in the meantime. Raises LocalError with
    the ids of processes that did not end.
    """
    ended: set[int] = set()
    for _ in range(ROUNDS):
        found = ours(home)
        if not found:
            return len(ended)
        ended.update(process.pid for process in found)
        _end(found, grace)
    left = ", ".join(str(process.pid) for process in ours(home))
    if left:
        raise LocalError(f"these processes of {home} did not end: {left}")
    return len(ended)


def await_end(home: Path, seconds: float = 2 * GRACE_SECONDS) -> None:
    """Wait until no process of `home` is left, at most `seconds`."""
    _await_end(ours(home), seconds)


def listener(port: int) -> str:
    """Return `name, process 123` of the listener on `port` if this user may see it, else an empty text."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    return ""


def _end(processes: list[psutil.Process], grace: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in _await_end(processes, grace):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _await_end(processes, grace)


def _await_end(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return what still runs after `seconds`; psutil's own wait also waits for zombies."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _own() -> Iterator[psutil.Process]:
    uid = os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == uid and _runs(process):
                yield process


def _marked(process: psutil.Process, home: str) -> bool:
    try:
        return process.environ().get(MARKER) == home
    except (psutil.Error, OSError):
        return False
