"""The steps about prices: what a request means, taking prices in, freezing them, scoring what has come due."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import pandas as pd

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.errors import BadSession
from pipeline.jobs.common import Summary, snapshot_of
from pipeline.planning import plan_run
from pipeline.prices.quality import check_bars, gaps
from pipeline.prices.snapshot import read_snapshot, write_snapshot
from pipeline.prices.sources import open_source
from pipeline.prices.store import PriceStore
from pipeline.runs import Run

_PROBLEMS_LISTED = 200  # in a run's audit; all of them are in the database


def plan(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None = None,
    interval_end: datetime | None = None,
    manual: bool = True,
    overrides: Mapping[str, Any],
    provenance: Mapping[str, str],
) -> Summary:
    """Settle what a request means; see `pipeline.planning.plan_run`. Returns the run and the batches to ingest."""
    run = plan_run(
        key=key,
        now=now,
        as_of=as_of,
        interval_end=interval_end,
        manual=manual,
        overrides=overrides,
        provenance=provenance,
    )
    size = run.settings.ingest_batch
    batches = [list(run.symbols[at : at + size]) for at in range(0, len(run.symbols), size)]
    return {"run": run.to_dict(), "batches": batches}


def ingest(run: Mapping[str, Any], batch: list[str], *, known_at: datetime) -> Summary:
    """Take in the bars of some symbols up to the run's session; what is stored already is not stored again."""
    this = Run.from_dict(run)
    settings = this.settings
    bars = open_source(settings).bars(tuple(batch), this.as_of)
    checked = check_bars(bars, settings.sessions)
    store = PriceStore(open_database(settings.database), settings.source)
    return asdict(store.append(checked, known_at)) | {"symbols": len(batch), "verdicts": checked.counts()}


def snapshot(run: Mapping[str, Any]) -> Summary:
    """Audit what is stored for the run's symbols and freeze it as it was known when the session was the last one."""
    this = Run.from_dict(run)
    settings = this.settings
    sessions = settings.sessions
    store = PriceStore(open_database(settings.database), settings.source)
    # What came before the next session was complete, a live run could have known.
    bars = store.as_of(this.symbols, this.as_of, sessions.complete_at(sessions.shift(this.as_of, 1)))
    if bars.empty:
        raise BadSession(f"there are no prices up to {this.as_of} for {', '.join(this.symbols[:5])}; run ingest first")
    audit = _audit(bars, store.held_back(this.symbols, this.as_of), settings, this.as_of)
    frozen = write_snapshot(bars, this.as_of, settings.home / "snapshots")
    this.write("run", this.to_dict())
    this.write("audit", audit)
    this.write("snapshot", {"path": str(frozen.path), "digest": frozen.digest, "rows": len(bars)})
    return {
        "digest": frozen.digest,
        "rows": len(bars),
        **{name: audit[name] for name in ("accept", "warn", "quarantine")},
    }


def score(run: Mapping[str, Any]) -> Summary:
    """Score the forecasts published earlier whose session has come, and read the record up to the run's session."""
    from pipeline.judging.record import live_record, score_due

    this = Run.from_dict(run)
    engine = open_database(this.settings.database)
    scored = score_due(engine, read_snapshot(snapshot_of(this)), this.as_of)
    record = live_record(engine, this.symbols, this.as_of)
    summary: Summary = {"scored_now": scored, "in_the_record": len(record)}
    if len(record):
        summary["crps_bp"] = float(record["crps_bp"].mean())
        summary["baseline_crps_bp"] = float(record["baseline_crps_bp"].mean())
        summary["coverage_90"] = float(record["inside_90"].mean())
    this.write("live", summary)
    return summary


def _audit(bars: pd.DataFrame, held_back: pd.DataFrame, settings: Settings, as_of: date) -> Summary:
    checked = check_bars(bars, settings.sessions)
    missing = gaps(bars, settings.sessions, pd.Timestamp(as_of))
    problems = pd.concat([checked.verdicts, held_back, missing], ignore_index=True)
    problems = problems.assign(session=problems["session"].astype(str).str[:10]).sort_values(
        ["session", "symbol"], ascending=[False, True], kind="stable"
    )
    held = held_back.drop_duplicates(["symbol", "session"])["verdict"].value_counts()
    return {
        **checked.counts(),
        "quarantine": int(held.get("quarantine", 0)),
        "reject": int(held.get("reject", 0)),
        "gaps": len(missing),
        "problems": problems.head(_PROBLEMS_LISTED).to_dict("records"),
    }
