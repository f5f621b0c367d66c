"""How torch is to run beside other work: one thread to an operation, memory kept, the same bits every time.

More threads do not share an operation but the windows of a step (`Workers`): two threads inside one operation wait for
each other by spinning, and a step becomes ten times slower as soon as somebody else wants a core.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch

from pipeline.malloc import keep_memory

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def settle() -> None:
    """Settle torch for this process. Calling it again changes nothing.

    Deterministic: the same data, seed and number of workers give the same bits.
    """
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    # On a GPU some sums know no order; torch then says so and goes on. (use_deterministic_algorithms would do the same,
    # and import torch's compiler for it.)
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    # It also writes NaN into each new buffer, to show who reads one before writing to it: a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made at run time
    keep_memory()


def training_device() -> torch.device:
    """Return where to train: a GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Workers:
    """Threads that each do a part; with one, the caller does all of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def each(self, do: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
        """Return what `do` gives for each part, in their order."""
        return list((self._pool.map if self._pool else map)(do, parts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown()
