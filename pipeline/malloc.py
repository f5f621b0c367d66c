"""Settings of the C allocator for processes that repeatedly fill large buffers."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP = 1 << 30


def keep_memory() -> None:
    """Keep freed memory for the next buffer. Idempotent.

    glibc otherwise returns each large buffer to the system and faults its pages in again for the next one: a third of
    the time of an LSTM step, a sixth of a bulk read.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(_M_MMAP_THRESHOLD, _KEEP)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)
