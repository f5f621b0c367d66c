"""One rule across symbols: two symbols with the same series are the same, or one of them was mixed up."""

import hashlib
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pandas as pd

# A quarter of a year with the same returns to a hundredth of a basis point does not happen by chance; two share classes
# of one company (GOOG, GOOGL) differ on almost every day.
_WINDOW = 60
_DIGITS = 6
# A window in which barely anything moves (a halt, a peg) is like any other such window.
_MOVES = 30


def identical_series(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the symbols whose closes move alike, day by day, for a whole quarter of a year or more.

    One row each: symbol, session (the last of such a quarter), verdict `warn`, rule `identical`, detail that names the
    others. Quarters are hashed, so ten thousand symbols take seconds, and series of different length still meet.
    """
    frame = bars[["symbol", "session", "close"]].sort_values(["symbol", "session"], kind="stable")
    days = frame["session"].to_numpy("datetime64[D]").astype(np.int64)
    close = frame["close"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.round(np.diff(np.log(close), prepend=np.nan), _DIGITS) + 0.0
    symbols = frame["symbol"].to_numpy(dtype=object)
    starts = np.concatenate([[0], np.flatnonzero(symbols[1:] != symbols[:-1]) + 1, [len(symbols)]]).astype(int)
    alike: dict[bytes, list[int]] = defaultdict(list)
    for first, last in pairwise(starts):
        for begin, end in _windows(days[first:last]):
            begin, end = begin + first, end + first
            if begin == first:
                continue  # the first row has no move
            window = moves[begin:end]
            if np.isfinite(window).all() and (window != 0).sum() >= _MOVES:
                key = hashlib.blake2b(window.tobytes() + days[begin:end].tobytes(), digest_size=16).digest()
                alike[key].append(end - 1)
    return _table(symbols, frame["session"].to_numpy(), [rows for rows in alike.values() if len(rows) > 1])


def _windows(days: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    """Return the spans of the whole quarters of a year (about `_WINDOW` sessions) that a series has."""
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(months // 3)) + 1, [len(days)]])
    return [(int(a), int(b)) for a, b in pairwise(edges) if b - a >= _WINDOW * 0.8]


def _table(symbols: np.ndarray, sessions: np.ndarray, groups: list[list[int]]) -> pd.DataFrame:
    last: dict[str, tuple[int, set[str]]] = {}
    for rows in groups:
        names = {str(symbols[row]) for row in rows}
        for row in rows:
            name = str(symbols[row])
            at, others = last.get(name, (row, set()))
            last[name] = (max(at, row), others | (names - {name}))
    records = [
        (name, sessions[row], "warn", "identical", f"is identical to {', '.join(sorted(others)[:5])}")
        for name, (row, others) in sorted(last.items())
        if others
    ]
    table = pd.DataFrame(records, columns=["symbol", "session", "verdict", "rule", "detail"])
    return table.astype({"session": "datetime64[s]"})
