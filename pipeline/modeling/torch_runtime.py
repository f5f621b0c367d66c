"""How torch runs: one thread per operation, memory retained between steps, deterministic results.

Further threads share the windows of a step (`Workers`), not an operation: threads inside one operation wait for each
other by spinning, and a step becomes ten times slower as soon as another process needs a core.
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
    """Configure torch for this process; idempotent.

    The same data, seed and number of workers then give the same bits.
    """
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    # On a GPU some sums have no fixed order; torch then warns. (use_deterministic_algorithms does the same, but imports
    # torch's compiler.)
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    # That mode also fills each new buffer with NaN, to expose reads of uninitialized memory: a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made at run time
    keep_memory()


def training_device() -> torch.device:
    """Return the device to train on: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Workers:
    """A pool of threads that share work by parts; with a count of one, the caller's thread does all of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def map(self, function: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
        """Return `function` of each part, in order."""
        return list((self._pool.map if self._pool else map)(function, parts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown()
