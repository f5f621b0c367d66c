"""Data quality on request: the verdicts for a source, the quarantined bars, and decisions about them."""

import json
from collections.abc import Sequence
from datetime import date, datetime

import pandas as pd

from pipeline.config import Overrides
from pipeline.database.engine import open_database
from pipeline.jobs.planning import plan_run
from pipeline.prices.audit_types import Finding, Note, SourceAudit
from pipeline.prices.bars import as_bars
from pipeline.prices.quality import Checked, check_bars, gaps, identical_series
from pipeline.prices.quality.digest import top_reasons, unique_notes
from pipeline.prices.sources import open_source
from pipeline.prices.store import quarantine
from pipeline.prices.store.quarantine import Decision, HeldBar
from pipeline.prices.store.writer import PriceStore


def audit(overrides: Overrides, *, now: datetime, as_of: date | None) -> SourceAudit:
    """Return the findings about a source up to a session, storing nothing."""
    run = plan_run(
        key="audit", now=now, as_of=as_of, interval_end=None, manual=True, overrides=overrides, provenance={}
    )
    settings = run.settings
    source = open_source(settings, today=now.date())
    bars = source.bars(run.symbols, run.as_of)
    left_out = [
        Finding(session="", verdict="reject", symbol=row.symbol, rule=row.rule, detail=row.detail)
        for row in bars.attrs.get("rejected", [])
    ]
    checked = check_bars(bars, settings.clock)
    missing = gaps(bars, settings.clock.at(run.as_of))
    found = pd.concat([checked.verdicts, identical_series(bars), missing], ignore_index=True)
    counts = {**checked.counts(), "gaps": len(missing), "bars": len(bars), "symbols": len(run.symbols)}
    if left_out:
        counts["rows left out"] = len(left_out)
    refused = [Note(symbol=name, rule="no_market", detail=reason) for name, reason in run.refused.items()]
    return SourceAudit(
        as_of=run.as_of,
        source=settings.source,
        read_as=source.description(run.as_of),
        counts=counts,
        findings=(*left_out, *_findings(found)),
        notes=tuple(unique_notes([*checked.notes, *refused])),
        reasons=tuple(top_reasons(found)),
    )


def held_back(overrides: Overrides) -> list[HeldBar]:
    """Return the source's bars that are held back."""
    settings = overrides.settings()
    held = quarantine.held_back(open_database(settings.database), settings.source, settings.symbols, date.max)
    return quarantine.held_bars(held)


def decide(overrides: Overrides, ids: Sequence[int], decision: Decision, *, now: datetime, note: str) -> list[HeldBar]:
    """Record a decision about held bars and return them; released bars are accepted from now on.

    Raises BadSetting for an id that the source does not have.
    """
    settings = overrides.settings()
    engine = open_database(settings.database)
    quarantine.decide(engine, settings.source, ids, decision, now=now, note=note)
    held = quarantine.held_back(engine, settings.source, (), date.max)
    mine = held[held["id"].isin(ids)]
    if decision == "released":
        _accept(PriceStore(engine, settings.source), mine, now)
    return quarantine.held_bars(mine)


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


def _findings(found: pd.DataFrame) -> list[Finding]:
    names = ["symbol", "session", "verdict", "rule", "detail"]
    ordered = found.assign(session=found["session"].astype(str).str[:10]).sort_values(
        ["symbol", "session"], kind="stable"
    )
    return [Finding(**dict(zip(names, row, strict=True))) for row in ordered[names].itertuples(index=False, name=None)]
