"""Audit of a snapshot: the bars held back, the sessions missing, and the symbols too doubtful to be forecast."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipeline.database.engine import reading, writing
from pipeline.prices.audit_types import Audit, DoubtfulSymbol, Note, Problem, Seam
from pipeline.prices.quality import MEANING, gaps, identical_series, series_notes
from pipeline.prices.quality.digest import top_reasons, unique_notes
from pipeline.prices.quality.findings import OF_SERIES
from pipeline.prices.store import quarantine, request_log
from pipeline.prices.store.asof import AsOf

# How long a step in the scale of prices affects forecasts: the slow volatility covers a year.
SEAM_MATTERS = timedelta(days=365)
# The smallest unlisted split that is held back, 2:1, as a log.
_SEAM_SIZE = 0.69
_PROBLEMS_LISTED = 200  # in a run's audit; all of them are in the database
_FINDING = ["symbol", "session", "verdict", "rule", "detail"]


def audit_snapshot(known: AsOf, bars: pd.DataFrame, *, now: datetime) -> Audit:
    """Return the audit of a snapshot, `bars`, that was read from `known`.

    Identical series are put into quarantine at `now` (aware) if they are not there yet.
    """
    _hold_duplicates(known, bars, now)
    held = _held_back(known)
    still = _with_true_seams(held[held["status"].isin(["open", "confirmed"])], bars)
    warnings = known.warnings().assign(verdict="warn")
    warnings = warnings.assign(detail=[MEANING.get(rule, rule.replace("_", " ")) for rule in warnings["rule"]])
    missing = _not_held(gaps(bars, known.clock), still)
    bad = still.drop_duplicates(["symbol", "session"])["verdict"].value_counts()
    reasons = _reasons(known)
    problems = pd.concat([still[_FINDING], warnings[_FINDING], missing[_FINDING]], ignore_index=True)
    notes = _notes(bars, problems, known)
    return Audit(
        accept=known.rows - len(warnings),
        warn=len(warnings),
        quarantine=int(bad.get("quarantine", 0)),
        reject=int(bad.get("reject", 0)),
        released=len(held) - len(still),
        gaps=len(missing),
        reconstructed=known.reconstructed,
        doubtful=_doubtful(known.symbols, _reasons_of_bars(bars, known, still, reasons), notes),
        seams=_seams(still),
        reasons=tuple(top_reasons(problems)),
        notes=tuple(notes),
        problems=_newest(problems),
    )


def _notes(bars: pd.DataFrame, problems: pd.DataFrame, known: AsOf) -> list[Note]:
    """Return the notes about whole series, from the stored bars and from the stored findings.

    Neither depends on the time: a replay reads the same bars and findings, and returns the same notes.
    """
    notes = series_notes(bars, known.clock.market, dividends_as_given=known.source == "files")
    of_series = problems[problems["rule"].isin(OF_SERIES)].drop_duplicates(["symbol", "rule"], keep="last")
    stored = [
        Note(symbol=symbol, rule=rule, detail=detail)
        for symbol, rule, detail in of_series[["symbol", "rule", "detail"]].itertuples(index=False, name=None)
    ]
    return unique_notes([*notes, *stored])


def _reasons_of_bars(bars: pd.DataFrame, known: AsOf, held: pd.DataFrame, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return why a symbol is doubtful, of each whose bar for its last session is missing, held back, a copy of another
    symbol's, or on another scale than the bars before it.

    `reasons` says why a bar is missing, if that is known.
    """
    reached = bars.groupby("symbol")["session"].max()
    found = {}
    for symbol in known.symbols:
        last = known.clock.last(symbol)
        here = reached[symbol].date() if symbol in reached.index else None
        mine = held[held["symbol"] == symbol]
        spoilt = mine.loc[_is_duplicate(mine) | _recent_seam(mine, last), "detail"]
        if here == last and len(spoilt):
            found[symbol] = str(spoilt.iloc[-1])
        elif here != last:
            found[symbol] = _why_missing(here, last, mine, reasons.get(symbol))
    return found


def _not_held(missing: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Return the gaps without those whose bar was received and held back."""
    if missing.empty or held.empty:
        return missing
    here = pd.MultiIndex.from_arrays([held["symbol"], pd.to_datetime(held["session"])])
    return missing[~pd.MultiIndex.from_frame(missing[["symbol", "session"]]).isin(here)]


def _doubtful(
    symbols: tuple[str, ...], reasons: Mapping[str, str], notes: Sequence[Note]
) -> tuple[DoubtfulSymbol, ...]:
    """Return the doubtful symbols, including those whose dates an earlier version stored a day off."""
    shifted = {note.symbol: note.detail for note in notes if note.rule == "shifted"}
    every = {**shifted, **reasons}
    return tuple(DoubtfulSymbol(symbol=symbol, reason=every[symbol]) for symbol in symbols if symbol in every)


def _is_duplicate(held: pd.DataFrame) -> pd.Series:
    """Where a series is a copy of another symbol's, and no decision has been made."""
    return (held["rule"] == quarantine.IDENTICAL) & (held["status"] == "open")


def _recent_seam(held: pd.DataFrame, last: date) -> pd.Series:
    """Where an unlisted split has not been released as a real move: the past is on another scale."""
    since = pd.Timestamp(last - SEAM_MATTERS)
    return (held["rule"] == quarantine.SEAM) & (pd.to_datetime(held["session"]) > since)


def _with_true_seams(held: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the held bars with the rule of a seam where there is a step in scale, and only there.

    Where the prices go on at the level they had, the bar that was held back was bad by itself, and nothing before it is
    on another scale. Where a split is listed on a bar that is held back, the prices step and nothing stored says why.
    """
    ratios = [json.loads(bar).get("split_ratio") or 1.0 for bar in held["bar"]]
    lists = np.array([ratio > 0 and ratio != 1 for ratio in ratios], bool)
    seams = (held["rule"] == quarantine.SEAM).to_numpy()
    rules, details = held["rule"].to_list(), held["detail"].to_list()
    for at in np.flatnonzero(seams | lists).tolist():
        symbol, day = held["symbol"].iloc[at], held["session"].iloc[at]
        size = abs(float(np.log(ratios[at]))) if lists[at] else _SEAM_SIZE
        is_step = _is_step(bars[bars["symbol"] == symbol], day, size)
        if seams[at] and not is_step:
            rules[at] = "spike"
        elif is_step and not seams[at]:
            rules[at] = quarantine.SEAM
            details[at] = f"its bar of {day} lists a split and is held back: {details[at]}"
    return held.assign(rule=rules, detail=details)


def _is_step(bars: pd.DataFrame, session: Any, size: float) -> bool:
    """Whether one symbol's prices, sorted, are on a level after a session that is rather `size` (log) off than the same
    as before it.
    """
    day = pd.Timestamp(session)
    before, after = bars[bars["session"] < day].tail(1), bars[bars["session"] > day].head(1)
    if before.empty:
        return False
    if after.empty:
        return True
    between = bars[(bars["session"] > before["session"].iloc[0]) & (bars["session"] <= after["session"].iloc[0])]
    ratio = after["close"].iloc[0] * between["split_ratio"].prod() / before["close"].iloc[0]
    return bool(abs(np.log(ratio)) > size / 2)


def _seams(held: pd.DataFrame) -> tuple[Seam, ...]:
    rows = held.loc[held["rule"] == quarantine.SEAM, ["symbol", "session", "detail"]]
    return tuple(
        Seam(symbol=symbol, session=session, detail=detail)
        for symbol, session, detail in rows.itertuples(index=False, name=None)
    )


def _why_missing(here: date | None, last: date, held: pd.DataFrame, reason: str | None) -> str:
    whole = held[held["rule"] == "shifted"]
    if here is None and len(whole):
        return f"is in quarantine: {whole['detail'].iloc[-1]}"
    today = held[pd.to_datetime(held["session"]).dt.date == last] if len(held) else held
    if len(today):
        return f"its bar of {last} is in quarantine: {today['detail'].iloc[-1]}"
    if reason:
        return reason
    return f"has no bar for {last}; its last is for {here}" if here else f"has no bar up to {last}"


def _held_back(known: AsOf) -> pd.DataFrame:
    """Return the held bars, for live symbols as of the cutoff: the audit is as old as the bars."""
    last = max(map(known.clock.last, known.symbols))
    live = tuple(symbol for symbol in known.symbols if symbol in known.live)
    others = tuple(symbol for symbol in known.symbols if symbol not in known.live)
    then = quarantine.held_back(known.engine, known.source, live, last, by=known.cutoff) if live else None
    now = quarantine.held_back(known.engine, known.source, others, last) if others else None
    return pd.concat([part for part in (then, now) if part is not None], ignore_index=True)


def _reasons(known: AsOf) -> dict[str, str]:
    """Return why the bar of a last session is missing, as recorded by a run; for live symbols, the run of that time."""
    others = {symbol: known.clock.last(symbol) for symbol in known.symbols if symbol not in known.live}
    with reading(known.engine) as connection:
        return request_log.missed(connection, known.source, others) | known.missed


def _hold_duplicates(known: AsOf, bars: pd.DataFrame, now: datetime) -> None:
    """Put the last bar of identical series into quarantine, once, for a person to decide."""
    duplicates = identical_series(bars)
    if duplicates.empty:
        return
    before = quarantine.held_back(known.engine, known.source, tuple(duplicates["symbol"].unique()), date.max)
    held = before.loc[before["rule"] == quarantine.IDENTICAL, "symbol"]
    duplicates = duplicates[~duplicates["symbol"].isin(held)].drop_duplicates("symbol")
    rows = bars.drop_duplicates("symbol", keep="last").merge(duplicates.drop(columns="session"), on="symbol")
    rows = rows.assign(verdict="quarantine")  # both stay stored; neither is forecast before a decision
    with writing(known.engine) as connection:
        quarantine.hold(connection, known.source, rows, now.astimezone(UTC).replace(tzinfo=None))


def _newest(problems: pd.DataFrame) -> tuple[Problem, ...]:
    problems = problems.assign(session=[pd.Timestamp(day).date() for day in problems["session"]])
    newest = problems.sort_values(["session", "symbol"], ascending=[False, True], kind="stable")
    rows = newest.head(_PROBLEMS_LISTED)[_FINDING].itertuples(index=False, name=None)
    return tuple(Problem(**dict(zip(_FINDING, row, strict=True))) for row in rows)
