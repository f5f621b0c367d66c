"""Turns for two copies of SQLite in one process.

Python's and the ADBC driver's copy know nothing of each other. A file's locks belong to the process: when one copy
closes its handle, the locks of the other are gone, and a writer elsewhere may change what is being read
(https://www.sqlite.org/howtocorrupt.html, 2.2.1). So a handle of one kind is open only while none of the other is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Kind = Literal["python", "arrow"]


class Turns:
    """Lets any number of holders of one kind in at once, and none of the other kind meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[Kind, int] = {"python": 0, "arrow": 0}
        self._mine = threading.local()

    @contextmanager
    def take(self, kind: Kind) -> Iterator[None]:
        """Hold a turn of this kind. Within a turn of the other kind the same thread would deadlock."""
        self.require(kind)
        other, held = _other(kind), self._held()
        with self._changed:
            self._changed.wait_for(lambda: not self._inside[other])
            self._inside[kind] += 1
        held.append(kind)
        try:
            yield
        finally:
            held.remove(kind)
            with self._changed:
                self._inside[kind] -= 1
                self._changed.notify_all()

    def require(self, kind: Kind) -> None:
        """Assert that this thread may wait for a turn of this kind, its own or that of a thread it waits for."""
        assert _other(kind) not in self._held(), "a bulk read cannot be made inside an open connection"

    def _held(self) -> list[Kind]:
        held: list[Kind] = self._mine.__dict__.setdefault("held", [])
        return held


def _other(kind: Kind) -> Kind:
    return "arrow" if kind == "python" else "python"


TURNS = Turns()
