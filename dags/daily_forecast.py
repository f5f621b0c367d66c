"""
### Daily forecast

After each session of the exchange this DAG ingests the day's prices, retrains the forecaster, evaluates it on held-out
sessions, and publishes a range for the prices of the next sessions, for every symbol.

It runs once per session, when the session is complete (the close, which is early on half days, plus
`PIPELINE_CLOSE_DELAY_MINUTES`), and never on a holiday of `PIPELINE_EXCHANGE`. The logical date of a run is its
session. When the DAG is unpaused, it runs the last complete session at once; earlier sessions need a backfill.

#### Tasks
| task | what it does | what it leaves |
|---|---|---|
| `plan` | resolves session, symbols and settings; skips the run if the source ends before the session | the plan |
| `ingest` | requests prices from the source, one task per batch of symbols | bars in the database |
| `ingest_events` | requests the scheduled events, in parallel; its failures stop nothing | events in the database |
| `audit_and_snapshot` | gives bars a verdict, freezes prices and events | Parquet files with their SHA-256 |
| `score` | scores earlier forecasts that have matured | the track record in MLflow |
| `train` | trains the network and forecasts the held-out sessions with it | the model on disk |
| `baseline` | the same with each baseline, one task each, in parallel with `train` | its forecasts on disk |
| `compare` | scores all models on the same sessions | the scores on disk |
| `upload` | uploads model, scores and figures to MLflow | an MLflow run and a model version |
| `judge` | promotes the new network only if it beats the champion and the best baseline | the aliases |
| `forecast` | forecasts with the model that the gate chose | the forecast frame |
| `publish` | writes report, charts, Parquet, CSV and JSON; then moves `latest` | the published folder |
| `tell` | reports the outcome by e-mail, Slack or webhook; present only if a channel is set | |

Other DAGs can be scheduled on the assets `prices`, `model` and `forecasts`. Their events carry `as_of`; the event of a
trial's `forecasts` also carries, as `trial`, how its settings differ.

#### Monitoring
*Forecasts* in the navigation shows the newest report, all earlier sessions, the ranges of each symbol with their
outcomes, and the track record. A note on each run says what it published, or which task stopped it and why. The log of
a task sums up in a few lines what it did; if it failed or was skipped, its last line is the reason. The *Details* of
`train`, `compare`, `upload`, `judge` and `publish` link to the MLflow run.

#### When a task fails
Every task is idempotent and can be cleared at any time. Airflow retries with increasing delays. An error that no retry
can fix (an unknown symbol, a file without its columns) fails at once; the note on the run and the last line of the log
say what to change: then trigger a new run.

- `ingest`: the source is unreachable or refuses requests. A scheduled run retries: 20 minutes after a rate limit, 10
  minutes later for sessions that are not available yet; the last try proceeds with the prices it has. If there are no
  prices at all, clear the failed batches once the source responds: stored bars are not requested again. The slots of
  the pool `prices` limit how many batches send requests at once.
- `audit_and_snapshot`, `score`, `forecast`: the database is unreachable. Clear the task.
- `train`, `baseline`, `compare`: out of memory or time. Use fewer training steps, or give the worker more memory; clear
  the task.
- `upload`, `judge`: MLflow is unreachable. Nothing is lost: model and scores are on disk. `upload` retries for about an
  hour; after that clear it, and it resumes where it stopped. Training is not repeated.
- `publish`: the target cannot be written. The last published forecasts stay unchanged. Clear the task.
- `tell`: the mail server, Slack or the webhook is unreachable, or its connection is wrong (*Admin*, *Connections*, or
  `AIRFLOW_CONN_…`). The run itself is not affected; clear the task to send the message again.

#### Manual runs
All fields of the form are optional. An empty field takes its value from the `PIPELINE_*` settings, and the run is for
the last complete session that the source has. A run whose settings or symbols differ from those is a *trial*: its
edition is published next to the session's standing one and labelled, and `latest`, the track record and the champion do
not change, unless *Make latest* is on. The same from a terminal:

    airflow dags trigger daily_forecast --conf '{"symbols": "AAPL, IBM", "as_of": "2013-02-28"}'

The session is chosen by `as_of`, not by the logical date.

#### Backfills
    airflow backfill create --dag-id daily_forecast --from-date 2013-02-25 --to-date 2013-02-28 --max-active-runs 1

runs the sessions from 25 to 28 February in order. With `--max-active-runs 1` each run gives what a live run on that
day would have given, including the champion of the day before. Sessions that already have a run are left unchanged; add
`--reprocess-behavior failed` (or `completed`) to run them again.
"""

import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import _notifications
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
from airflow.sdk import Asset, Param, dag, get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from mlflow_run_link import leave_mlflow_run, with_mlflow_run
from session_timetable import ExchangeSessionTimetable

if TYPE_CHECKING:
    from pipeline.jobs.run import Run

PRICES = Asset(name="prices", uri="closing-bell://prices", group="closing-bell")
MODEL = Asset(name="model", uri="closing-bell://model", group="closing-bell")
FORECASTS = Asset(name="forecasts", uri="closing-bell://forecasts", group="closing-bell")

# Those of pipeline.forecast_schema, repeated here so that parsing this file stays cheap; a test compares them.
BASELINE_FAMILIES = ["random_walk", "ewma_historical", "garch"]
SHARED = shared_params()
PARAMS = {
    "symbols": SHARED["symbols"],
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="The last session that the model sees, such as 2013-02-28. Empty: the last complete session.",
        section="What to forecast",
    ),
    "horizon": SHARED["horizon"],
    "source": SHARED["source"],
    "whole_history": Param(
        None,
        type=["null", "boolean"],
        title="Whole history",
        description="Request all history again, not just the new sessions, to find late corrections of old prices.",
        section="How",
    ),
    "network": SHARED["network"],
    "retrain_every": Param(
        None,
        type=["null", "integer"],
        title="Retrain every",
        description="Sessions that a champion serves before a network is trained again, 1 to 252; 1: train now.",
        section="How",
    ),
    "training_steps": SHARED["training_steps"],
    "make_latest": Param(
        None,
        type=["null", "boolean"],
        title="Make latest",
        description="Publish this run as the session's standing edition although its settings or symbols differ from "
        "the standing configuration. Off: such a run is a trial, published next to the standing edition.",
        section="How",
    ),
}


EXCHANGE = os.environ.get("PIPELINE_EXCHANGE") or "XNYS"


@dag(
    dag_id="daily_forecast",
    description="After each close: ingest prices, evaluate the models, publish ranges for the next sessions",
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
        """Resolve session, symbols and settings of this run; skip it if the source ends before the session.

        Returns the batches of symbols to ingest. Every later task gets the XCom `run`.
        """
        from pipeline import jobs
        from pipeline.config import Overrides

        form = filled_in(params, PARAMS)
        as_of = form.pop("as_of", None)
        form.pop("whole_history", None)  # used by `ingest` only
        make_latest = bool(form.pop("make_latest", None))  # used by `judge` and `publish`; not a setting
        planned = jobs.plan(
            as_of=date.fromisoformat(as_of) if as_of else None,
            interval_end=dag_run.data_interval_end,
            manual=dag_run.run_type.value not in ("scheduled", "backfill"),
            overrides=Overrides(form),
            make_latest=make_latest,
            **request_of(dag_run),
        )
        return hand_on(planned, ti)

    @job(**INGESTING)
    def ingest(run: "Run", batch: list[str], *, params: Any = None, dag_run: Any = None, ti: Any = None) -> Any:
        """Request the prices of one batch of symbols and store what is new; a correction becomes a revision.

        A scheduled run retries missing prices later, and even later after a rate limit. The last try, and every manual
        run, proceed with what there is: a symbol without prices gets no forecast, and the report says why.
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

    @job(execution_timeout=timedelta(minutes=30), pool=PRICE_POOL)
    def ingest_events(run: "Run") -> Any:
        """Request the scheduled events of the run's symbols, and store what was announced, moved or cancelled.

        A source that fails is named in the log, and the run goes on with the events that are known.
        """
        from pipeline import jobs

        return jobs.ingest_events(run, known_at=datetime.now(UTC))

    @job(task_id="audit_and_snapshot", execution_timeout=timedelta(hours=1), outlets=[PRICES])
    def snapshot(run: "Run", *, outlet_events: Any = None) -> Any:
        """Give every bar a verdict and freeze the prices as known for the session, identified by their SHA-256."""
        from pipeline import jobs

        outlet_events[PRICES].extra["as_of"] = run.as_of.isoformat()
        return jobs.snapshot(run, known_at=datetime.now(UTC))

    @job(execution_timeout=timedelta(minutes=30))
    def score(run: "Run") -> Any:
        """Score earlier forecasts that have matured against the actual prices."""
        from pipeline import jobs

        return jobs.score(run)

    @job(execution_timeout=timedelta(hours=6), queue=TRAIN_QUEUE)
    def train(run: "Run") -> Any:
        """Train the network and forecast the held-out sessions with it. Results stay on disk; MLflow is not used."""
        from pipeline import jobs

        return jobs.train(run, progress=log_training)

    @job(execution_timeout=timedelta(hours=2), map_index_template="{{ task.op_kwargs['family'] }}")
    def baseline(run: "Run", family: str) -> Any:
        """Forecast the held-out sessions with the baselines of one family, in parallel with the training."""
        from pipeline import jobs

        return jobs.baseline(run, family)

    @job(execution_timeout=timedelta(minutes=30))
    def compare(run: "Run") -> Any:
        """Score the network and every baseline on the same held-out sessions."""
        from pipeline import jobs

        return jobs.compare(run)

    # Nine tries over about an hour: long enough for MLflow to be restarted or moved.
    @job(execution_timeout=timedelta(minutes=30), retries=8)
    def upload(run: "Run", *, ti: Any = None) -> Any:
        """Upload parameters, curves, scores, figures and the model to MLflow: one MLflow run, also after retries."""
        from pipeline import jobs

        uploaded = jobs.upload(run, try_number=ti.try_number)
        leave_mlflow_run(uploaded.mlflow_url, ti, "train", "compare")
        return uploaded

    @job(execution_timeout=timedelta(minutes=30), outlets=[MODEL])
    def judge(run: "Run", *, outlet_events: Any = None) -> Any:
        """Promote the new network only if it beats the champion and the best baseline on the same held-out sessions."""
        from pipeline import jobs

        outlet_events[MODEL].extra["as_of"] = run.as_of.isoformat()
        return jobs.judge(run)

    @job(execution_timeout=timedelta(minutes=30))
    def forecast(run: "Run") -> Any:
        """Forecast every symbol with the model that the gate chose: a network, or else the best baseline."""
        from pipeline import jobs

        return jobs.forecast(run)

    @job(execution_timeout=timedelta(minutes=30), outlets=[FORECASTS])
    def publish(run: "Run", *, outlet_events: Any = None) -> Any:
        """Write report, charts and tables, move them into place in one step, and point `latest` at them."""
        from pipeline import jobs

        outlet_events[FORECASTS].extra["as_of"] = run.as_of.isoformat()
        published = jobs.publish(run, now=datetime.now(UTC))
        if not published.standing:
            outlet_events[FORECASTS].extra["trial"] = list(published.trial)
        return published

    # Last, whether the other tasks succeeded or failed, and without effect on the state of the run.
    @job(execution_timeout=timedelta(minutes=5), map_index_template="{{ task.op_kwargs['channel'] }}")
    def tell(channel: str) -> None:
        """Send the outcome of the run over one notification channel."""
        if _notifications.notify(channel, get_current_context()) is None:
            raise AirflowSkipException("the run found nothing to do, so there is nothing to report")

    batches = plan()
    run = batches["run"]
    published = with_mlflow_run(publish(run), made_by="upload")
    (
        [ingest.partial(run=run).expand(batch=batches), ingest_events(run)]
        >> snapshot(run)
        >> score(run)
        >> [with_mlflow_run(train(run)), baseline.partial(run=run).expand(family=BASELINE_FAMILIES)]
        >> with_mlflow_run(compare(run))
        >> with_mlflow_run(upload(run))
        >> with_mlflow_run(judge(run), made_by="upload")
        >> forecast(run)
        >> published
    )
    if channels := _notifications.channels():
        published >> tell.expand(channel=channels).as_teardown()


daily_forecast()
