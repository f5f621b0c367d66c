"""Findings: what a rule says of a bar or of a whole symbol, gathered until a verdict is formed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.audit_types import Note, Verdict

SEVERITY: dict[Verdict, int] = {"accept": 0, "warn": 1, "quarantine": 2, "reject": 3}


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
        self.notes.append(Note(symbol=symbol, rule=rule, detail=detail))

    def table(self) -> pd.DataFrame:
        """Return place, verdict, rule, detail and severity, a rule at most once for a bar: its severest finding."""
        table = pd.DataFrame(self.rows, columns=["place", "verdict", "rule", "detail"])
        table = table.assign(severity=table["verdict"].map(SEVERITY).astype(int))
        table = table.sort_values(["place", "severity", "rule", "detail"], ascending=[True, False, True, True])
        return table.drop_duplicates(["place", "rule"], ignore_index=True)


# Rules about a whole series: every finding of one says the same of all of a symbol's bars.
OF_SERIES = ("shifted", "dividends_in_prices")

# What a warning asks, in general: the store keeps the rule of each, not the numbers that were seen.
MEANING = {
    "outside_range": "open or close lies a little outside low..high",
    "high_below_low": "the high is a little below the low",
    "no_volume": "the first of a run without volume: suspended, or not traded",
    "unit": "the first bar behind a change of unit",
    "unlisted_split": "moved over night as a split would, and none is listed",
    "unadjusted": "fell over night on an ordinary day: a spin-off or special dividend that is not adjusted for?",
    "jump": "moved by a third or more in a day: news, or an error?",
    "distribution": "more than 15 % of the price paid out, by the adjusted close alone",
    "dividend_unit": "dividend and adjusted close differ by about 100 times",
    "dividend_not_adjusted": "a dividend is listed that the adjusted close does not have",
    "dividend_missing": "the adjusted close has a dividend that is not listed",
    "dividend_mismatch": "dividend and adjusted close differ",
    "dividend_twice": "the same dividend again within ten days",
    "capital_gain_twice": "the adjusted close counts a capital gain twice",
    "dividends_in_prices": "the prices are already adjusted for the dividends listed next to them: not counted again",
}
