"""The upload step: a training, its scores and the provenance of its run in MLflow."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.evaluation.model_scores import Scores
from pipeline.jobs.context import event_data_of, own_record, snapshot_of
from pipeline.jobs.results import UploadResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT, FIGURES, LIVE, MODEL, MODEL_CARD, SCORES, TRAINING, UPLOAD
from pipeline.prices.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from pipeline.modeling.training.training_record import TrainingRecord
    from pipeline.tracking.mlflow_run import MlflowRun


def upload(run: Run, *, try_number: int = 1) -> UploadResult:
    """Upload the training to MLflow: one MLflow run for this run, and the model as the challenger."""
    from pipeline.tracking import experiments, provenance, runs
    from pipeline.tracking.mlflow_run import MlflowRun
    from pipeline.tracking.registration import register

    settings = run.settings
    training, scores = run.load(TRAINING), run.load(SCORES)
    frozen = snapshot_of(run)
    card = run.load(MODEL_CARD) if training.trained else None
    tags = provenance.run_tags(
        settings,
        as_of=run.as_of,
        symbols=run.symbols,
        commit=provenance.git_commit(Path(__file__).parent),
        provenance=run.provenance,
        try_number=try_number,
    )
    if card is not None:
        tags["weights_sha256"] = card.weights_sha256
    if run.trial:
        tags["trial"] = "; ".join(run.trial)
    logged = MlflowRun.open(
        settings, experiment=experiments.DAILY, key=run.key, name=f"{run.as_of} {settings.network}", tags=tags
    )
    with run.making(FIGURES) as folder:
        figures = _draw(training, scores, folder)
        runs.log_training(
            logged,
            training=training,
            scores=scores,
            card=card,
            snapshot=frozen,
            figures=figures.values(),
            calendar=event_data_of(run),
        )
    runs.log_audit(logged, run.load(AUDIT))
    logged.log_numbers({f"drift/psi_{name}": value for name, value in training.drift.items()})
    if memory := training.gradient_memory:
        logged.log_numbers({f"memory/{name}": value for name, value in asdict(memory.numbers).items()})
    _log_record(run, logged)
    version = None
    if card is not None:
        trial = {"trial": tags["trial"]} if run.trial else {}
        tags = {"data_digest": frozen.digest, "git_commit": tags["git_commit"], **trial}
        example = _example(read_snapshot(frozen), settings.context_length)
        with run.reading(MODEL) as folder:
            version = register(logged, model_dir=folder, example=example, tags=tags, challenger=run.standing).version
    result = UploadResult(
        mlflow_run_id=logged.run_id, mlflow_url=logged.url(), model_version=version, git_commit=tags["git_commit"]
    )
    run.save(UPLOAD, result)
    return result


def _draw(training: "TrainingRecord", scores: Scores, folder: Path) -> dict[str, Path]:
    from pipeline.publishing.charts import memory_png, png

    folder.mkdir(exist_ok=True)
    figures = {}
    if scores.models:
        figures["scores"] = png.scores_chart(scores, folder / "scores.png")
    if training.trained:
        figures["training"] = png.training_chart(training, folder / "training.png")
    if memory := training.gradient_memory:
        figures["memory"] = memory_png.memory_chart(memory, memory_png.recall_result(), folder / "memory.png")
    return figures


def _log_record(run: Run, logged: "MlflowRun") -> None:
    """Log the track record: a summary with the run, and each session in a separate experiment."""
    from pipeline.evaluation import track_record
    from pipeline.tracking.live_metrics import log_record

    if not run.standing:  # the track record in MLflow is that of the standing configuration
        return
    settings, kinds = run.settings, run.load(LIVE).kinds()
    logged.log_numbers({
        f"{kind}/{name}": value
        for kind, one in kinds.items()
        for name, value in (one.numbers | one.event_numbers).items()
    })  # fmt: skip
    for kind, part in track_record.by_kind(own_record(run)).items():
        log_record(
            settings, kind, track_record.by_session(part), track_record.by_symbol(part), track_record.NOTES[kind]
        )


def _example(bars: pd.DataFrame, context_length: int) -> pd.DataFrame:
    """Return a short price history as clients of the served model post it."""
    symbol = bars["symbol"].value_counts().sort_index(kind="stable").idxmax()
    tail = bars[bars["symbol"] == symbol].tail(2 * context_length)
    table = tail.rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"})
    return table.drop(columns="currency").assign(date=table["date"].dt.strftime("%Y-%m-%d")).reset_index(drop=True)
