"""A backtest in MLflow: one run for all of it in the experiment `backtest`, and below it one for each fold.

Every function may be called twice, or by several workers at once: runs are found by their keys (see `runs`). Where two
workers opened the parent in the same moment, the summary puts every fold below the one that stayed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.config import Settings
from pipeline.evaluation.model_scores import Scores, scores_of
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.storage.documents import from_document
from pipeline.tracking import runs
from pipeline.tracking import scores as score_names
from pipeline.tracking.connection import connected
from pipeline.tracking.markdown import escape

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "backtest"
PARENT, BACKTEST = "mlflow.parentRunId", "closing_bell.backtest"
_EPOCH = date(1970, 1, 1)
_AT_ONCE = 1000  # points or runs in a request; more are refused
LARGEST_FRAME = 50_000_000  # bytes; a larger one stays on disk, its SHA-256 is a tag in any case


def log_fold(
    settings: Settings,
    key: str,
    fold: Mapping[str, Any],
    made: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    parent_tags: Mapping[str, str],
    snapshot: Path,
    address: str = "",
) -> str:
    """Record one fold below the backtest of `key`; return the MLflow run's id.

    `fold` is its plan, `made` the content of fold.json; `parent_tags` are those that all folds share. `address` is
    where the snapshot is kept, if `snapshot` may be a copy of that.
    """
    parent = _open_parent(settings, key, parent_tags)
    card = _card_of(made)
    mine = {**tags, PARENT: parent, BACKTEST: key, "part_sha256": made["sha256"]}
    if card is not None:
        mine["weights_sha256"] = card.weights_sha256
    name = f"{fold['first']} … {fold['last']}"
    run_id = runs.open_run(settings, experiment=EXPERIMENT, key=f"{key}__{fold['first']}", name=name, tags=mine)
    runs.log_training(
        settings,
        run_id,
        training=_training_of(made),
        scores=scores_of(made["scores"]),
        card=card,
        snapshot=snapshot,
        address=address,
        data_digest=made["made_from"]["snapshot"],
        figures={},
    )
    with connected(settings, f"describe run {run_id}") as client:
        client.set_tag(run_id, runs.NOTE, _fold_in_words(fold, made))
    runs.finish(settings, run_id)
    return run_id


def log_summary(
    settings: Settings,
    key: str,
    result: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    figures: Sequence[Path],
    frame: Path,
) -> str:
    """Record the whole backtest of `key`: scores, curves, tables, pictures, the frame; return the MLflow run's id.

    `result` is the content of backtest.json, `frame` the Parquet file of all forecasts.
    """
    run_id = _open_parent(
        settings, key, {**tags, "data_sha256": result["data_digest"], "frame_sha256": result["sha256"]}
    )
    scores = scores_of(result["scores"])
    numbers = {name: float(value) for name, value in result["windows"].items()}
    runs.log_metrics(settings, run_id, {**score_names.metrics(scores, result["network"]), **numbers})
    with connected(settings, f"record the backtest in run {run_id}") as client:
        _adopt(client, key, run_id)
        _log_parameters(client, run_id, result)
        _log_curves(client, run_id, result)
        client.log_dict(run_id, {name: value for name, value in result.items() if name != "scores"}, "backtest.json")
        _log_tables(client, run_id, scores)
        for path in figures:
            client.log_artifact(run_id, str(path), "figures")
        if frame.stat().st_size <= LARGEST_FRAME:
            client.log_artifact(run_id, str(frame))
        client.set_tag(run_id, runs.NOTE, _in_words(result))
    runs.finish(settings, run_id)
    return run_id


def _open_parent(settings: Settings, key: str, tags: Mapping[str, str]) -> str:
    return runs.open_run(settings, experiment=EXPERIMENT, key=key, name=key, tags=tags)


def _adopt(client: "MlflowClient", key: str, run_id: str) -> None:
    """Put the folds below the parent that stayed, if two workers had opened one."""
    experiment = client.get_run(run_id).info.experiment_id
    for run in client.search_runs([experiment], f"tags.`{BACKTEST}` = '{key}'", max_results=_AT_ONCE):
        if run.data.tags.get(PARENT) != run_id:
            client.set_tag(run.info.run_id, PARENT, run_id)


def _log_parameters(client: "MlflowClient", run_id: str, result: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    kept = client.get_run(run_id).data.params
    told = {name: str(result[name]) for name in ("first", "last", "refit_every", "network")}
    client.log_batch(run_id, params=[Param(name, value) for name, value in told.items() if name not in kept])


def _log_curves(client: "MlflowClient", run_id: str, result: Mapping[str, Any]) -> None:
    """The mean CRPS of each session's forecasts, and what was gained on the best baseline up to it.

    A point's time is that of its session and its step the days since 1970, so that MLflow knows it when it comes again.
    """
    from mlflow.entities import Metric

    days = [date.fromisoformat(text) for text in result["sessions"]]
    curves = {f"crps_bp_by_session/{name}": values for name, values in result["crps_bp"].items()}
    if result["gained_bp"]:
        curves[f"gained_bp/on_{result['best_baseline']}"] = result["gained_bp"]
    points = [
        Metric(name, float(value), int(datetime.combine(day, time(), UTC).timestamp() * 1000), (day - _EPOCH).days)
        for name, values in curves.items()
        for day, value in zip(days, values, strict=True)
    ]
    for first in range(0, len(points), _AT_ONCE):
        client.log_batch(run_id, metrics=points[first : first + _AT_ONCE])


def _log_tables(client: "MlflowClient", run_id: str, scores: Scores) -> None:
    with TemporaryDirectory() as folder:
        score_names.write_tables(scores, Path(folder))
        client.log_artifacts(run_id, folder, "scores")


def _in_words(result: Mapping[str, Any]) -> str:
    windows, models = result["windows"], scores_of(result["scores"]).models
    untrained = [fold for fold in result["folds"] if not fold["trained"]]
    what = (
        f"Walk-forward from {result['first']} to {result['last']}: {len(result['folds'])} folds, a new model every "
        f"{result['refit_every']} sessions. {windows['scored']} of {windows['forecast']} origins are scored, each "
        "beside the baselines on the same sessions. Lower CRPS is better."
    )
    lines = [
        what,
        "",
        "| model | CRPS, bp | in the 90 % range |",
        "| --- | ---: | ---: |",
        *(
            f"| {escape(name)} | {values.crps_bp:.2f} | {100 * values.coverage[90]:.1f} % |"
            for name, values in sorted(models.items(), key=lambda item: item[1].crps_bp)
        ),
        "",
        *(f"Without a network: {fold['first']} to {fold['last']}, {escape(fold['reason'])}." for fold in untrained),
    ]
    return "\n".join(lines).strip()


def _fold_in_words(fold: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    first, last = fold["first"], fold["last"]
    if not made["trained"]:
        return f"Fold {fold['number']}: no network forecasts {first} to {last}; {escape(made['reason'])}."
    training = _training_of(made)
    seen = f"{training.train.first} to {training.validation.last}" if training.train and training.validation else ""
    return f"Fold {fold['number']}: the model learnt from windows of {seen} and forecasts from {first} to {last}."


def _training_of(made: Mapping[str, Any]) -> TrainingRecord:
    return from_document(TrainingRecord, made["training"], where="fold.json", remedy="repeat `backtest`")


def _card_of(made: Mapping[str, Any]) -> ModelCard | None:
    if not made["trained"]:
        return None
    return from_document(ModelCard, made["model"], where="fold.json", remedy="repeat `backtest`")
