"""Whether a bar can be believed: a verdict for each, with the rule and the detail. Nothing is repaired here.

`accept` is stored; `warn` is stored and reported; `quarantine` is held back until a person or a later answer
settles it; `reject` cannot be a price at all.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.adjustments import total_return
from pipeline.prices.frames import COLUMNS, PRICES, VALUES
from pipeline.sessions import Sessions

Mask = NDArray[np.bool_]

# A close this far outside the day's range is rounding between a vendor's fields, not an error.
_RANGE_TOLERANCE = 1e-3
_JUMP = 0.5  # log return beyond which a person should look: −39 % or +65 %


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Bars by verdict. `verdicts` has one row for each finding; an accepted bar has none."""

    kept: pd.DataFrame  # the columns of `frames` and `verdict` (accept or warn)
    held_back: pd.DataFrame  # the columns of `frames`, verdict, rule, detail
    verdicts: pd.DataFrame  # symbol, session, verdict, rule, detail

    notes: list[dict[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many bars got each verdict."""
        kept = self.kept["verdict"].value_counts()
        held = self.held_back.drop_duplicates(["symbol", "session"])["verdict"].value_counts()
        return {
            **{name: int(kept.get(name, 0)) for name in ("accept", "warn")},
            **{name: int(held.get(name, 0)) for name in ("quarantine", "reject")},
        }


def check_bars(bars, sessions_of, *, known=None) -> Checked:
    """Return `bars` by verdict: each rule looks at every bar, and the severest finding decides."""
    sessions = sessions_of(bars["symbol"].iloc[0] if len(bars) else "X")
    bars = bars.drop_duplicates(COLUMNS, ignore_index=True)  # the same row twice is one row
    findings = [rule for rule in _findings(bars, sessions) if len(rule)]
    found = pd.concat(findings) if findings else _finding(bars, np.zeros(len(bars), bool), "accept", "none", "")
    severity = found["verdict"].map({"warn": 1, "quarantine": 2, "reject": 3}).astype(int)
    worst = severity.groupby(level=0).max().reindex(bars.index, fill_value=0)
    kept = bars[worst < 2].assign(verdict=np.where(worst[worst < 2] == 1, "warn", "accept"))
    severest = found[(severity == worst.reindex(found.index)) & (severity >= 2)]
    severest = severest[~severest.index.duplicated()]
    held_back = bars.loc[severest.index].assign(**{name: severest[name] for name in ("verdict", "rule", "detail")})
    verdicts = found.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
    return Checked(kept=kept.reset_index(drop=True), held_back=held_back.reset_index(drop=True), verdicts=verdicts)


def gaps(bars, sessions_of, last) -> pd.DataFrame:
    """Return the sessions of the exchange, from each symbol's first bar to `last`, for which it has no bar.

    One row each: symbol, session, verdict `warn`, rule `gap`, detail.
    """
    parts = []
    for symbol, part in bars.groupby("symbol", sort=True):
        first = part["session"].iloc[0]
        sessions = sessions_of(symbol)
        expected = pd.DatetimeIndex(sessions.between(first.date(), last(symbol)))
        missing = expected.difference(pd.DatetimeIndex(part["session"]))
        parts.append(pd.DataFrame({"symbol": symbol, "session": missing}))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"symbol": [], "session": []})
    return table.assign(verdict="warn", rule="gap", detail="a session without a bar")


def bar_as_json(row: pd.Series) -> str:
    """Return a bar as it came, for the quarantine table."""
    values = {name: (None if pd.isna(row[name]) else float(row[name])) for name in VALUES}
    return json.dumps({**values, "currency": row["currency"]})


def _findings(bars: pd.DataFrame, sessions: Sessions) -> Iterable[pd.DataFrame]:
    prices = bars[PRICES].to_numpy(float)
    missing = np.asarray(~np.isfinite(prices).all(axis=1))
    yield _finding(bars, missing, "quarantine", "missing_price", "open, high, low or close is missing")
    with np.errstate(invalid="ignore"):
        negative = np.asarray((prices <= 0).any(axis=1))
        yield _finding(bars, negative, "reject", "not_positive", "a price is zero or negative")
        low, high = bars["low"].to_numpy(), bars["high"].to_numpy()
        yield _finding(bars, np.less(high, low), "quarantine", "high_below_low", "the high is below the low")
        inner = bars[["open", "close"]].to_numpy(float)
        outside = (inner < (low * (1 - _RANGE_TOLERANCE))[:, None]) | (inner > (high * (1 + _RANGE_TOLERANCE))[:, None])
        yield _finding(
            bars,
            outside.any(axis=1) & np.less_equal(low, high),
            "quarantine",
            "outside_range",
            "open or close outside low..high",
        )
        volume = bars["volume"].to_numpy()
        yield _finding(bars, np.less(volume, 0), "quarantine", "negative_volume", "the volume is negative")
        no_volume = np.asarray(~np.isfinite(volume) | (volume == 0))
        yield _finding(bars, no_volume, "warn", "no_volume", "no volume: suspended, or the vendor gives none")
    twice = bars.duplicated(["symbol", "session"], keep=False).to_numpy()
    yield _finding(bars, twice, "quarantine", "duplicate", "several different bars for one session")
    yield _finding(
        bars, _off_calendar(bars, sessions), "quarantine", "no_session", f"not a session of {sessions.exchange}"
    )
    yield _finding(bars, _jumps(bars), "warn", "jump", "the close moved by more than half on the log scale")


def _off_calendar(bars: pd.DataFrame, sessions: Sessions) -> Mask:
    if bars.empty:
        return np.zeros(0, bool)
    known = pd.DatetimeIndex(sessions.between(bars["session"].min().date(), bars["session"].max().date()))
    return np.asarray(~bars["session"].isin(known))


def _jumps(bars: pd.DataFrame) -> Mask:
    return np.asarray(np.abs(total_return(bars).to_numpy(float)) > _JUMP)


def _finding(bars: pd.DataFrame, where: Mask, verdict: str, rule: str, detail: str) -> pd.DataFrame:
    return bars.loc[where, ["symbol", "session"]].assign(verdict=verdict, rule=rule, detail=detail)


def identical_series(bars):
    return pd.DataFrame({"symbol": [], "session": [], "verdict": [], "rule": [], "detail": []})
