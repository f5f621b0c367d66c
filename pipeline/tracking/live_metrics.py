"""The track record in MLflow: one run for forecasts published in time and one for replays, a point for each session.

The time of a point is that of the target session, its step the days since 1970, so that both axes show the session.
"""

import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

import pandas as pd

from pipeline.config import Settings
from pipeline.tracking.experiments import LIVE
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.run_writer import NOTE, RunWriter
from pipeline.tracking.scores import is_number

_EPOCH = date(1970, 1, 1)


def log_record(settings: Settings, kind: str, sessions: pd.DataFrame, symbols: pd.DataFrame, note: str) -> MlflowRun:
    """Record the scores of published forecasts, and return the MLflow run; idempotent.

    `kind` is `live` or `replayed`; `sessions` and `symbols` are the tables of `evaluation.track_record`. Points that a
    session already has stay, unless a later backfill has changed the numbers: then the newer ones are added.
    """
    tags = {"source": settings.source, "kind": kind}
    run = MlflowRun.open(
        settings, experiment=LIVE, key=f"{kind}__{settings.source}", name=f"{settings.source}, {kind}", tags=tags
    )
    with run.writing(f"record the {kind} track record") as writer:
        _log_points(writer, sessions)
        for name, table in (("by_session", sessions), ("by_symbol", symbols)):
            text = io.StringIO()
            table.to_csv(text)
            writer.log_text(text.getvalue(), f"{name}.csv")
        writer.set_tags({NOTE: note})
    run.finish()
    return run


def _log_points(writer: RunWriter, sessions: pd.DataFrame) -> None:
    logged = {
        name: {(point.step, point.value) for point in writer.client.get_metric_history(writer.run_id, name)}
        for name in sessions.columns
    }
    writer.log_moments(
        (name, float(value), _moment_ms(day), (day - _EPOCH).days)
        for name in sessions.columns
        for day, value in zip(_days(sessions.index), sessions[name].tolist(), strict=True)
        if is_number(value) and ((day - _EPOCH).days, float(value)) not in logged[name]
    )


def _days(index: Iterable[object]) -> list[date]:
    return [day.date() for day in pd.DatetimeIndex(list(index))]


def _moment_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)
