"""One MLflow run for each pipeline run and network: what went in, how good it came out, and what was decided.

Every function may be called twice, or again after it failed half way, and leaves the same run: a run is found by its
key before one is made, a number that has not changed is not written again, and points of a curve carry times worked
out from the run's start, by which MLflow knows those that it already has.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingCurves, TrainingRecord
from pipeline.prices.quality.digest import note_lines, reason_lines
from pipeline.storage.atomic_files import make_tree_private
from pipeline.storage.documents import dump
from pipeline.tracking import scores as score_names
from pipeline.tracking.addresses import address, is_server
from pipeline.tracking.connection import connected, experiment_id
from pipeline.tracking.dataset import dataset_input, dataset_profile
from pipeline.tracking.description import describe, gate, version_note
from pipeline.tracking.registry import MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN_KEY = "closing_bell.run_key"
NOTE = "mlflow.note.content"
Status = Literal["FINISHED", "FAILED", "KILLED"]

# A parameter is a setting; lists as long as the market are kept in the tags, shortened, and with the model.
_NOT_PARAMETERS = {"symbols", "weights_sha256"}
_METRICS_IN_A_BATCH = 1000  # more are refused


class Point(NamedTuple):
    """One value of a metric; `after_ms` is its time, counted from the start of the run."""

    name: str
    value: float
    step: int = 0
    after_ms: int = 0


def open_run(settings: Settings, *, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> str:
    """Return the id of the MLflow run of `key`, made if there is none; its tags are brought up to date.

    If `tags` hold a `weights_sha256` other than the one the run carries, the run tells of another training: it goes to
    MLflow's bin (from which it can be restored) and a new one takes the key. Raises ValueError for a key with a quote.
    """
    if "'" in key:  # MLflow's filters know no way to write one
        raise ValueError(f"a run's key has no quotes: {key}")
    with connected(settings, f"open the run {key!r}") as client:
        number = experiment_id(client, settings, experiment)
        for run in _runs_of(client, number, key):
            if _same_training(run, tags):
                return _reopen(client, run, tags)
            client.set_tag(run.info.run_id, "superseded_by_weights", tags["weights_sha256"])
            client.delete_run(run.info.run_id)
        client.create_run(number, tags={RUN_KEY: key, **_standard_tags(tags), **tags}, run_name=name)
        # A request that was answered too late is sent again, and another worker may have had the same thought:
        # whoever made one looks again, and the oldest stays.
        first, *others = _runs_of(client, number, key)
        for run in others:
            client.delete_run(run.info.run_id)
        return str(first.info.run_id)


def log_training(
    settings: Settings,
    run_id: str,
    *,
    training: TrainingRecord,
    scores: Scores,
    card: ModelCard | None,
    snapshot: Path,
    data_digest: str,
    figures: Mapping[str, Path],
    address: str = "",
) -> None:
    """Record a training: parameters, curves, held-out scores beside the baselines, the dataset, tables and figures.

    `card` is None where nothing was trained; `data_digest` is the snapshot's SHA-256, and `address` where it is kept,
    if `snapshot` may be a copy of that. Raises PipelineError if the run has the parameters of another training already.
    """
    with connected(settings, f"record the training in run {run_id}") as client, _score_files(scores) as folder:
        run = client.get_run(run_id)
        _log_parameters(client, run, _parameters(training, card))
        numbers = score_names.metrics(scores, training.parameters.network)
        _log_numbers(client, run, {**numbers, "training_seconds": training.seconds})
        _log_curves(client, run, training.curves)
        client.log_inputs(run_id, [dataset_input(snapshot, data_digest, settings, address)])
        (folder / "training.json").write_bytes(dump(training))
        (folder / "figures").mkdir()
        for name, path in figures.items():
            shutil.copyfile(path, folder / "figures" / f"{name}{path.suffix}")
        client.log_artifacts(run_id, str(folder))
        _set_tags(client, run_id, {"data_sha256": data_digest})
        _describe(client, run_id, scores, None)


def log_decision(settings: Settings, run_id: str, *, scores: Scores, decision: Decision) -> None:
    """Record what the gate decided: the champion's scores, the tags `gate`, `published_…`, and in words with the run
    and with the version that it registered.

    `scores` are those with the champion's, where there is one.
    """
    with connected(settings, f"record the decision in run {run_id}") as client, _score_files(scores) as folder:
        run = client.get_run(run_id)
        _log_numbers(client, run, score_names.metrics(scores, run.data.tags["network"]))
        # Only here, on the sessions that the gate looked at: a curve can be added to, not replaced.
        _log_points(client, run, [Point(name, value, step) for name, step, value in score_names.by_step(scores)])
        client.log_artifacts(run_id, str(folder))
        tags = {
            "gate": gate(decision),
            "gate_reason": decision.reason,
            "published_model": decision.model,
            "published_model_version": decision.model_version or "none",
            "best_baseline": decision.best_baseline or "none",
        }
        _set_tags(client, run_id, tags)
        _describe(client, run_id, scores, decision)
        if version := run.data.tags.get("model_version"):
            page = _page(settings, run.info.experiment_id, run_id)
            client.update_model_version(MODEL, version, version_note(run.data.tags, scores, decision, page))


def log_metrics(settings: Settings, run_id: str, values: Mapping[str, float | None]) -> None:
    """Record numbers beside those of the training, such as the scores of forecasts that have come due.

    What is None or not finite is left out.
    """
    with connected(settings, f"record scores in run {run_id}") as client:
        _log_numbers(client, client.get_run(run_id), {k: v for k, v in values.items() if score_names.is_number(v)})


def log_audit(settings: Settings, run_id: str, audit: Mapping[str, Any]) -> None:
    """Record what was held back and what is missing: numbers `prices/…`, the tag `held_back`, and all of it as a file.

    `audit` is audit.json.
    """
    with connected(settings, f"record the audit in run {run_id}") as client:
        numbers = {f"prices/{name}": value for name, value in audit.items() if score_names.is_number(value)}
        doubtful = [row["symbol"] for row in audit["doubtful"]]
        _log_numbers(client, client.get_run(run_id), numbers | {"prices/doubtful": len(doubtful)})
        words = f"{audit['quarantine']} quarantined, {audit['reject']} rejected, {audit['gaps']} missing"
        names = f"; no forecast for {', '.join(doubtful)}" if doubtful else ""
        _set_tags(client, run_id, {"held_back": words + names, "data_quality": _quality(audit)})
        client.log_text(run_id, _quality_text(audit), "data_quality.txt")
        client.log_dict(run_id, dict(audit), "audit.json")


def _quality(audit: Mapping[str, Any]) -> str:
    """Return in one phrase what data_quality.txt holds."""
    notes = audit.get("notes", [])
    symbols = sorted({note["symbol"] for note in notes})
    counts = f"{_count(len(notes), 'note')} on {_count(len(symbols), 'symbol')}"
    return f"{counts}: see data_quality.txt" if notes else "no notes"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"


def _quality_text(audit: Mapping[str, Any]) -> str:
    lines = [*note_lines(audit.get("notes", [])), *reason_lines(audit.get("reasons", []))]
    return "\n".join(lines or ["nothing was noted of any symbol, and no bar was held back or asked about"]) + "\n"


def log_published(settings: Settings, run_id: str, folder: Path) -> None:
    """Keep the published files as artifacts of the run, under `published/`."""
    with connected(settings, f"keep the files of {folder} in run {run_id}") as client:
        client.log_artifacts(run_id, str(folder), "published")
        kept = Path(str(client.get_run(run_id).info.artifact_uri)) / "published"
        if settings.home in kept.parents:  # copied with the permissions of the published folder, which others may read
            make_tree_private(kept)


def finish(settings: Settings, run_id: str, status: Status = "FINISHED") -> None:
    """Close the run."""
    with connected(settings, f"close run {run_id}") as client:
        client.set_terminated(run_id, status)


def run_url(settings: Settings, run_id: str) -> str | None:
    """Return the address of the run's page, None where no server is known that shows it.

    Runs in a database opened directly are shown by the one-machine server, if `MLFLOW_PORT` says where that is.
    """
    with connected(settings, f"find run {run_id}") as client:
        return _page(settings, client.get_run(run_id).info.experiment_id, run_id)


def _page(settings: Settings, experiment: str, run_id: str) -> str | None:
    port = os.environ.get("MLFLOW_PORT")
    if settings.mlflow_link:
        base = settings.mlflow_link.rstrip("/")
    elif is_server(settings.tracking_uri):
        base = address(settings.tracking_uri)
    elif port:
        base = f"http://127.0.0.1:{port}"
    else:
        return None
    return f"{base}/#/experiments/{experiment}/runs/{run_id}"


def _runs_of(client: "MlflowClient", experiment: str, key: str) -> list["Run"]:
    """The runs of a key that are not in the bin, oldest first."""
    runs = client.search_runs([experiment], f"tags.`{RUN_KEY}` = '{key}'")
    return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def _same_training(run: "Run", tags: Mapping[str, str]) -> bool:
    kept, now = run.data.tags.get("weights_sha256"), tags.get("weights_sha256")
    return kept is None or now is None or kept == now


def _reopen(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> str:
    run_id = str(run.info.run_id)
    if run.info.status != "RUNNING":
        client.update_run(run_id, status="RUNNING")
    _set_tags(client, run_id, {name: value for name, value in tags.items() if run.data.tags.get(name) != value})
    return run_id


def _standard_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that MLflow's own pages show as a run's source."""
    commit = tags.get("git_commit", "").removesuffix("-dirty")
    source = {"mlflow.source.name": tags.get("airflow.dag_id", "python -m pipeline"), "mlflow.source.type": "JOB"}
    is_commit = re.fullmatch(r"[0-9a-f]{7,64}", commit) is not None
    return source | ({"mlflow.source.git.commit": commit} if is_commit else {})


def _set_tags(client: "MlflowClient", run_id: str, tags: Mapping[str, Any]) -> None:
    from mlflow.entities import RunTag

    if tags:
        client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])


def _parameters(training: TrainingRecord, card: ModelCard | None) -> dict[str, str]:
    blocks = {"train": training.train, "validation": training.validation}
    values: dict[str, object] = {
        **(asdict(card) if card else {}),
        **{f"{name}_{key}": value for name, block in blocks.items() if block for key, value in asdict(block).items()},
        "best_step": training.best_step,
        "windows": training.windows,
        **asdict(training.parameters),
    }
    return {
        name: _as_text(value) for name, value in values.items() if name not in _NOT_PARAMETERS and value is not None
    }


def _as_text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _log_parameters(client: "MlflowClient", run: "Run", parameters: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    kept = run.data.params
    for name, value in parameters.items():
        if name in kept and kept[name] != value:
            raise PipelineError(
                f"MLflow run {run.info.run_id} holds another training: {name} was {kept[name]!r} and is now {value!r}; "
                "delete that run in MLflow and retry"
            )
    missing = [Param(name, value) for name, value in parameters.items() if name not in kept]
    client.log_batch(run.info.run_id, params=missing)


def _log_curves(client: "MlflowClient", run: "Run", curves: TrainingCurves) -> None:
    """The curves over the optimizer's steps. A step counts as a millisecond: a second try must find the same times."""
    points = [Point(name, value, step, step) for name, curve in vars(curves).items() for step, value in curve]
    _log_points(client, run, points)


def _log_numbers(client: "MlflowClient", run: "Run", values: Mapping[str, float]) -> None:
    """Numbers without a step. One that has changed gets a later time than before: MLflow shows the latest."""
    kept = run.data.metrics
    new = [Point(name, value) for name, value in values.items() if name not in kept]
    moved = [name for name, value in values.items() if kept.get(name, value) != value]
    changed = [Point(name, values[name], after_ms=_after_last(client, run, name)) for name in moved]
    _log_points(client, run, new + changed)


def _after_last(client: "MlflowClient", run: "Run", name: str) -> int:
    last = max(int(point.timestamp) for point in client.get_metric_history(run.info.run_id, name))
    return last - int(run.info.start_time) + 1


def _log_points(client: "MlflowClient", run: "Run", points: Sequence[Point]) -> None:
    """Log the points in few requests; MLflow keeps one that it already has, with the same time and value, single."""
    from mlflow.entities import Metric

    start = int(run.info.start_time)
    metrics = [Metric(point.name, float(point.value), start + point.after_ms, point.step) for point in points]
    for first in range(0, len(metrics), _METRICS_IN_A_BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[first : first + _METRICS_IN_A_BATCH])


@contextmanager
def _score_files(scores: Scores) -> Iterator[Path]:
    """A folder with the tables as they are to lie among the run's artifacts."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scores").mkdir()
        score_names.write_tables(scores, folder / "scores")
        yield folder


def _describe(client: "MlflowClient", run_id: str, scores: Scores, decision: Decision | None) -> None:
    run = client.get_run(run_id)
    _set_tags(client, run_id, {NOTE: describe(run.data.tags, dataset_profile(run), scores, decision)})
