"""Whether a file fits into memory, decided before it is read."""

from pathlib import Path

import psutil

from pipeline.errors import BadFile

# Peak memory per row while it is parsed: its text, its values and one copy of them. Measured: see
# docs/decisions/0015-price-files.md.
BYTES_PER_ROW = 320
# Memory per bar while bars are made from rows and checked, all symbols at once.
BYTES_PER_BAR = 600
# The share of the free memory that reading may use: bars are made from the table afterwards.
_SHARE = 0.6
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def available_bytes() -> int:
    """Return the memory that this process may still use: of the machine, or of the container where that is less."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _GROUPS:
        try:
            left = int(Path("/sys/fs/cgroup", limit).read_text()) - int(Path("/sys/fs/cgroup", used).read_text())
        except (OSError, ValueError):  # no such group, or `max`
            continue
        free = min(free, max(left, 0))
    return free


def most_bytes() -> int:
    """Return how much memory the reading of a file may use."""
    return int(available_bytes() * _SHARE)


def check_rows(name: str, rows: int, *, of: str = "has") -> None:
    """Raise BadFile for more rows than fit."""
    most = most_bytes() // BYTES_PER_ROW
    if rows > most:
        raise BadFile(
            f"{name} {of} {rows:,} rows, and the memory that is free is enough for {most:,} "
            f"({BYTES_PER_ROW} bytes each); split it, keep fewer symbols or years, or use a larger machine"
        )


def check_bars(name: str, rows: int) -> None:
    """Raise BadFile if the bars of so many rows do not fit into memory at once."""
    most = most_bytes() // BYTES_PER_BAR
    if rows > most:
        raise BadFile(
            f"{name}: {rows:,} rows were asked for at once, and the memory that is free is enough for {most:,} "
            f"({BYTES_PER_BAR} bytes each); ask for fewer symbols (--symbols) at a time"
        )


def too_large(name: str, most: int) -> BadFile:
    """Return the error for text that does not fit, whatever its rows are."""
    return BadFile(
        f"{name} holds more than {most / 2**20:,.0f} MiB of text, which is what the free memory is enough for; "
        "split it, keep fewer symbols or years, or use a larger machine"
    )
