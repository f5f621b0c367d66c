"""The publication step: the edition of a session, its files, the track record, and the same files in MLflow."""

from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.database.engine import open_database
from pipeline.errors import MissingStep
from pipeline.jobs.context import baselines_of, own_record, snapshot_of
from pipeline.jobs.results import PublishResult, UploadResult
from pipeline.jobs.run import FileArtifact, Run
from pipeline.jobs.run_artifacts import (
    AUDIT,
    DECISION,
    EVENT_OUTLOOK,
    FORECAST,
    FORECASTS,
    SCORES,
    SOURCE,
    TRAINING,
    UPLOAD,
    baseline_forecasts,
)
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot
from pipeline.publishing.event_outlook import EventOutlook

if TYPE_CHECKING:
    from pipeline.publishing.edition import Edition


def publish(run: Run, *, now: datetime) -> PublishResult:
    """Publish the edition: its files in one step, its forecasts in the forecast log, and the same files in MLflow.

    A forecast whose session has closed by `now` is logged as a replay.
    """
    from pipeline.evaluation import forecast_log
    from pipeline.publishing import event_sentences, publisher, verdict
    from pipeline.tracking import runs
    from pipeline.tracking.mlflow_run import MlflowRun

    settings = run.settings
    edition = _edition(run)
    published = publisher.publish(edition, settings.published)
    baseline = edition.baselines[str(edition.best_baseline)]

    @cache
    def complete_at(symbol: str, session: date) -> datetime:
        sessions = settings.clock.sessions_of(symbol)
        # An estimated target can be a holiday in a newer calendar.
        return sessions.complete_at(sessions.at_or_before(session))

    database = open_database(settings.database)
    forecast_log.log_forecasts(
        database,
        settings.source,
        edition.forecasts,
        baseline,
        run.key,
        now=now,
        complete_at=complete_at,
        series=series_of(run),
    )
    _write_track_record(run)
    uploaded = run.load(UPLOAD)
    logged = MlflowRun(settings=settings, run_id=uploaded.mlflow_run_id)
    with settings.published.reading(published.place) as folder:
        runs.log_published(logged, folder)
    logged.finish()
    return PublishResult(
        as_of=run.as_of.isoformat(),
        folder=str(published.folder),
        place=published.place,
        changed=published.changed,
        trial=run.trial,
        standing=run.standing,
        edition="" if run.standing else published.folder.name,
        headline=verdict.headline(edition),
        verdict=verdict.verdict_on(edition).title,
        warnings=list(edition.warnings),
        events=event_sentences.soon(edition.outlook, {fan.symbol: fan.targets for fan in edition.fans}),
        mlflow_url=uploaded.mlflow_url,
    )


def _write_track_record(run: Run) -> None:
    """Write the track record of the run's source: all symbols, editions and trials."""
    from pipeline.evaluation.forecast_log import live_record
    from pipeline.evaluation.track_record import one_ahead
    from pipeline.publishing import track_record_files

    settings = run.settings
    since = track_record_files.first_day(run.as_of)
    rows = live_record(open_database(settings.database), settings.source, None, None, series=None, since=since)
    if len(ahead := one_ahead(rows)):
        track_record_files.write(settings.published, settings.source, ahead)


def _frame_of(run: Run, artifact: FileArtifact) -> pd.DataFrame:
    with run.reading(artifact) as path:
        return pd.read_parquet(path)


def _airflow_url(run: Run) -> dict[str, str]:
    """The address of the run in Airflow, if it has one and PIPELINE_AIRFLOW_LINK is set."""
    made_by = run.provenance
    url = run.settings.airflow_run(made_by["dag_id"], made_by["run_id"]) if "run_id" in made_by else None
    return {"airflow_url": url} if url else {}


def _read_as(run: Run) -> dict[str, str]:
    """How the source's prices were read, if the run's ingestion has recorded it."""
    try:
        return {"prices_read_as": run.load(SOURCE).read_as}
    except MissingStep:
        return {}


def _outlook(run: Run) -> EventOutlook:
    """Return what the forecast step found of scheduled events; empty for one of an older version."""
    try:
        return run.load(EVENT_OUTLOOK)
    except MissingStep:
        return EventOutlook()


def _where_uploaded(uploaded: UploadResult) -> dict[str, str]:
    values = {
        "mlflow_run_id": uploaded.mlflow_run_id,
        "mlflow_url": uploaded.mlflow_url,
        "git_commit": uploaded.git_commit,
    }
    return {name: value for name, value in values.items() if value}


def _edition(run: Run) -> "Edition":
    from pipeline.evaluation import track_record
    from pipeline.prices.adjustments import recent_closes
    from pipeline.publishing.edition import Edition

    settings = run.settings
    outcome, uploaded, training = run.load(FORECAST), run.load(UPLOAD), run.load(TRAINING)
    frozen = snapshot_of(run)
    bars = read_snapshot(frozen)
    record = own_record(run)
    kinds = track_record.by_kind(record)
    return Edition(
        as_of=run.as_of,
        exchange=settings.exchange,
        forecasts=_frame_of(run, FORECASTS),
        baselines={name: _frame_of(run, baseline_forecasts(name)) for name in baselines_of(run)},
        history=recent_closes(bars, 120),
        scores=run.load(SCORES),
        decision=run.load(DECISION),
        fallbacks=outcome.fallbacks,
        live=record,
        recent=track_record.next_session(record),
        live_by_symbol={kind: track_record.by_symbol(part) for kind, part in kinds.items()},
        out_of_bounds=tuple(track_record.out_of_bounds(kinds["live"])) if "live" in kinds else (),
        audit=run.load(AUDIT),
        drift=training.drift,
        gradient_memory=training.gradient_memory,
        withheld=outcome.withheld,
        outlook=_outlook(run),
        trial=run.trial,
        make_latest=run.make_latest,
        warnings=settings.clock.calendar_warnings(run.symbols, run.as_of),
        provenance={
            "source": settings.source,
            **_read_as(run),
            "data_digest": frozen.digest,
            "bars": len(bars),
            "first_session": str(bars["session"].min().date()),
            "last_session": str(bars["session"].max().date()),
            "run_key": run.key,
            "settings": dict(run.frozen),
            **run.provenance,
            **_airflow_url(run),
            **_where_uploaded(uploaded),
        },
    )
