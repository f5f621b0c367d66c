"""The live record in MLflow: one run for the forecasts published in time and one for replays, a point for each session.

A curve's time is that of the target session, its step the days since 1970, so that both axes show when it was.
"""

import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.config import Settings
from pipeline.tracking.connection import connected
from pipeline.tracking.runs import finish, open_run
from pipeline.tracking.scores import is_number

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "live-scores"
_EPOCH = date(1970, 1, 1)
_METRICS_IN_A_BATCH = 1000  # more are refused


def log_record(settings: Settings, kind: str, sessions: pd.DataFrame, symbols: pd.DataFrame, note: str) -> str:
    """Record how published forecasts did; return the MLflow run's id. Doing it again adds nothing.

    `kind` is `live` or `replayed`; `sessions` and `symbols` are the tables of `evaluation.track_record`. A session
    whose points are there already keeps them, unless a later backfill has changed the numbers: then the newer ones are
    added.
    """
    tags = {"source": settings.source, "kind": kind}
    run_id = open_run(
        settings, experiment=EXPERIMENT, key=f"{kind}__{settings.source}", name=f"{settings.source}, {kind}", tags=tags
    )
    with connected(settings, f"keep the {kind} record in run {run_id}") as client:
        _log_points(client, run_id, sessions)
        for name, table in (("by_session", sessions), ("by_symbol", symbols)):
            text = io.StringIO()
            table.to_csv(text)
            client.log_text(run_id, text.getvalue(), f"{name}.csv")
        client.set_tag(run_id, "mlflow.note.content", note)
    finish(settings, run_id)
    return run_id


def _log_points(client: "MlflowClient", run_id: str, sessions: pd.DataFrame) -> None:
    from mlflow.entities import Metric

    kept = {
        name: {(point.step, point.value) for point in client.get_metric_history(run_id, name)}
        for name in sessions.columns
    }
    points = [
        Metric(name, float(value), _moment_ms(day), (day - _EPOCH).days)
        for name in sessions.columns
        for day, value in zip(_days(sessions.index), sessions[name].tolist(), strict=True)
        if is_number(value) and ((day - _EPOCH).days, float(value)) not in kept[name]
    ]
    for first in range(0, len(points), _METRICS_IN_A_BATCH):
        client.log_batch(run_id, metrics=points[first : first + _METRICS_IN_A_BATCH])


def _days(index: Iterable[object]) -> list[date]:
    return [one.date() for one in pd.DatetimeIndex(list(index))]


def _moment_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)
