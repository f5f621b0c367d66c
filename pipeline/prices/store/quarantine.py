"""Quarantine: the bars that were held back, and the decisions of people about them. The last decision counts.

A bar is held once, however often it is received. `released`: it is correct and accepted from now on. `confirmed`: it is
wrong and stays out. `settled`: a later answer has replaced it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, case, func, insert, select

from pipeline.database.engine import reading, writing
from pipeline.database.schema import bars, batches, decisions, quarantine, series
from pipeline.errors import BadSetting
from pipeline.prices.audit_types import Verdict
from pipeline.prices.quality import bar_as_json
from pipeline.prices.store.rows import in_parts

Decision = Literal["released", "confirmed"]
Status = Literal["open", "released", "confirmed", "settled"]
# The one rule about a symbol rather than a bar: its bars as such are accepted.
IDENTICAL = "identical"
# The one rule that also affects the bars before: they are on another scale until the move is released as real.
SEAM = "unlisted_split"
COLUMNS = ["id", "symbol", "session", "verdict", "rule", "detail", "status", "note", "bar"]


@dataclass(frozen=True, kw_only=True)
class HeldBar:
    """One bar in quarantine."""

    id: int
    symbol: str
    session: date
    verdict: Verdict
    rule: str
    detail: str
    status: Status
    note: str  # of the last decision
    bar: Mapping[str, float | str | None]  # the values as received


def held_bars(held: pd.DataFrame) -> list[HeldBar]:
    """Return the rows of `held_back` as values, by symbol and session."""
    ordered = held.sort_values(["symbol", "session"], kind="stable")
    rows = ordered.assign(bar=[json.loads(bar) for bar in ordered["bar"]])[COLUMNS]
    return [HeldBar(**dict(zip(COLUMNS, row, strict=True))) for row in rows.itertuples(index=False, name=None)]


def hold(connection: Connection, source: str, held_back: pd.DataFrame, moment: datetime) -> int:
    """Store the bars that are not held yet, with the reason; return their number."""
    if held_back.empty:
        return 0
    rows = held_back.assign(bar=[bar_as_json(row) for _, row in held_back.iterrows()])
    seen = _seen(connection, source, tuple(rows["symbol"].unique()))
    keys = list(zip(rows["symbol"], rows["session"].dt.date, rows["rule"], rows["bar"], strict=True))
    fresh = rows[[key not in seen for key in keys]].drop_duplicates(["symbol", "session", "rule", "bar"])
    names = ["symbol", "verdict", "rule", "detail", "bar"]
    before = connection.execute(select(func.max(batches.c.id)).where(batches.c.source == source)).scalar() or 0
    held = {"source": source, "known_at": moment, "batch_id": before}
    records = [
        {**dict(zip(names, row, strict=True)), "session": session, **held}
        for row, session in zip(fresh[names].itertuples(index=False, name=None), fresh["session"].dt.date, strict=True)
    ]
    if records:
        connection.execute(insert(quarantine), records)
    return len(records)


def held_back(
    engine: Engine, source: str, symbols: tuple[str, ...], session: date, *, by: datetime | None = None
) -> pd.DataFrame:
    """Return the held bars up to `session`, of all symbols if none are named; columns `COLUMNS`.

    `status` is `open`, `released`, `confirmed` or `settled`; with `by` (aware), as of that moment.
    """
    moment = datetime.max if by is None else by.astimezone(UTC).replace(tzinfo=None)
    query = _with_status(moment).where(quarantine.c.source == source, quarantine.c.session <= session)
    parts = list(in_parts(symbols)) or [()]
    with reading(engine) as connection:
        rows = [
            tuple(row)
            for part in parts
            for row in connection.execute(query.where(quarantine.c.symbol.in_(part)) if part else query)
        ]
    frame = pd.DataFrame.from_records(rows, columns=COLUMNS)
    return frame.sort_values(["symbol", "session", "id"], kind="stable", ignore_index=True)


def decide(engine: Engine, source: str, ids: Sequence[int], decision: Decision, *, now: datetime, note: str) -> int:
    """Record a decision on held bars; return their number. Raises BadSetting for an id the source does not have."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    with writing(engine) as connection:
        columns = quarantine.c
        found = set(
            connection.execute(select(columns.id).where(columns.source == source, columns.id.in_(ids))).scalars()
        )
        if unknown := [str(one) for one in ids if one not in found]:
            raise BadSetting(
                f"the source `{source}` has no held bar {', '.join(unknown)}; "
                "`python -m pipeline quarantine` lists them with their numbers"
            )
        rows = [{"quarantine_id": one, "decision": decision, "decided_at": moment, "note": note} for one in ids]
        connection.execute(insert(decisions), rows)
    return len(ids)


def still_held(engine: Engine, source: str, bars: pd.DataFrame) -> pd.DataFrame:
    """Return those of `bars` that are in quarantine with the same values, with verdict, rule and detail; each once.

    A bar is checked when it is first received. Without the bars around it, it might pass.
    """
    symbols = tuple(bars["symbol"].unique())
    held = held_back(engine, source, symbols, date.max) if symbols else pd.DataFrame(columns=COLUMNS)
    if held.empty:
        return bars.iloc[:0].assign(verdict="", rule="", detail="")
    held = held[held["status"].isin(["open", "confirmed"]) & (held["rule"] != IDENTICAL)]
    held = held.drop_duplicates(["symbol", "session", "bar"], keep="last")
    near = bars.assign(place=bars.index, day=bars["session"].dt.date).merge(
        held.rename(columns={"session": "day"})[["symbol", "day", "bar", "verdict", "rule", "detail"]],
        on=["symbol", "day"],
    )
    same = np.array([bar_as_json(row) == row["bar"] for _, row in near.iterrows()], dtype=bool)
    return near[same].set_index("place")[[*bars.columns, "verdict", "rule", "detail"]]


def released(engine: Engine, source: str, symbols: tuple[str, ...]) -> set[tuple[str, date, str]]:
    """Return symbol, session and bar (as JSON) of the released bars."""
    if not symbols:
        return set()
    held = held_back(engine, source, symbols, date.max)
    mine = held[held["status"] == "released"]
    return set(zip(mine["symbol"], mine["session"], mine["bar"], strict=True))


def _with_status(moment: datetime) -> Select[tuple[object, ...]]:
    last = (
        select(decisions.c.quarantine_id, func.max(decisions.c.id).label("id"))
        .where(decisions.c.decided_at <= moment)
        .group_by(decisions.c.quarantine_id)
        .subquery()
    )
    columns = quarantine.c
    return (
        select(
            *(columns[name] for name in ("id", "symbol", "session", "verdict", "rule", "detail")),
            func.coalesce(decisions.c.decision, case((_replaced(moment), "settled"), else_="open")),
            func.coalesce(decisions.c.note, ""),
            columns.bar,
        )
        .where(columns.known_at <= moment)
        .join(last, last.c.quarantine_id == columns.id, isouter=True)
        .join(decisions, and_(decisions.c.id == last.c.id), isouter=True)
    )


def _replaced(moment: datetime) -> ColumnElement[bool]:
    """Whether by `moment` a bar for the same session was accepted after this one was held back."""
    held = quarantine.c
    return (
        select(bars.c.series_id)
        .join(series, series.c.id == bars.c.series_id)
        .join(batches, batches.c.id == bars.c.batch_id)
        .where(series.c.source == held.source, series.c.symbol == held.symbol)
        .where(bars.c.session == held.session, batches.c.id > held.batch_id, batches.c.known_at <= moment)
        .exists()
    )


def _seen(connection: Connection, source: str, symbols: tuple[str, ...]) -> set[tuple[object, ...]]:
    columns = quarantine.c
    seen: set[tuple[object, ...]] = set()
    for part in in_parts(symbols):
        query = select(columns.symbol, columns.session, columns.rule, columns.bar).where(
            columns.source == source, columns.symbol.in_(part)
        )
        seen |= {tuple(row) for row in connection.execute(query)}
    return seen
