"""The publication step: the edition of a session, its files, the track record, and the same files in MLflow."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.database.engine import open_database
from pipeline.errors import MissingStep
from pipeline.forecast_schema import BASELINES
from pipeline.jobs.context import (
    Summary,
    own_record,
    snapshot_of,
)
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT, DECISION, SCORES, TRAINING
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from pipeline.publishing.edition import Edition


def publish(run: Mapping[str, Any], *, now: datetime) -> Summary:
    """Publish: the files in one move, the rows of the record, and the same files in MLflow.

    A forecast whose session has closed by `now` is kept as a replay.
    """
    from pipeline.evaluation import forecast_log
    from pipeline.publishing import publisher, verdict
    from pipeline.tracking import runs
    from pipeline.tracking.mlflow_run import MlflowRun

    this = Run.from_dict(run)
    settings = this.settings
    edition = _edition(this)
    published = publisher.publish(edition, settings.published)
    beside = edition.baselines[str(edition.best_baseline)]

    @cache
    def complete_at(symbol: str, session: date) -> datetime:
        sessions = settings.clock.sessions_of(symbol)
        # An estimated target is a holiday of a calendar that was upgraded since.
        return sessions.complete_at(sessions.at_or_before(session))

    database = open_database(settings.database)
    forecast_log.keep(
        database,
        settings.source,
        edition.forecasts,
        beside,
        this.key,
        now=now,
        complete_at=complete_at,
        series=series_of(this),
    )
    _write_track_record(this)
    uploaded = this.read("upload", made_by="train")
    logged = MlflowRun(settings=settings, run_id=uploaded["mlflow_run_id"])
    with settings.published.reading(published.place) as folder:
        runs.log_published(logged, folder)
    logged.finish()
    return {
        "as_of": this.as_of.isoformat(),
        "folder": str(published.folder),
        "place": published.place,
        "changed": published.changed,
        "trial": list(this.trial),
        "standing": this.standing,
        "edition": "" if this.standing else published.folder.name,
        "headline": verdict.headline(edition),
        "verdict": verdict.verdict(edition).title,
        "warnings": list(edition.warnings),
        "mlflow_url": uploaded.get("mlflow_url"),
    }


def _write_track_record(this: Run) -> None:
    """Write the track record of the run's source over all its symbols, editions and trials."""
    from pipeline.evaluation.forecast_log import live_record
    from pipeline.evaluation.track_record import one_ahead
    from pipeline.publishing import track_record_files

    settings = this.settings
    since = track_record_files.first_day(this.as_of)
    rows = live_record(open_database(settings.database), settings.source, None, None, series=None, since=since)
    if len(ahead := one_ahead(rows)):
        track_record_files.write(settings.published, settings.source, ahead)


def _frame_of(this: Run, name: str) -> pd.DataFrame:
    with this.reading(f"{name}.parquet", made_by="forecast") as path:
        return pd.read_parquet(path)


def _airflow_url(this: Run) -> dict[str, str]:
    """Where Airflow shows the run, if it was Airflow's and somebody has said where that is."""
    made_by = this.provenance
    url = this.settings.airflow_run(made_by["dag_id"], made_by["run_id"]) if "run_id" in made_by else None
    return {"airflow_url": url} if url else {}


def _read_as(this: Run) -> dict[str, str]:
    """How the source's prices were understood, where the run's ingestion has said so."""
    try:
        return {"prices_read_as": str(this.read("source", made_by="ingest")["read_as"])}
    except MissingStep:
        return {}


def _edition(this: Run) -> "Edition":
    from pipeline.evaluation import track_record
    from pipeline.prices.adjustments import recent_closes
    from pipeline.publishing.edition import Edition
    from pipeline.publishing.published_files import SymbolReason

    settings = this.settings
    outcome = this.read("forecast", made_by="forecast")
    uploaded, training = this.read("upload", made_by="train"), this.load(TRAINING)
    frozen = snapshot_of(this)
    bars = read_snapshot(frozen)
    record = own_record(this)
    kinds = track_record.by_kind(record)
    return Edition(
        as_of=this.as_of,
        exchange=settings.exchange,
        forecasts=_frame_of(this, "forecasts"),
        baselines={name: _frame_of(this, f"baseline-{name}") for name in BASELINES},
        history=recent_closes(bars, 120),
        scores=this.load(SCORES),
        decision=this.load(DECISION),
        fallbacks=[SymbolReason(**row) for row in outcome["fallbacks"]],
        live=record,
        recent=track_record.next_session(record),
        live_by_symbol={kind: track_record.by_symbol(part) for kind, part in kinds.items()},
        out_of_bounds=tuple(track_record.out_of_bounds(kinds["live"])) if "live" in kinds else (),
        audit=this.load(AUDIT),
        drift=training.drift,
        gradient_memory=training.gradient_memory,
        withheld=[SymbolReason(**row) for row in outcome["withheld"]],
        trial=this.trial,
        make_latest=this.make_latest,
        warnings=settings.clock.calendar_warnings(this.symbols, this.as_of),
        provenance={
            "source": settings.source,
            **_read_as(this),
            "data_digest": frozen.digest,
            "bars": len(bars),
            "first_session": str(bars["session"].min().date()),
            "last_session": str(bars["session"].max().date()),
            "run_key": this.key,
            "settings": dict(this.frozen),
            **this.provenance,
            **_airflow_url(this),
            **{name: uploaded[name] for name in ("mlflow_run_id", "mlflow_url", "git_commit") if uploaded.get(name)},
        },
    )
