"""Findings of rules about bars and whole symbols, collected until verdicts are formed."""

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
        """Add one finding for each place: a mask over the bars, or their places; those below 0 are ignored."""
        places = np.flatnonzero(where) if isinstance(where, np.ndarray) and where.dtype == bool else where
        self.rows += [(int(place), verdict, rule, detail) for place in places if place >= 0]

    def note(self, symbol: str, rule: str, detail: str) -> None:
        """Add a note about a whole symbol."""
        self.notes.append(Note(symbol=symbol, rule=rule, detail=detail))

    def table(self) -> pd.DataFrame:
        """Return place, verdict, rule, detail and severity, for each bar and rule its severest finding."""
        table = pd.DataFrame(self.rows, columns=["place", "verdict", "rule", "detail"])
        table = table.assign(severity=table["verdict"].map(SEVERITY).astype(int))
        table = table.sort_values(["place", "severity", "rule", "detail"], ascending=[True, False, True, True])
        return table.drop_duplicates(["place", "rule"], ignore_index=True)


# Rules about a whole series: a finding of one applies to all bars of the symbol.
OF_SERIES = ("shifted", "dividends_in_prices")

# The general meaning of a warning: the store has its rule, not the numbers.
MEANING = {
    "outside_range": "open or close is slightly outside low..high",
    "high_below_low": "the high is slightly below the low",
    "no_volume": "first of several bars without volume: suspended, or not traded",
    "unit": "first bar after a change of unit",
    "unlisted_split": "overnight move that looks like an unlisted split",
    "unadjusted": "overnight fall on an otherwise ordinary day: an unadjusted spin-off or special dividend?",
    "jump": "moved by a third or more in a day: news, or an error?",
    "distribution": "more than 15 % of the price paid out according to the adjusted close alone",
    "dividend_unit": "dividend and adjusted close differ by a factor of about 100",
    "dividend_not_adjusted": "the adjusted close does not contain the listed dividend",
    "dividend_missing": "the adjusted close contains a dividend that is not listed",
    "dividend_mismatch": "dividend and adjusted close differ",
    "dividend_twice": "the same dividend again within ten days",
    "capital_gain_twice": "the adjusted close counts a capital gain twice",
    "dividends_in_prices": "the prices are already adjusted for the dividends listed next to them: not counted again",
}
