"""
### The daily forecast

After each session of the exchange this takes in the day's prices, retrains the forecaster, judges it on sessions it has
not seen, and publishes the range of the next sessions' prices for every symbol.

It runs once a session, when the session is complete (the close, on half days the early one, plus
`PIPELINE_CLOSE_DELAY_MINUTES`), and never on a holiday of `PIPELINE_EXCHANGE`. The run of a session has that day as its
logical date. Switched on, it runs the last complete session at once; sessions missed before that are for a backfill.

#### Its tasks
| task | what it does | what it leaves |
|---|---|---|
| `plan` | settles session, symbols and settings; skips the run where the source ends before the session | the plan |
| `ingest` | asks the source for prices, one task for each batch of symbols | bars in the database |
| `audit_and_snapshot` | judges every bar, freezes what was known as of the session | a Parquet file with its SHA-256 |
| `score` | scores earlier forecasts that have come due against what came | the record in MLflow |
| `train` | fits the network and forecasts the held-out sessions with it | the model on disk |
| `baseline` | forecasts them with a baseline, one task for each, while the network is trained | its forecasts on disk |
| `compare` | scores all of them on the same sessions | the scores on disk |
| `upload` | takes model, scores and figures to MLflow | an MLflow run and a model version |
| `judge` | lets the new model take over only if it beats the champion and the best baseline | the aliases |
| `forecast` | forecasts with the model that won | the forecast frame |
| `publish` | report, charts, Parquet, CSV, JSON; then points "latest" at them | the published folder |
| `tell` | tells by e-mail, Slack or a web address what came of the run; there only where one is set | |

Other DAGs can wait for the assets `prices`, `model` and `forecasts`; their events carry `as_of`, and that of a
trial's `forecasts` how it differs, as `trial`.

#### Where to look
*Forecasts* in the navigation shows the newest report, every session before it, each symbol's ranges with what came of
them, and the track record. A note on each run says what it published, or which task stopped it and why. The log of a
task tells in a few lines what it did; its last line is the reason if it failed or was skipped. The *Details* of
`train`, `compare`, `upload`, `judge` and `publish` lead to the MLflow run.

#### When a task fails
Each task is idempotent and may be tried again at any time. Airflow retries by itself, with growing pauses. What no
retry can fix (an unknown symbol, a file without its columns) fails at once; the note on the run and the last line of
the log say what to change: trigger a new run with it changed.

- `ingest`: the source is away or refuses. A scheduled run asks again by itself, after a rate limit 20 minutes later,
  for sessions that are not there yet 10 minutes later; the last try goes on with what came. Where nothing at all came,
  clear the failed batches once the source answers: what is stored is not asked for again. At most as many batches ask
  at once as the pool `prices` has slots.
- `audit_and_snapshot`, `score`, `forecast`: the database cannot be reached. Clear the task.
- `train`, `baseline`, `compare`: out of memory or time. Give it fewer training steps, or the worker more memory; clear
  the task.
- `upload`, `judge`: MLflow is away. Nothing is lost, model and scores are on disk. `upload` keeps trying for about an
  hour; after that clear it, and it goes on where it stopped. Training is not repeated.
- `publish`: the place to publish to cannot be written. The last published forecasts stay untouched. Clear the task.
- `tell`: the mail server, Slack or the address cannot be reached, or its connection is wrong (*Admin*, *Connections*,
  or `AIRFLOW_CONN_…`). The run is none the worse for it; clear the task to tell again.

#### By hand
The form's fields are all optional: left empty, a field is as set in the `PIPELINE_*` settings, and the run is for the
last complete session that the source has. A run whose settings or symbols differ from those is a *trial*: its edition
is published next to the session's standing one, labelled, and `latest`, the track record and the champion stay as they
are, unless *Make latest* is on. The same from a terminal:

    airflow dags trigger daily_forecast --conf '{"symbols": "AAPL, IBM", "as_of": "2013-02-28"}'

The session is chosen by `as_of`, not by the logical date.

#### The past
    airflow backfill create --dag-id daily_forecast --from-date 2013-02-25 --to-date 2013-02-28 --max-active-runs 1

runs the sessions from 25 to 28 February, in their order. With `--max-active-runs 1` each gives what a live run on that
day would have given, the champion of the day before included. Sessions that already have a run are left alone; add
`--reprocess-behavior failed` (or `completed`) to do them again.
"""

import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import _notifications
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
from airflow.sdk import Asset, Param, dag, get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from mlflow_run_link import leave_mlflow_run, with_mlflow_run
from session_timetable import ExchangeSessionTimetable

if TYPE_CHECKING:
    from pipeline.jobs.run import Run

PRICES = Asset(name="prices", uri="closing-bell://prices", group="closing-bell")
MODEL = Asset(name="model", uri="closing-bell://model", group="closing-bell")
FORECASTS = Asset(name="forecasts", uri="closing-bell://forecasts", group="closing-bell")

# Those of pipeline.modeling.baselines, written out so that reading this file stays cheap; a test compares.
BASELINES = ["random_walk", "ewma_historical", "garch"]
SHARED = shared_params()
PARAMS = {
    "symbols": SHARED["symbols"],
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="The last session the model may see, such as 2013-02-28. Empty: the last complete one.",
        section="What to forecast",
    ),
    "horizon": SHARED["horizon"],
    "source": SHARED["source"],
    "whole_history": Param(
        None,
        type=["null", "boolean"],
        title="Whole history",
        description="Ask for all history again, not just the new sessions, to find what was changed deep in the past.",
        section="How",
    ),
    "network": SHARED["network"],
    "retrain_every": Param(
        None,
        type=["null", "integer"],
        title="Retrain every",
        description="Sessions a champion serves before a network is trained again, 1 to 252; 1: train in this run.",
        section="How",
    ),
    "training_steps": SHARED["training_steps"],
    "make_latest": Param(
        None,
        type=["null", "boolean"],
        title="Make latest",
        description="Publish this run as the session's standing edition although its settings or symbols differ from "
        "the standing configuration. Off: such a run is a trial, published next to it.",
        section="How",
    ),
}


EXCHANGE = os.environ.get("PIPELINE_EXCHANGE") or "XNYS"


@dag(
    dag_id="daily_forecast",
    description="Prices in after the close; a judged range for the next sessions out",
    doc_md=__doc__,
    schedule=ExchangeSessionTimetable(
        exchange=EXCHANGE,
        close_delay_minutes=int(os.environ.get("PIPELINE_CLOSE_DELAY_MINUTES") or 30),
    ),
    catchup=False,
    max_active_runs=1,
    deadline=_notifications.deadline(EXCHANGE),
    default_args=DEFAULT_ARGS,
    params=checked(PARAMS),
    tags=["closing-bell", "forecast"],
)
def daily_forecast() -> None:
    @job(execution_timeout=timedelta(minutes=10))
    def plan(*, dag_run: Any = None, params: Any = None, ti: Any = None) -> list[list[str]]:
        """Settle session, symbols and settings of this run; skip it where the source ends before the session.

        Returns the batches of symbols to ingest; what every later task gets is the XCom `run`.
        """
        from pipeline import jobs

        form = filled_in(params, PARAMS)
        as_of = form.pop("as_of", None)
        form.pop("whole_history", None)  # a matter of `ingest` alone
        make_latest = bool(form.pop("make_latest", None))  # of `judge` and `publish`, and no setting
        planned = jobs.plan(
            as_of=date.fromisoformat(as_of) if as_of else None,
            interval_end=dag_run.data_interval_end,
            manual=dag_run.run_type.value not in ("scheduled", "backfill"),
            overrides=form,
            make_latest=make_latest,
            **request_of(dag_run),
        )
        return hand_on(planned, ti)

    @job(**INGESTING)
    def ingest(run: "Run", batch: list[str], *, params: Any = None, dag_run: Any = None, ti: Any = None) -> Any:
        """Ask the source for the prices of one batch of symbols and store what is new; a correction is a revision.

        What is missing is asked for again later, a rate limit later still. The last try, and a run by hand that
        somebody waits for, go on without it: such a symbol gets no forecast, and the report says why.
        """
        from pipeline import jobs

        scheduled = dag_run.run_type.value in ("scheduled", "backfill")
        return jobs.ingest(
            run,
            batch,
            known_at=datetime.now(UTC),
            whole=bool(params.get("whole_history")),
            last_try=not scheduled or ti.try_number > ti.max_tries,
            progress=log_progress,
        )

    @job(task_id="audit_and_snapshot", execution_timeout=timedelta(hours=1), outlets=[PRICES])
    def snapshot(run: "Run", *, outlet_events: Any = None) -> Any:
        """Give every bar a verdict and freeze what was known as of the session, under its SHA-256."""
        from pipeline import jobs

        outlet_events[PRICES].extra["as_of"] = run.as_of.isoformat()
        return jobs.snapshot(run, known_at=datetime.now(UTC))

    @job(execution_timeout=timedelta(minutes=30))
    def score(run: "Run") -> Any:
        """Score earlier forecasts whose sessions have come against the prices that came."""
        from pipeline import jobs

        return jobs.score(run)

    @job(execution_timeout=timedelta(hours=6), queue=TRAIN_QUEUE)
    def train(run: "Run") -> Any:
        """Fit the network and forecast the held-out sessions with it; to disk, MLflow is not touched."""
        from pipeline import jobs

        return jobs.train(run, progress=log_training)

    @job(execution_timeout=timedelta(hours=2), map_index_template="{{ task.op_kwargs['name'] }}")
    def baseline(run: "Run", name: str) -> Any:
        """Forecast the held-out sessions with one baseline; several workers do this while another trains."""
        from pipeline import jobs

        return jobs.baseline(run, name)

    @job(execution_timeout=timedelta(minutes=30))
    def compare(run: "Run") -> Any:
        """Score the network and every baseline on the same held-out sessions."""
        from pipeline import jobs

        return jobs.compare(run)

    # Nine tries over about an hour: long enough for MLflow to be restarted or moved.
    @job(execution_timeout=timedelta(minutes=30), retries=8)
    def upload(run: "Run", *, ti: Any = None) -> Any:
        """Take parameters, curves, scores, figures and the model to MLflow: one run there, however often tried."""
        from pipeline import jobs

        uploaded = jobs.upload(run, try_number=ti.try_number)
        leave_mlflow_run(uploaded.mlflow_url, ti, "train", "compare")
        return uploaded

    @job(execution_timeout=timedelta(minutes=30), outlets=[MODEL])
    def judge(run: "Run", *, outlet_events: Any = None) -> Any:
        """Let the new model take over only if it beats champion and best baseline on the same held-out sessions."""
        from pipeline import jobs

        outlet_events[MODEL].extra["as_of"] = run.as_of.isoformat()
        return jobs.judge(run)

    @job(execution_timeout=timedelta(minutes=30))
    def forecast(run: "Run") -> Any:
        """Forecast every symbol with the model that won; where none did, with the best baseline, and say so."""
        from pipeline import jobs

        return jobs.forecast(run)

    @job(execution_timeout=timedelta(minutes=30), outlets=[FORECASTS])
    def publish(run: "Run", *, outlet_events: Any = None) -> Any:
        """Write report, charts and tables aside, move them into place, and point "latest" at them."""
        from pipeline import jobs

        outlet_events[FORECASTS].extra["as_of"] = run.as_of.isoformat()
        published = jobs.publish(run, now=datetime.now(UTC))
        if not published.standing:
            outlet_events[FORECASTS].extra["trial"] = list(published.trial)
        return published

    # Last, whatever came of the others, and without a say in what becomes of the run.
    @job(execution_timeout=timedelta(minutes=5), map_index_template="{{ task.op_kwargs['channel'] }}")
    def tell(channel: str) -> None:
        """Tell those who want to be told what came of the run, over one channel."""
        told = _notifications.tell(channel, get_current_context())
        if told is None:
            raise AirflowSkipException("this run has found nothing to do, and so there is nothing to tell")

    batches = plan()
    run = batches["run"]
    published = with_mlflow_run(publish(run), made_by="upload")
    (
        ingest.partial(run=run).expand(batch=batches)
        >> snapshot(run)
        >> score(run)
        >> [with_mlflow_run(train(run)), baseline.partial(run=run).expand(name=BASELINES)]
        >> with_mlflow_run(compare(run))
        >> with_mlflow_run(upload(run))
        >> with_mlflow_run(judge(run), made_by="upload")
        >> forecast(run)
        >> published
    )
    if channels := _notifications.channels():
        published >> tell.expand(channel=channels).as_teardown()


daily_forecast()
