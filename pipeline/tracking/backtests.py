"""A backtest in MLflow: one run for all of it in the experiment `backtest`, and a nested run for each fold.

Every function is idempotent, also when several workers call it at once: runs are found by their keys (see
`mlflow_run`). Where two workers opened the parent at the same time, the summary nests every fold below the one that
stayed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config import Settings
from pipeline.evaluation.backtest_results import BacktestSummary, FoldPlan, FoldRecord
from pipeline.prices.store.snapshot import Snapshot
from pipeline.storage.documents import to_document
from pipeline.tracking import runs
from pipeline.tracking import scores as score_names
from pipeline.tracking.backtest_description import backtest_name, describe_backtest, describe_fold, fold_name
from pipeline.tracking.dataset import EventData, calendar_input
from pipeline.tracking.experiments import BACKTEST
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.run_writer import NOTE, RunWriter

PARENT, KEY = "mlflow.parentRunId", "closing_bell.backtest"
_EPOCH = date(1970, 1, 1)
_MOST_FOLDS = 1000  # runs that one search returns
LARGEST_FRAME = 50_000_000  # bytes; a larger one stays on disk, its SHA-256 is a tag in any case


def log_fold(
    settings: Settings,
    key: str,
    fold: FoldPlan,
    record: FoldRecord,
    *,
    tags: Mapping[str, str],
    parent_tags: Mapping[str, str],
    snapshot: Snapshot,
    calendar: EventData | None = None,
) -> MlflowRun:
    """Record one fold below the backtest of `key`, and return its MLflow run.

    `parent_tags` are those that all folds share.
    """
    parent = _open_parent(settings, key, parent_tags)
    training, card = record.training, record.model
    name = fold_name(fold, settings.network)
    own = {**tags, PARENT: parent.run_id, KEY: key, "part_sha256": record.sha256}
    if card is not None:
        own["weights_sha256"] = card.weights_sha256
    run = MlflowRun.open(settings, experiment=BACKTEST, key=f"{key}__{fold.first}", name=name, tags=own)
    runs.log_training(
        run, training=training, scores=record.scores, card=card, snapshot=snapshot, figures=(), calendar=calendar
    )
    with run.writing("describe the fold") as writer:
        writer.rename(name)  # an older version named it otherwise
        writer.set_tags({NOTE: describe_fold(writer.tags, fold, training)})
    run.finish()
    return run


def log_summary(
    settings: Settings,
    key: str,
    summary: BacktestSummary,
    *,
    tags: Mapping[str, str],
    figures: Sequence[Path],
    frame: Path,
    calendar: EventData | None = None,
) -> MlflowRun:
    """Record the whole backtest of `key` (scores, curves, tables, figures, forecasts), and return its MLflow run.

    `frame` is the Parquet file of all forecasts.
    """
    digests = {"data_sha256": summary.data_digest, "frame_sha256": summary.sha256}
    run = _open_parent(settings, key, {**tags, **digests, **(calendar.tags if calendar else {})})
    counts = {name: float(value) for name, value in summary.windows.items()}
    with run.writing("record the backtest") as writer:
        writer.rename(backtest_name(tags, summary.first))
        writer.log_numbers({**score_names.metrics(summary.scores, summary.network), **counts})
        if calendar is not None:
            writer.log_dataset(calendar_input(calendar))
        _adopt(writer, key)
        writer.log_parameters(
            {name: str(getattr(summary, name)) for name in ("first", "last", "refit_every", "network")}
        )
        writer.log_moments(_curves(summary))
        content = {name: value for name, value in to_document(summary).items() if name != "scores"}
        writer.log_text(json.dumps(content, indent=2), "backtest.json")
        with TemporaryDirectory() as folder:
            tables = score_names.write_tables(summary.scores, Path(folder))
            writer.log_folder(Path(folder), score_names.FOLDER)
        writer.show_as_tables(tables)
        for path in figures:
            writer.log_file(path, "figures")
        if frame.stat().st_size <= LARGEST_FRAME:
            writer.log_file(frame)
        writer.set_tags({NOTE: describe_backtest(writer.tags, summary)})
    run.finish()
    return run


def _open_parent(settings: Settings, key: str, tags: Mapping[str, str]) -> MlflowRun:
    return MlflowRun.open(settings, experiment=BACKTEST, key=key, name=backtest_name(tags), tags=tags)


def _adopt(writer: RunWriter, key: str) -> None:
    """Nest the folds below the parent that stayed, if two workers had opened one."""
    client, experiment = writer.client, writer.run.info.experiment_id
    for fold in client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=_MOST_FOLDS):
        if fold.data.tags.get(PARENT) != writer.run_id:
            client.set_tag(fold.info.run_id, PARENT, writer.run_id)


def _curves(summary: BacktestSummary) -> Iterator[tuple[str, float, int, int]]:
    """Yield the points of the mean CRPS by session, and of the cumulative gain on the best baseline.

    The time of a point is that of its session and its step the days since 1970, so that MLflow recognises it later.
    """
    days = [date.fromisoformat(text) for text in summary.sessions]
    curves = {f"crps_bp_by_session/{name}": values for name, values in summary.crps_bp.items()}
    if summary.gained_bp:
        curves[f"gained_bp/on_{summary.best_baseline}"] = summary.gained_bp
    for name, values in curves.items():
        for day, value in zip(days, values, strict=True):
            moment = int(datetime.combine(day, time(), UTC).timestamp() * 1000)
            yield name, float(value), moment, (day - _EPOCH).days
