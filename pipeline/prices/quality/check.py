"""Entry point of the quality rules: every rule checks every bar, and the severest finding decides."""

import json
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.market.clock import MarketClock
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import COLUMNS, VALUES
from pipeline.prices.quality.applied import check_applied_dividends, note_unclear
from pipeline.prices.quality.calendar import check_calendar
from pipeline.prices.quality.digest import unique_notes
from pipeline.prices.quality.dividends import check_dividends
from pipeline.prices.quality.findings import SEVERITY, Findings
from pipeline.prices.quality.jumps import check_jumps
from pipeline.prices.quality.levels import check_levels
from pipeline.prices.quality.ohlc import check_ohlc
from pipeline.prices.quality.series import panel_of
from pipeline.prices.quality.volume import check_volume

_SYMBOLS_AT_ONCE = 500  # a copy of their bars is in memory at a time


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Bars by verdict. `verdicts` has one row for each finding; an accepted bar has none."""

    kept: pd.DataFrame  # COLUMNS and `verdict` (accept or warn)
    held_back: pd.DataFrame  # COLUMNS, verdict, rule, detail
    verdicts: pd.DataFrame  # symbol, session, verdict, rule, detail
    notes: list[Note] = field(default_factory=list)  # about whole symbols

    def counts(self) -> dict[str, int]:
        """Return how many bars got each verdict."""
        kept = self.kept["verdict"].value_counts()
        held = self.held_back.drop_duplicates(["symbol", "session"])["verdict"].value_counts()
        return {
            **{name: int(kept.get(name, 0)) for name in ("accept", "warn")},
            **{name: int(held.get(name, 0)) for name in ("quarantine", "reject")},
        }


def check_bars(bars: pd.DataFrame, clock: MarketClock, *, known: pd.DataFrame | None = None) -> Checked:
    """Return `bars` by verdict, whatever the order of rows. Columns as in `prices.bars`, evidence optional.

    `known` are accepted bars of the same symbols, used as context and not checked; where both have a session, the one
    in `bars` counts.
    """
    bars = _sorted(bars)
    found = Findings(notes=list(bars.attrs.get("notes", [])))
    unusable, doubtful = check_ohlc(bars, found)
    panel = panel_of(bars, known, unusable)
    daily = check_calendar(bars, panel, clock, found)
    check_volume(panel, found)
    wrong = check_levels(panel, doubtful, found)
    check_jumps(panel, wrong, found)
    check_dividends(panel, wrong, daily, found)
    check_applied_dividends(panel, found)
    note_unclear(panel, found)
    return _by_verdict(bars, found)


def series_notes(bars: pd.DataFrame, clock: MarketClock, *, dividends_as_given: bool) -> list[Note]:
    """Return the notes about whole series of stored bars, as `check_bars` makes them.

    `bars` are sorted by symbol.

    `dividends_as_given` is true if the prices may contain their dividends, as those of files.
    """
    found = Findings()
    symbols = bars["symbol"].to_numpy(dtype=object)
    edges = [0, *(np.flatnonzero(symbols[1:] != symbols[:-1]) + 1).tolist(), len(symbols)]
    cuts = [*edges[:-1:_SYMBOLS_AT_ONCE], len(symbols)]
    for first, last in pairwise(cuts if len(symbols) else [0]):
        part = _sorted(bars.iloc[first:last])
        unusable, _ = check_ohlc(part, found)
        panel = panel_of(part, None, unusable)
        check_calendar(part, panel, clock, found)
        check_volume(panel, found)
        if dividends_as_given:
            note_unclear(panel, found)
    return unique_notes(found.notes)


def bar_as_json(row: pd.Series) -> str:
    """Return a bar as received, as JSON for the quarantine table."""
    values = {name: (None if pd.isna(row[name]) else float(row[name])) for name in VALUES}
    return json.dumps({**values, "currency": row["currency"]})


def _sorted(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars in canonical order, without repeated rows."""
    notes = bars.attrs.get("notes", [])
    bars = bars.drop_duplicates([name for name in bars.columns if name in COLUMNS])
    session, symbol = bars["session"].to_numpy(), bars["symbol"].to_numpy(dtype=object)
    sorted_already = (symbol[1:] > symbol[:-1]) | ((symbol[1:] == symbol[:-1]) & (session[1:] > session[:-1]))
    if not sorted_already.all():
        bars = bars.sort_values(["symbol", "session", *VALUES], kind="stable")
    bars = bars.reset_index(drop=True)
    bars.attrs["notes"] = notes
    return bars


def _by_verdict(bars: pd.DataFrame, found: Findings) -> Checked:
    table = found.table()
    worst = np.zeros(len(bars), np.int64)
    np.maximum.at(worst, table["place"].to_numpy(np.intp), table["severity"].to_numpy(np.int64))
    good = worst < SEVERITY["quarantine"]
    kept = bars.loc[good, COLUMNS].assign(verdict=np.where(worst[good] == 1, "warn", "accept"))
    severest = table[table["severity"] >= SEVERITY["quarantine"]].drop_duplicates("place").set_index("place")
    held = bars.loc[severest.index, COLUMNS]
    held = held.assign(**{name: severest[name].to_numpy(object) for name in ("verdict", "rule", "detail")})
    keys = bars.loc[table["place"], ["symbol", "session"]].reset_index(drop=True)
    verdicts = pd.concat([keys, table[["verdict", "rule", "detail"]]], axis=1)
    return Checked(
        kept=kept.reset_index(drop=True),
        held_back=held.reset_index(drop=True),
        verdicts=verdicts,
        notes=unique_notes(found.notes),
    )
