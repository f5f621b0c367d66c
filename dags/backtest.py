"""
### Backtest

A walk-forward backtest over past sessions: at a fixed interval a new model is trained on earlier data only and
forecasts from each session of the interval, as do the baselines. Then all forecasts are scored together.

It runs only when triggered. Nothing is published and no model is registered: the daily forecast is not affected.

#### Tasks
| task | what it does | what it leaves |
|---|---|---|
| `plan` | resolves sessions, folds, symbols and settings; refuses an impossible request | the plan |
| `ingest` | requests prices from the source, one task per batch of symbols | bars in the database |
| `ingest_events` | requests the scheduled events, in parallel; its failures stop nothing | events in the database |
| `snapshot` | gives every bar a verdict, freezes the prices as of the last session | a Parquet file with its SHA-256 |
| `fold` | one task per fold: trains, then forecasts from each session | the fold's forecasts, an MLflow run |
| `summary` | joins and scores the forecasts, draws skill and coverage | `forecasts.parquet`, the parent MLflow run |

Folds are independent: as many run at once as Airflow has slots. Results are in the MLflow experiment `backtest`, and
under `PIPELINE_HOME` in `runs/`, in the folder that the log of `summary` names.

#### Trigger a backtest
*Trigger* asks for the first and the last day; an empty field takes its value from the `PIPELINE_*` settings. The same
from a terminal:

    airflow dags trigger backtest --conf '{"from": "2012-06-01", "to": "2012-12-31", "refit_every": 63}'

Without Airflow: `closing-bell backtest --from 2012-06-01 --to 2012-12-31`.

#### When a task fails
Every task is idempotent and can be cleared at any time. An error in the request (too many folds, an unknown symbol)
fails `plan` at once; the note on the run and the last line of the log say what to change.

- `ingest`: the source is unreachable or refuses requests. Clear it once the source responds; stored bars are not
  requested again.
- `fold`: out of memory or time, or the worker died. Clear it; if it fails again, start a new run with fewer training
  steps. A completed fold is not trained again: its forecasts are on disk with their SHA-256.
- `fold`, `summary`: MLflow is unreachable. What was computed is on disk; both retry for about an hour, then clear them.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from _dag_common import (
    DEFAULT_ARGS,
    INGESTING,
    PRICE_POOL,
    TRAIN_QUEUE,
    checked,
    filled_in,
    hand_on,
    job,
    log_progress,
    log_training,
    request_of,
    shared_params,
)
from airflow.sdk import Param, dag
from mlflow_run_link import leave_mlflow_run, with_mlflow_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.evaluation.backtest_results import FoldPlan
    from pipeline.jobs.run import Run

SHARED = shared_params()
PARAMS = {
    "from": Param(
        type="string",
        format="date",
        title="From",
        description="The first day to forecast from, such as 2012-06-01.",
        section="What to forecast",
    ),
    "to": Param(
        type="string",
        format="date",
        title="To",
        description="The last day to forecast from, such as 2012-12-31. No later price is read or scored.",
        section="What to forecast",
    ),
    "symbols": SHARED["symbols"],
    "horizon": SHARED["horizon"],
    "refit_every": Param(
        None,
        type=["null", "integer"],
        title="Refit every",
        description="Number of sessions that one model forecasts, 1 to 2000. Empty: the value of the settings.",
        section="How",
    ),
    "source": SHARED["source"],
    "network": SHARED["network"],
    "training_steps": SHARED["training_steps"],
}


@dag(
    dag_id="backtest",
    description="Walk-forward backtest over past sessions, started manually",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,  # it is only triggered manually, and a run of a paused DAG would never start
    default_args=DEFAULT_ARGS,
    params=checked(PARAMS),
    tags=["closing-bell", "backtest"],
)
def backtest() -> None:
    @job(execution_timeout=timedelta(minutes=10))
    def plan(*, dag_run: Any = None, params: Any = None, ti: Any = None) -> list[list[str]]:
        """Resolve sessions, folds, symbols and settings of this backtest, or fail with a one-line reason.

        Returns the batches of symbols to ingest; later tasks get the XComs `run` and `folds`.
        """
        from pipeline import jobs
        from pipeline.config import Overrides

        form = filled_in(params, PARAMS)
        first, last = (date.fromisoformat(form.pop(name)) for name in ("from", "to"))
        planned = jobs.plan_backtest(first=first, last=last, overrides=Overrides(form), **request_of(dag_run))
        return hand_on(planned, ti)

    @job(**INGESTING)
    def ingest(run: "Run", batch: list[str]) -> Any:
        """Request the prices of one batch of symbols up to the last session, and store what is new."""
        from pipeline import jobs

        return jobs.ingest(run, batch, known_at=datetime.now(UTC), progress=log_progress)

    @job(execution_timeout=timedelta(minutes=30), pool=PRICE_POOL)
    def ingest_events(run: "Run") -> Any:
        """Request the scheduled events of the run's symbols up to the last session, and store what is new.

        A source that fails is named in the log, and the run goes on with the events that are known.
        """
        from pipeline import jobs

        return jobs.ingest_events(run, known_at=datetime.now(UTC))

    @job(execution_timeout=timedelta(hours=1))
    def snapshot(run: "Run", folds: "Sequence[FoldPlan]") -> list[dict[str, Any]]:
        """Give every bar a verdict and freeze the prices of all folds. Returns the folds."""
        from pipeline import jobs
        from pipeline.storage.documents import to_document

        jobs.backtest_snapshot(run, known_at=datetime.now(UTC))
        return [to_document(fold) for fold in folds]

    # Nine tries over about an hour: long enough for MLflow to be restarted or moved.
    @job(
        execution_timeout=timedelta(hours=6),
        retries=8,
        queue=TRAIN_QUEUE,
        map_index_template="{{ task.op_kwargs['fold']['first'] }} … {{ task.op_kwargs['fold']['last'] }}",
    )
    def fold(run: "Run", fold: "FoldPlan", *, ti: Any = None) -> Any:
        """Train on data from before the fold, forecast from each of its sessions, and log a nested MLflow run.

        A completed fold is reused.
        """
        from pipeline import jobs

        made = jobs.backtest_fold(run, fold, progress=log_training, try_number=ti.try_number)
        leave_mlflow_run(made.mlflow_url, ti)
        return made

    @job(execution_timeout=timedelta(hours=1), retries=8)
    def summary(run: "Run", folds: "Sequence[FoldPlan]", *, ti: Any = None) -> Any:
        """Join the folds: one frame, scores of all models on the same windows, two charts, the parent MLflow run."""
        from pipeline import jobs

        result = jobs.backtest_summary(run, folds, try_number=ti.try_number)
        leave_mlflow_run(result.mlflow_url, ti)
        return result.outputs()

    batches = plan()
    run = batches["run"]
    folds = snapshot(run, batches["folds"])
    [ingest.partial(run=run).expand(batch=batches), ingest_events(run)] >> folds
    folded = with_mlflow_run(fold.partial(run=run).expand(fold=folds))
    folded >> with_mlflow_run(summary(run, folds))


backtest()
