"""Findings: what a rule says of a bar or of a whole symbol, gathered until a verdict is formed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Note = dict[str, str]  # symbol, rule, detail

SEVERITY = {"accept": 0, "warn": 1, "quarantine": 2, "reject": 3}


@dataclass(kw_only=True)
class Findings:
    """Findings by the place of their bar among the new bars, and notes about symbols."""

    rows: list[tuple[int, str, str, str]] = field(default_factory=list)  # place, verdict, rule, detail
    notes: list[Note] = field(default_factory=list)

    def add(self, where: NDArray[np.bool_] | Iterable[int], verdict: str, rule: str, detail: str) -> None:
        """Add one finding for each place: a mask over the bars, or their places; below 0 is no new bar."""
        places = np.flatnonzero(where) if isinstance(where, np.ndarray) and where.dtype == bool else where
        self.rows += [(int(place), verdict, rule, detail) for place in places if place >= 0]

    def note(self, symbol: str, rule: str, detail: str) -> None:
        """Say something once about a symbol."""
        self.notes.append({"symbol": symbol, "rule": rule, "detail": detail})

    def table(self) -> pd.DataFrame:
        """Return place, verdict, rule, detail and severity, a rule at most once for a bar: its severest finding."""
        table = pd.DataFrame(self.rows, columns=["place", "verdict", "rule", "detail"])
        table = table.assign(severity=table["verdict"].map(SEVERITY).astype(int))
        table = table.sort_values(["place", "severity", "rule", "detail"], ascending=[True, False, True, True])
        return table.drop_duplicates(["place", "rule"], ignore_index=True)
