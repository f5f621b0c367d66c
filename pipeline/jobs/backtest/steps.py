"""The steps of a backtest: plan the folds, run one, join them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from pipeline.config import Overrides
from pipeline.errors import BadSession, BadSetting, NothingToForecast
from pipeline.evaluation.backtest_results import BacktestSummary, FoldOutcome, FoldPlan, FoldRecord
from pipeline.forecast_schema import BASELINES, LEVELS
from pipeline.jobs import context
from pipeline.jobs.backtest import exclusions
from pipeline.jobs.backtest import folds as folds_of
from pipeline.jobs.context import Asked, Progress, digest_of, snapshot_of
from pipeline.jobs.event_ingestion import ingest_events
from pipeline.jobs.planning import plan
from pipeline.jobs.price_ingestion import ingest_all
from pipeline.jobs.results import BacktestPlan, BacktestResult, FoldResult
from pipeline.jobs.run import Artifact, FileArtifact, Run
from pipeline.jobs.run_artifacts import FIGURES, SNAPSHOT, SnapshotReference
from pipeline.jobs.snapshots import snapshot
from pipeline.prices.sources import open_source
from pipeline.prices.store.snapshot import read_snapshot
from pipeline.storage.atomic_files import sha256_bytes

BACKTEST = Artifact("backtest", BacktestSummary, step="backtest")
FRAME = FileArtifact("forecasts.parquet", step="backtest")
MOST_FOLDS = 1000  # Airflow maps a task over no more than 1024


def plan_backtest(
    *,
    key: str | None,
    now: datetime,
    first: date,
    last: date,
    overrides: Overrides,
    provenance: Mapping[str, str],
) -> BacktestPlan:
    """Return the run (as of the last session), the batches to ingest, and the folds.

    Raises BadSession if there is no session from `first` to `last` or no history before them, BadSetting for too many
    folds, and what `plan` raises.
    """
    from pipeline.evaluation.walk_forward import walk

    settings = overrides.settings()
    if last > now.date():
        raise BadSession(f"the backtest's last day {last} is in the future; choose an earlier day")
    sessions = settings.clock.sessions.between(first, last)
    if not sessions:
        raise BadSession(f"{settings.exchange} has no session from {first} to {last}; the first day must come first")
    begins = open_source(settings, today=now.date()).first_session()
    if begins is not None and sessions[0] < begins:
        raise BadSession(f"{sessions[0]} is before the history of `{settings.source}`, which begins on {begins}")
    folds = walk(sessions, settings.refit_every)
    if len(folds) > MOST_FOLDS:
        raise BadSetting(
            f"PIPELINE_REFIT_EVERY={settings.refit_every}: that is {len(folds)} folds from {first} to {last}, "
            f"{MOST_FOLDS} are the most; refit less often or ask for fewer sessions"
        )
    planned = plan(key=key, now=now, as_of=sessions[-1], overrides=overrides, provenance=provenance)
    if key is None:  # another first session or interval is another backtest
        planned = replace(planned, run=_named(planned.run, sessions[0]))
    return BacktestPlan(run=planned.run, batches=planned.batches, warnings=planned.warnings, folds=tuple(folds))


def _named(run: Run, first: date) -> Run:
    return replace(run, key=f"backtest__{first}__{run.settings.refit_every}__{run.key}")


def backtest_snapshot(run: Run, *, known_at: datetime) -> SnapshotReference:
    """Freeze the prices and events of all folds. Doubts about the last session do not stop a backtest."""
    with suppress(NothingToForecast):
        snapshot(run, known_at=known_at)
    return run.load(SNAPSHOT)


def backtest_fold(run: Run, fold: FoldPlan, *, progress: Progress | None = None, try_number: int = 1) -> FoldResult:
    """Train the fold's model, forecast from each of its sessions with it and the baselines, and log it to MLflow.

    An earlier try that is complete is reused if code, prices, settings, precision and numeric libraries are the same.
    """
    from pipeline.tracking.backtests import log_fold

    earlier = folds_of.reusable(run, fold)
    record = earlier or folds_of.make(run, fold, progress)
    logged = log_fold(
        run.settings,
        run.key,
        fold,
        record,
        tags=_tags(run, fold, try_number=try_number),
        parent_tags=_tags(run),
        snapshot=snapshot_of(run),
        calendar=context.event_data_of(run),
    )
    return FoldResult(
        trained=record.trained,
        reason=record.reason,
        reused=earlier is not None,
        crps_bp={name: round(values.crps_bp, 2) for name, values in record.scores.models.items()},
        mlflow_url=logged.url(),
    )


def backtest_summary(
    run: Run, folds: Sequence[FoldPlan], *, out: Path | None = None, try_number: int = 1
) -> BacktestResult:
    """Join the folds: one frame, one table of scores, two charts, and the parent MLflow run.

    Raises MissingStep if a fold is not complete, NothingToForecast if no fold had a symbol to forecast.
    """
    from pipeline.publishing.charts import backtest_png
    from pipeline.publishing.tables import backtest_tables
    from pipeline.tracking.backtests import log_summary

    made = [folds_of.made_of(run, fold) for fold in folds]
    frame = backtest_tables.in_order([folds_of.part_of(run, fold) for fold in folds])
    if frame.empty:
        reasons = context.reasons_by_symbol((row.symbol, row.reason) for record in made for row in record.withheld)
        raise NothingToForecast(f"no symbol can be forecast from {folds[0].first} to {folds[-1].last}: {reasons}")
    data = backtest_tables.as_parquet(frame)
    with run.making(FRAME) as path:
        path.write_bytes(data)
    if out is not None:
        backtest_tables.write(frame, out)
    summary = _summary(run, folds, made, frame, sha256=sha256_bytes(data))
    run.save(BACKTEST, summary)
    tags = _tags(run, try_number=try_number)
    with run.making(FIGURES) as folder, run.reading(FRAME) as path:
        figures = backtest_png.draw(summary, folder)
        logged = log_summary(
            run.settings,
            run.key,
            summary,
            tags=tags,
            figures=figures,
            frame=path,
            calendar=context.event_data_of(run),
        )
    return BacktestResult(
        **{field.name: getattr(summary, field.name) for field in fields(summary)},
        file=str(out or run.folder / FRAME.name),
        folder=str(run.folder),
        mlflow_run_id=logged.run_id,
        mlflow_url=logged.url(),
    )


def backtest_all(
    planned: BacktestPlan,
    *,
    known_at: datetime,
    out: Path | None = None,
    on_step: Callable[[str], None] | None = None,
    asked: Asked | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Run every step of a planned backtest in this process, one fold after the other.

    `on_step` gets the name of each step before it starts, `asked` the progress of the ingestion, `progress` that of
    each training.
    """
    run, folds = planned.run, planned.folds
    tell = on_step or (lambda _name: None)
    tell("ingest")
    ingest_all(planned, known_at=known_at, progress=asked)
    tell("events")
    ingest_events(run, known_at=known_at)
    tell("snapshot")
    backtest_snapshot(run, known_at=known_at)
    for fold in folds:
        tell(f"fold {fold.number} of {len(folds)}")
        backtest_fold(run, fold, progress=progress)
    tell("summary")
    return backtest_summary(run, folds, out=out)


def _summary(
    run: Run, folds: Sequence[FoldPlan], made: Sequence[FoldRecord], frame: pd.DataFrame, *, sha256: str
) -> BacktestSummary:
    from pipeline.evaluation.gate import best_baseline
    from pipeline.evaluation.walk_forward import by_session, gained

    network = run.settings.network
    heldout = folds_of.judged(run, read_snapshot(snapshot_of(run)), frame)
    scores, sessions = heldout.scores(LEVELS), by_session(heldout, LEVELS)
    best = best_baseline(scores.models, BASELINES)
    against = gained(sessions, network, best) if best is not None and network in sessions else None
    there = set(frame["symbol"])
    windows = frame.loc[frame["step"] == 1, ["symbol", "as_of"]].drop_duplicates()
    return BacktestSummary(
        first=folds[0].first,
        last=folds[-1].last,
        refit_every=run.settings.refit_every,
        network=network,
        best_baseline=best,
        data_digest=digest_of(run),
        rows=len(frame),
        windows={"forecast": len(windows), "scored": len(heldout.actual_NH)},
        without_forecast=[symbol for symbol in run.symbols if symbol not in there],
        withheld=exclusions.joined(row for record in made for row in record.withheld),
        folds=[
            FoldOutcome(
                number=fold.number, first=fold.first, last=fold.last,
                trained=record.trained, reason=record.reason, sha256=record.sha256,
            )
            for fold, record in zip(folds, made, strict=True)
        ],
        scores=scores,
        sessions=[str(session)[:10] for session in sessions.index],
        crps_bp={str(name): values.tolist() for name, values in sessions.items()},
        gained_bp=against.tolist() if against is not None else [],
        sha256=sha256,
    )  # fmt: skip


def _tags(run: Run, fold: FoldPlan | None = None, *, try_number: int | None = None) -> dict[str, str]:
    from pipeline.tracking.provenance import git_commit, run_tags

    settings = run.settings
    tags = run_tags(
        settings,
        as_of=date.fromisoformat(fold.first) if fold else run.as_of,
        symbols=run.symbols,
        commit=git_commit(Path(__file__).parent),
        provenance=run.provenance,
        try_number=try_number or 1,
    )
    if try_number is None:  # several tasks open this run
        tags.pop("airflow.try", None)
    if run.trial:
        tags["trial"] = "; ".join(run.trial)
    return tags | {"refit_every": str(settings.refit_every)}
