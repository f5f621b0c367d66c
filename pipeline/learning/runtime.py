"""How torch is to run on a small machine beside other work: one thread, memory kept, the same bits every time."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP = 1 << 30


def settle() -> None:
    """Settle torch for this process. Calling it again changes nothing.

    One thread: a second one beside a busy core spins and makes a step ten times slower. Deterministic: the same
    data and seed give the same bits. Memory kept: glibc otherwise returns each step's buffers to the system and
    faults them in again, a third of the time of an LSTM step.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(_M_MMAP_THRESHOLD, _KEEP)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)
