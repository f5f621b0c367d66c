"""The steps of a run, one function for each task of the DAG and each command of the terminal.

A step takes the run, reads the artifacts of the steps before it, works through the layers below, and leaves its own
result: in the database, in the run's folder, in MLflow or among the published files. Each step is idempotent. It
returns a typed result (`pipeline.jobs.results`), which is the task's XCom and the command's `--json`. No step reads a
clock.
"""

from pipeline.jobs.backtest.steps import backtest_all, backtest_fold, backtest_snapshot, backtest_summary, plan_backtest
from pipeline.jobs.daily_run import run_all
from pipeline.jobs.event_ingestion import ingest_events
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
    "ingest_events",
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
