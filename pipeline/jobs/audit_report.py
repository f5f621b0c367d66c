"""Data quality on request: the verdicts for a source, the quarantined bars, and decisions about them."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.jobs.planning import plan_run
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import as_bars
from pipeline.prices.quality import Checked, check_bars, gaps, identical_series
from pipeline.prices.quality.digest import top_reasons, unique_notes
from pipeline.prices.sources import open_source
from pipeline.prices.store import quarantine
from pipeline.prices.store.quarantine import Decision
from pipeline.prices.store.writer import PriceStore
from pipeline.storage.documents import to_document


def audit(overrides: Mapping[str, Any], *, now: datetime, as_of: date | None) -> dict[str, Any]:
    """Return the verdicts for a source up to a session, storing nothing.

    `verdicts` lists symbol, session, verdict, rule and detail of every finding; bars without findings are accepted and
    only counted in `summary`. Rows of a file that belong to no bar have no session. `read_as` in `summary` says in one
    line how the source was read.
    """
    run = plan_run(
        key="audit", now=now, as_of=as_of, interval_end=None, manual=True, overrides=overrides, provenance={}
    )
    settings = run.settings
    source = open_source(settings, today=now.date())
    bars = source.bars(run.symbols, run.as_of)
    left_out = [{"session": "", "verdict": "reject", **to_document(row)} for row in bars.attrs.get("rejected", [])]
    checked = check_bars(bars, settings.clock)
    missing = gaps(bars, settings.clock.at(run.as_of))
    found = pd.concat([checked.verdicts, identical_series(bars), missing], ignore_index=True)
    counts = {**checked.counts(), "gaps": len(missing), "bars": len(bars), "symbols": len(run.symbols)}
    if left_out:
        counts["rows left out"] = len(left_out)
    refused = [Note(symbol=name, rule="no_market", detail=reason) for name, reason in run.refused.items()]
    said = {
        "notes": [to_document(note) for note in unique_notes([*checked.notes, *refused])],
        "reasons": [to_document(reason) for reason in top_reasons(found)],
    }
    about = {"as_of": str(run.as_of), "source": settings.source, "read_as": source.description(run.as_of)}
    return {"verdicts": left_out + _as_rows(found), "summary": {**counts, **about, **said}}


def held_back(overrides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the source's bars that are held back: id, symbol, session, verdict, rule, detail, status, note, bar."""
    settings = Settings.load(**overrides)
    held = quarantine.held_back(open_database(settings.database), settings.source, settings.symbols, date.max)
    return _as_rows(held.assign(bar=[json.loads(bar) for bar in held["bar"]]))


def decide(
    overrides: Mapping[str, Any], ids: Sequence[int], decision: Decision, *, now: datetime, note: str
) -> list[dict[str, Any]]:
    """Record a decision about held bars and return them; released bars are accepted from now on.

    Raises BadSetting for an id that the source does not have.
    """
    settings = Settings.load(**overrides)
    engine = open_database(settings.database)
    quarantine.decide(engine, settings.source, ids, decision, now=now, note=note)
    held = quarantine.held_back(engine, settings.source, (), date.max)
    mine = held[held["id"].isin(ids)]
    if decision == "released":
        _accept(PriceStore(engine, settings.source), mine, now)
    return _as_rows(mine)


def _accept(store: PriceStore, held: pd.DataFrame, now: datetime) -> None:
    """Store released bars. A symbol without stored bars gets them with its next ingestion."""
    known = store.current(tuple(held["symbol"].unique()))
    mine = held[held["symbol"].isin(known)]
    if mine.empty:
        return
    values = pd.DataFrame([json.loads(bar) for bar in mine["bar"]], index=mine.index)
    bars = as_bars(mine[["symbol", "session"]].assign(session=pd.to_datetime(mine["session"])).join(values))
    bars = bars.dropna(subset=["open", "high", "low", "close"]).drop_duplicates(["symbol", "session"], keep="last")
    nothing = mine.iloc[:0]
    store.append(
        Checked(
            kept=bars.assign(verdict="accept"), held_back=nothing, verdicts=nothing[["symbol", "session", "verdict"]]
        ),
        now,
    )


def _as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    days = frame["session"].astype(str).str[:10]
    rows = frame.assign(session=days).sort_values(["symbol", "session"], kind="stable").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
