"""The steps of a run, one function for each task of the DAG and each command of the terminal.

A step reads what the steps before it left, does its work through the layers below, and leaves its own result: in the
database, in the run's folder, in MLflow or among the published files. Each may be repeated: twice equals once.
What it returns is a few words and numbers for the log. No step reads a clock.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pipeline.jobs.backtest.steps import backtest_all, backtest_fold, backtest_snapshot, backtest_summary, plan_backtest
from pipeline.jobs.context import Asked, Progress, Summary
from pipeline.jobs.forecasts import forecast
from pipeline.jobs.gating import judge
from pipeline.jobs.network_training import baseline, compare, train, train_all
from pipeline.jobs.planning import plan
from pipeline.jobs.price_ingestion import ingest, ingest_all
from pipeline.jobs.publication import publish
from pipeline.jobs.scoring import score
from pipeline.jobs.snapshots import snapshot
from pipeline.jobs.uploading import upload

__all__ = [
    "backtest_all",
    "backtest_fold",
    "backtest_snapshot",
    "backtest_summary",
    "baseline",
    "compare",
    "forecast",
    "ingest",
    "ingest_all",
    "judge",
    "plan",
    "plan_backtest",
    "publish",
    "run_all",
    "score",
    "snapshot",
    "train",
    "train_all",
    "upload",
]


def run_all(
    planned: Mapping[str, Any],
    *,
    known_at: datetime,
    progress: Progress | None = None,
    asked: Asked | None = None,
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Summary]:
    """Do every step of a planned run in this process.

    `on_step` is told the name of each before it begins, `asked` how far the ingestion is, `progress` the training.
    """
    run = planned["run"]
    tell = on_step or (lambda _name: None)
    results: dict[str, Summary] = {}
    tell("ingest")
    results["ingest"] = ingest_all(planned, known_at=known_at, progress=asked)
    steps: dict[str, Callable[[], Summary]] = {
        "snapshot": lambda: snapshot(run, known_at=known_at),
        "score": lambda: score(run),
        "train": lambda: train_all(run, progress=progress),
        "upload": lambda: upload(run),
        "judge": lambda: judge(run),
        "forecast": lambda: forecast(run),
        "publish": lambda: publish(run, now=known_at),
    }
    for name, step in steps.items():
        tell(name)
        results[name] = step()
    return results
