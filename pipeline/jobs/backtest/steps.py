"""The backtest's steps: settle the folds, do one, put them together."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSession, BadSetting, NothingToForecast
from pipeline.evaluation.model_scores import scores_of
from pipeline.forecast_schema import BASELINES, LEVELS
from pipeline.jobs import context
from pipeline.jobs.backtest import exclusions
from pipeline.jobs.backtest import folds as one_fold
from pipeline.jobs.context import Asked, Progress, Summary, digest_of, snapshot_of
from pipeline.jobs.planning import plan
from pipeline.jobs.price_ingestion import ingest_all
from pipeline.jobs.run import Run
from pipeline.jobs.snapshots import snapshot
from pipeline.prices.sources import open_source
from pipeline.prices.store.snapshot import read_snapshot
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.documents import to_document

_FRAME = "forecasts.parquet"
MOST_FOLDS = 1000  # Airflow maps a task over no more than 1024


def plan_backtest(
    *,
    key: str | None,
    now: datetime,
    first: date,
    last: date,
    overrides: Mapping[str, Any],
    provenance: Mapping[str, str],
) -> Summary:
    """Settle what a request means. Returns the run (as of the last session), the batches to ingest, and the folds.

    Raises BadSession where there is no session from `first` to `last` or no history for one of them, BadSetting for too
    many folds, and what `plan` raises.
    """
    from pipeline.evaluation.walk_forward import walk

    settings = Settings.load(**overrides)
    if last > now.date():
        raise BadSession(f"the backtest's last day {last} is in the future; choose one that is over")
    sessions = settings.clock.sessions.between(first, last)
    if not sessions:
        raise BadSession(f"{settings.exchange} has no session from {first} to {last}; the first day comes first")
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
    if key is None:  # the same sessions with another beginning or interval are another backtest
        run = Run.from_dict(planned["run"])
        name = f"backtest__{sessions[0]}__{settings.refit_every}__{run.key}"
        planned["run"] = replace(run, key=name).to_dict()
    return {**planned, "folds": folds}


def backtest_snapshot(run: Mapping[str, Any], *, known_at: datetime) -> Summary:
    """Freeze the prices of all folds. Doubt about the last session is no reason to stop here."""
    with suppress(NothingToForecast):
        return snapshot(run, known_at=known_at)
    this = Run.from_dict(run)
    return this.read("snapshot", made_by="ingest")


def backtest_fold(
    run: Mapping[str, Any], fold: Mapping[str, Any], *, progress: Progress | None = None, try_number: int = 1
) -> Summary:
    """Train the fold's model, forecast from each of its sessions with it and the baselines, and log it to MLflow.

    A fold that is kept whole, made by the same code from the same prices and settings, is not made again.
    """
    from pipeline.tracking.backtests import log_fold

    this = Run.from_dict(run)
    kept = one_fold.kept(this, fold)
    made = kept or one_fold.make(this, fold, progress)
    logged = log_fold(
        this.settings,
        this.key,
        fold,
        made,
        tags=_tags(this, fold, try_number=try_number),
        parent_tags=_tags(this),
        snapshot=snapshot_of(this),
    )
    crps = {name: round(values.crps_bp, 2) for name, values in scores_of(made["scores"]).models.items()}
    told = {"trained": made["trained"], "reason": made["reason"], "anew": kept is None, "crps_bp": crps}
    return {**told, "mlflow_url": logged.url()}


def backtest_summary(
    run: Mapping[str, Any], folds: Sequence[Mapping[str, Any]], *, out: Path | None = None, try_number: int = 1
) -> Summary:
    """Put the folds together: one frame, one table of scores, two pictures, one MLflow run above those of the folds.

    Raises MissingStep where a fold is not done, NothingToForecast where none had a symbol to forecast.
    """
    from pipeline.publishing.charts import backtest_png
    from pipeline.publishing.tables import backtest_tables
    from pipeline.tracking.backtests import log_summary

    this = Run.from_dict(run)
    made = [one_fold.made_of(this, fold) for fold in folds]
    frame = backtest_tables.in_order([one_fold.part_of(this, fold) for fold in folds])
    if frame.empty:
        span, rows = f"{folds[0]['first']} to {folds[-1]['last']}", [row for one in made for row in one["withheld"]]
        raise NothingToForecast(f"no symbol can be forecast from {span}: {context.reasons_by_symbol(rows)}")
    data = backtest_tables.as_parquet(frame)
    this.kept.write(_FRAME, data)
    if out is not None:
        backtest_tables.write(frame, out)
    result = {**_result(this, folds, made, frame), "sha256": sha256_bytes(data)}
    this.write("backtest", result)
    tags = _tags(this, try_number=try_number)
    with this.kept.making("figures") as folder, this.reading(_FRAME, made_by="backtest") as path:
        figures = backtest_png.draw(result, folder)
        logged = log_summary(this.settings, this.key, result, tags=tags, figures=figures, frame=path)
    file = str(out or this.kept / _FRAME)
    return {
        **result,
        "file": file,
        "folder": str(this.kept),
        "mlflow_run_id": logged.run_id,
        "mlflow_url": logged.url(),
    }


def backtest_all(
    planned: Mapping[str, Any],
    *,
    known_at: datetime,
    out: Path | None = None,
    on_step: Callable[[str], None] | None = None,
    asked: Asked | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Do every step of a planned backtest in this process, one fold after the other.

    `on_step` is told the name of each before it begins, `asked` how far the ingestion is, `progress` each training.
    """
    run, folds = planned["run"], planned["folds"]
    tell = on_step or (lambda _name: None)
    tell("ingest")
    ingest_all(planned, known_at=known_at, progress=asked)
    tell("snapshot")
    backtest_snapshot(run, known_at=known_at)
    for fold in folds:
        tell(f"fold {fold['number']} of {len(folds)}")
        backtest_fold(run, fold, progress=progress)
    tell("summary")
    return backtest_summary(run, folds, out=out)


def _result(
    this: Run, folds: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]], frame: pd.DataFrame
) -> Summary:
    """Return what backtest.json holds: the scores, CRPS session by session, the folds, who was left out."""
    from pipeline.evaluation.gate import best_baseline
    from pipeline.evaluation.walk_forward import by_session, gained

    network = this.settings.network
    heldout = one_fold.judged(this, read_snapshot(snapshot_of(this)), frame)
    scores, sessions = heldout.scores(LEVELS), by_session(heldout, LEVELS)
    best = best_baseline(scores.models, BASELINES)
    against = gained(sessions, network, best) if best is not None and network in sessions else None
    there = set(frame["symbol"])
    windows = frame.loc[frame["step"] == 1, ["symbol", "as_of"]].drop_duplicates()
    return {
        "first": folds[0]["first"],
        "last": folds[-1]["last"],
        "refit_every": this.settings.refit_every,
        "network": network,
        "best_baseline": best,
        "data_digest": digest_of(this),
        "rows": len(frame),
        "windows": {"forecast": len(windows), "scored": len(heldout.actual_NH)},
        "without_forecast": [symbol for symbol in this.symbols if symbol not in there],
        "withheld": exclusions.joined(row for one in made for row in one["withheld"]),
        "folds": [
            {**fold, **{name: one[name] for name in ("trained", "reason", "sha256")}}
            for fold, one in zip(folds, made, strict=True)
        ],
        "scores": to_document(scores),
        "sessions": [str(session)[:10] for session in sessions.index],
        "crps_bp": {name: values.tolist() for name, values in sessions.items()},
        "gained_bp": against.tolist() if against is not None else [],
    }


def _tags(this: Run, fold: Mapping[str, Any] | None = None, *, try_number: int | None = None) -> dict[str, str]:
    from pipeline.tracking.provenance import git_commit, run_tags

    settings = this.settings
    tags = run_tags(
        settings,
        as_of=date.fromisoformat(fold["first"]) if fold else this.as_of,
        symbols=this.symbols,
        commit=git_commit(Path(__file__).parent),
        provenance=this.provenance,
        try_number=try_number or 1,
    )
    if try_number is None:  # of a run that several tasks open
        tags.pop("airflow.try", None)
    if this.trial:
        tags["trial"] = "; ".join(this.trial)
    return tags | {"refit_every": str(settings.refit_every)}
