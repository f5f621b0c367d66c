"""What a daily run records in its MLflow run: training and scores, decision, price audit, published files.

Every function is idempotent.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.prices.audit_types import Audit
from pipeline.prices.quality.digest import note_lines, reason_lines
from pipeline.prices.store.snapshot import Snapshot
from pipeline.storage.atomic_files import make_tree_private
from pipeline.storage.documents import dump, to_document
from pipeline.tracking import scores as score_names
from pipeline.tracking.dataset import EventData, calendar_input, dataset_extent, dataset_input
from pipeline.tracking.description import describe, gate, version_note
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.registry import MODEL
from pipeline.tracking.run_writer import NOTE, Point, RunWriter

# A parameter is a setting; lists as long as the market are in the tags, shortened, and in the model.
_NOT_PARAMETERS = {"symbols", "weights_sha256"}


def log_training(
    run: MlflowRun,
    *,
    training: TrainingRecord,
    scores: Scores,
    card: ModelCard | None,
    snapshot: Snapshot,
    figures: Iterable[Path],
    calendar: EventData | None = None,
) -> None:
    """Record a training: parameters, curves, held-out scores of all models, the datasets, tables and figures.

    `card` is None where nothing was trained, `calendar` where no source of events is set. Raises PipelineError if the
    run already has the parameters of another training.
    """
    with run.writing("record the training") as writer:
        writer.log_parameters(_parameters(training, card))
        numbers = score_names.metrics(scores, training.parameters.network)
        writer.log_numbers({**numbers, "training_seconds": training.seconds})
        # A step of the optimizer counts as a millisecond: a second try must find the same times.
        curves = vars(training.curves).items()
        writer.log_points([Point(name, value, step, step) for name, curve in curves for step, value in curve])
        writer.log_dataset(dataset_input(snapshot, run.settings))
        if calendar is not None:
            writer.log_dataset(calendar_input(calendar))
        _log_scores(writer, scores)
        writer.log_text(dump(training).decode(), "training.json")
        for path in figures:
            writer.log_file(path, "figures")
        writer.set_tags({"data_sha256": snapshot.digest, **(calendar.tags if calendar else {})})
        _describe(writer, scores, None)


def log_decision(run: MlflowRun, *, scores: Scores, decision: Decision) -> None:
    """Record what the gate decided: the champion's scores, the tags `gate` and `published_…`, and the descriptions of
    the run and of the version that it registered.

    `scores` include the champion's, where there is one.
    """
    with run.writing("record the decision") as writer:
        writer.log_numbers(score_names.metrics(scores, writer.tags["network"]))
        # Only here, on the sessions that the gate compared on: a curve can be extended, not replaced.
        writer.log_points([Point(name, value, step) for name, step, value in score_names.by_step(scores)])
        _log_scores(writer, scores)
        writer.set_tags({
            "gate": gate(decision),
            "gate_reason": decision.reason,
            "published_model": decision.model,
            "published_model_version": decision.model_version or "none",
            "best_baseline": decision.best_baseline or "none",
        })  # fmt: skip
        _describe(writer, scores, decision)
        if version := writer.tags.get("model_version"):
            page = run.page(writer.run.info.experiment_id)
            writer.client.update_model_version(MODEL, version, version_note(writer.tags, scores, decision, page))


def log_audit(run: MlflowRun, audit: Audit) -> None:
    """Record the audit of the prices: numbers `prices/…`, the tags `held_back` and `data_quality`, and both files."""
    document = to_document(audit)
    with run.writing("record the audit") as writer:
        numbers = {f"prices/{name}": value for name, value in document.items() if score_names.is_number(value)}
        doubtful = [row.symbol for row in audit.doubtful]
        writer.log_numbers(numbers | {"prices/doubtful": len(doubtful)})
        counts = f"{audit.quarantine} quarantined, {audit.reject} rejected, {audit.gaps} missing"
        names = f"; no forecast for {', '.join(doubtful)}" if doubtful else ""
        writer.set_tags({"held_back": counts + names, "data_quality": _quality(audit)})
        writer.log_text(_quality_text(audit), "data_quality.txt")
        writer.log_text(json.dumps(document, indent=2), "audit.json")


def _quality(audit: Audit) -> str:
    """Return in one phrase what data_quality.txt holds."""
    notes = audit.notes
    symbols = {note.symbol for note in notes}
    counts = f"{_count(len(notes), 'note')} on {_count(len(symbols), 'symbol')}"
    return f"{counts}: see data_quality.txt" if notes else "no notes"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"


def _quality_text(audit: Audit) -> str:
    lines = [*note_lines(audit.notes), *reason_lines(audit.reasons)]
    return "\n".join(lines or ["no notes on any symbol, and no bar was held back or questioned"]) + "\n"


def log_published(run: MlflowRun, folder: Path) -> None:
    """Copy the published files to the run's artifacts, under `published/`."""
    with run.writing(f"store the files of {folder}") as writer:
        writer.log_folder(folder, "published")
        copies = Path(str(writer.run.info.artifact_uri)) / "published"
        if run.settings.home in copies.parents:  # copied with the permissions of the published folder
            make_tree_private(copies)


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


def _log_scores(writer: RunWriter, scores: Scores) -> None:
    with TemporaryDirectory() as folder:
        tables = score_names.write_tables(scores, Path(folder))
        writer.log_folder(Path(folder), score_names.FOLDER)
    writer.show_as_tables(tables)


def _describe(writer: RunWriter, scores: Scores, decision: Decision | None) -> None:
    run = writer.client.get_run(writer.run_id)  # with the tags and the dataset that have just been logged
    writer.set_tags({NOTE: describe(run.data.tags, dataset_extent(run), scores, decision)})
