"""
### The backtest

Would it have worked? Walk-forward over past sessions: every so many sessions a new model is trained on what lay before
them, and forecasts from each of them, beside the baselines. Then all of it is scored at once.

It runs by hand only. Nothing is published and no model is registered: the daily forecast takes no notice of it.

#### Its tasks
| task | what it does | what it leaves |
|---|---|---|
| `plan` | settles sessions, folds, symbols and settings; refuses what cannot be met | the plan |
| `ingest` | asks the source for prices, one task for each batch of symbols | bars in the database |
| `snapshot` | judges every bar, freezes what is known as of the last session | a Parquet file with its SHA-256 |
| `fold` | one task for each fold: trains, then forecasts from each session | the fold's part, an MLflow run |
| `summary` | joins the parts, scores them, draws skill and coverage | `forecasts.parquet`, the MLflow run above |

The folds do not wait for each other: as many run at once as Airflow has room for. Results are in the MLflow experiment
`backtest`, and under `PIPELINE_HOME` in `runs/`, in the folder that the log of `summary` names.

#### By hand
*Trigger* asks for the first and the last day; the other fields are as set in the `PIPELINE_*` settings where they are
left empty. The same from a terminal:

    airflow dags trigger backtest --conf '{"from": "2012-06-01", "to": "2012-12-31", "refit_every": 63}'

Without Airflow: `python -m pipeline backtest --from 2012-06-01 --to 2012-12-31`.

#### When a task fails
Each task is idempotent and may be tried again at any time. An error in the request (too many folds, an unknown symbol)
fails `plan` at once; the note on the run and the last line of the log say what to change.

- `ingest`: the source is away or refuses. Clear it once the source answers; what is stored is not asked for again.
- `fold`: out of memory or time, or the worker died. Clear it, with fewer training steps in a new run if it must be. A
  fold that is done is not trained again: its part lies on disk with its SHA-256.
- `fold`, `summary`: MLflow is away. What was computed is on disk; both try again for about an hour, then clear them.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from _dag_common import (
    DEFAULT_ARGS,
    INGESTING,
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
        description="The last day to forecast from, such as 2012-12-31. No price after it is read, none scored.",
        section="What to forecast",
    ),
    "symbols": SHARED["symbols"],
    "horizon": SHARED["horizon"],
    "refit_every": Param(
        None,
        type=["null", "integer"],
        title="Refit every",
        description="How many sessions one model forecasts, 1 to 2000. Empty: as set in the settings.",
        section="How",
    ),
    "source": SHARED["source"],
    "network": SHARED["network"],
    "training_steps": SHARED["training_steps"],
}


@dag(
    dag_id="backtest",
    description="Would it have worked? Walk-forward over past sessions, by hand",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,  # nothing starts it but a person, whose run would wait for ever
    default_args=DEFAULT_ARGS,
    params=checked(PARAMS),
    tags=["closing-bell", "backtest"],
)
def backtest() -> None:
    @job(execution_timeout=timedelta(minutes=10))
    def plan(*, dag_run: Any = None, params: Any = None, ti: Any = None) -> list[list[str]]:
        """Settle sessions, folds, symbols and settings of this backtest, or say in one line what is wrong with it.

        Returns the batches of symbols to ingest; the XComs `run` and `folds` are for the later tasks.
        """
        from pipeline import jobs

        form = filled_in(params, PARAMS)
        first, last = (date.fromisoformat(form.pop(name)) for name in ("from", "to"))
        planned = jobs.plan_backtest(first=first, last=last, overrides=form, **request_of(dag_run))
        return hand_on(planned, ti)

    @job(**INGESTING)
    def ingest(run: "Run", batch: list[str]) -> Any:
        """Ask the source for the prices of one batch of symbols up to the last session, and store what is new."""
        from pipeline import jobs

        return jobs.ingest(run, batch, known_at=datetime.now(UTC), progress=log_progress)

    @job(execution_timeout=timedelta(hours=1))
    def snapshot(run: "Run", folds: "Sequence[FoldPlan]") -> list[dict[str, Any]]:
        """Give every bar a verdict and freeze the prices of all folds under their SHA-256. Returns the folds."""
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
        """Train on what lay before the fold, forecast from each of its sessions, and log both as a nested MLflow run.

        A fold that is done is not trained again.
        """
        from pipeline import jobs

        made = jobs.backtest_fold(run, fold, progress=log_training, try_number=ti.try_number)
        leave_mlflow_run(made.mlflow_url, ti)
        return made

    @job(execution_timeout=timedelta(hours=1), retries=8)
    def summary(run: "Run", folds: "Sequence[FoldPlan]", *, ti: Any = None) -> Any:
        """Put the folds together: one frame, scores beside the baselines, two pictures, one MLflow run above them."""
        from pipeline import jobs

        result = jobs.backtest_summary(run, folds, try_number=ti.try_number)
        leave_mlflow_run(result.mlflow_url, ti)
        return result.outputs()

    batches = plan()
    run = batches["run"]
    folds = snapshot(run, batches["folds"])
    ingest.partial(run=run).expand(batch=batches) >> folds
    folded = with_mlflow_run(fold.partial(run=run).expand(fold=folds))
    folded >> with_mlflow_run(summary(run, folds))


backtest()
