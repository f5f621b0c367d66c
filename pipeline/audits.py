"""Looking at prices without running anything: the verdicts for a source, and what was held back in the store."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.planning import plan_run
from pipeline.prices.quality import check_bars, gaps
from pipeline.prices.sources import open_source
from pipeline.prices.store import PriceStore


def audit(overrides: Mapping[str, Any], *, now: datetime, as_of: date | None) -> dict[str, Any]:
    """Return the verdicts for a source up to a session, storing nothing.

    `verdicts` lists symbol, session, verdict, rule and detail of every finding; bars without one are accepted and
    only counted in `summary`.
    """
    run = plan_run(
        key="audit", now=now, as_of=as_of, interval_end=None, manual=True, overrides=overrides, provenance={}
    )
    settings = run.settings
    bars = open_source(settings).bars(run.symbols, run.as_of)
    checked = check_bars(bars, settings.sessions)
    missing = gaps(bars, settings.sessions, pd.Timestamp(run.as_of))
    verdicts = _as_rows(pd.concat([checked.verdicts, missing], ignore_index=True))
    counts = {**checked.counts(), "gaps": len(missing), "bars": len(bars), "symbols": len(run.symbols)}
    return {"verdicts": verdicts, "summary": {**counts, "as_of": str(run.as_of), "source": settings.source}}


def held_back(overrides: Mapping[str, Any], *, now: datetime) -> list[dict[str, Any]]:
    """Return what the store holds back of the source: symbol, session, verdict, rule, detail."""
    settings = Settings.load(**overrides)
    store = PriceStore(open_database(settings.database), settings.source)
    return _as_rows(store.held_back(settings.symbols, now.date()))


def _as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    days = frame["session"].astype(str).str[:10]
    rows = frame.assign(session=days).sort_values(["symbol", "session"], kind="stable").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
