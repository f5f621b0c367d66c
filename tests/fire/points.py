"""Every point at which a writer can be stopped: before a statement, between two rows, around a commit, in a file."""

import _sqlite3
import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from pipeline.database import bulk

_READS = ("SELECT", "PRAGMA")
Reached = Callable[[str], None]


class Stopped(Exception):
    """What is raised at a point, where the process is to live on."""


class At:
    """Counts points, and does something at the n-th."""

    def __init__(self, number: int, do: Callable[[], None]) -> None:
        self.number, self.do = number, do
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.number:
            self.do()


def stop() -> None:
    raise Stopped


def die() -> None:
    """End like a process that the kernel takes away: no handler, no flush, no goodbye."""
    os.kill(os.getpid(), 9)


@contextmanager
def database_points(reached: Reached) -> Iterator[None]:
    """Tell of each statement that writes, of the first, a middle and the last row of a bulk write, of both sides
    of a commit.
    """
    commit, as_stored = Connection.commit, bulk._as_stored

    def before(_connection: Connection, _cursor: object, statement: str, *_others: object) -> None:
        if not statement.startswith(_READS):
            reached(" ".join(statement.split()[:3]))

    def committed(connection: Connection) -> None:
        reached("before the commit")
        commit(connection)
        reached("after the commit")

    def row_by_row(connection: Connection, table: Any, name: str, values: Sequence[Any]) -> Iterator[Any]:
        places = {0, len(values) // 2, len(values) - 1} if name == "series_id" else set()
        for at, value in enumerate(as_stored(connection, table, name, values)):
            if at in places:
                reached(f"bar {at} of {len(values)}")
            yield value

    event.listen(Engine, "before_cursor_execute", before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "commit", committed)
        patch.setattr(bulk, "_as_stored", row_by_row)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", before)


def file_points(reached: Reached, folder: Path) -> None:
    """Tell of everything Python does to the files below `folder`, for as long as the process lives."""
    sync = os.fsync

    def hook(name: str, words: tuple[Any, ...]) -> None:
        if name in ("open", "os.rename", "os.remove", "os.mkdir") and str(words[0]).startswith(str(folder)):
            reached(name)

    def synced(descriptor: int) -> None:
        reached("before fsync")
        sync(descriptor)
        reached("after fsync")

    sys.addaudithook(hook)
    os.fsync = synced


class _Vfs(ctypes.Structure):
    """`struct sqlite3_vfs` as far as it is needed: https://www.sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("numbers", ctypes.c_int * 3),
        ("pointers", ctypes.c_void_p * 3),
        ("methods", ctypes.c_void_p * 13),
        ("set_call", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
        ("get_call", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)),
    )


_KEPT: list[Any] = []  # SQLite calls these for as long as the process lives


def sqlite_points(reached: Reached) -> None:
    """Tell of every write, cut and removal of a file by SQLite itself; of a write between its two halves."""
    system = ctypes.CDLL(None)
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))  # finds what the module itself is linked with
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None)
    system.pwrite64.restype = ctypes.c_ssize_t
    size, place, number = ctypes.c_size_t, ctypes.c_int64, ctypes.c_int

    def write(file: int, data: int, count: int, at: int) -> int:
        half = count // 2
        system.pwrite64(number(file), ctypes.c_void_p(data), size(half), place(at))
        reached("half a write")
        written: int = system.pwrite64(number(file), ctypes.c_void_p(data + half), size(count - half), place(at + half))
        return half + written if written >= 0 else -1

    def cut(file: int, length: int) -> int:
        reached("ftruncate")
        return int(system.ftruncate(number(file), place(length)))

    def remove(path: bytes) -> int:
        reached("unlink")
        return int(system.unlink(path))

    kinds = {
        b"pwrite": (ctypes.CFUNCTYPE(ctypes.c_ssize_t, number, ctypes.c_void_p, size, place), write),
        b"ftruncate": (ctypes.CFUNCTYPE(number, number, place), cut),
        b"unlink": (ctypes.CFUNCTYPE(number, ctypes.c_char_p), remove),
    }
    kinds[b"pwrite64"] = kinds[b"pwrite"]
    for name, (kind, function) in kinds.items():
        if vfs.contents.get_call(vfs, name):  # the build says by which name it writes
            _KEPT.append(kind(function))
            assert vfs.contents.set_call(vfs, name, _KEPT[-1]) == 0
