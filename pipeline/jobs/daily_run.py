"""A whole daily run in one process: every step after `plan`, in the order of the DAG."""

from collections.abc import Callable
from datetime import datetime

from pipeline.jobs.context import Asked, Progress
from pipeline.jobs.event_ingestion import ingest_events
from pipeline.jobs.forecasts import forecast
from pipeline.jobs.gating import judge
from pipeline.jobs.network_training import train_all
from pipeline.jobs.price_ingestion import ingest_all
from pipeline.jobs.publication import publish
from pipeline.jobs.results import Plan, RunResults
from pipeline.jobs.scoring import score
from pipeline.jobs.snapshots import snapshot
from pipeline.jobs.uploading import upload


def run_all(
    planned: Plan,
    *,
    known_at: datetime,
    progress: Progress | None = None,
    asked: Asked | None = None,
    on_step: Callable[[str], None] | None = None,
) -> RunResults:
    """Run every step of a plan.

    `on_step` gets the name of each step before it starts, `asked` the progress of the ingestion, `progress` that of
    the training.
    """
    run = planned.run
    begin = on_step or (lambda _name: None)
    begin("ingest")
    ingested = ingest_all(planned, known_at=known_at, progress=asked)
    begin("events")
    events = ingest_events(run, known_at=known_at)
    begin("snapshot")
    frozen = snapshot(run, known_at=known_at)
    begin("score")
    scored = score(run)
    begin("train")
    trained = train_all(run, progress=progress)
    begin("upload")
    uploaded = upload(run)
    begin("judge")
    judged = judge(run)
    begin("forecast")
    forecasts = forecast(run)
    begin("publish")
    return RunResults(
        ingest=ingested,
        events=events,
        snapshot=frozen,
        score=scored,
        train=trained,
        upload=uploaded,
        judge=judged,
        forecast=forecasts,
        publish=publish(run, now=known_at),
    )
