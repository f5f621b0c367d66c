"""Shared by the DAGs: the task decorator, the common form fields, and the name of a run.

Nothing of the pipeline is imported while a DAG file is parsed: a task imports what it needs when it runs.
"""

import functools
import hashlib
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from _endings import ending_with_reason
from airflow.sdk import ExceptionRetryPolicy, Param, RetryRule, task
from form_checks import FIELDS, format_of

if TYPE_CHECKING:
    from pipeline.jobs.results import Plan

# A task waits 30 s, 1, 2 … minutes between tries; an error that no retry can fix fails at once (see `_endings`).
DEFAULT_ARGS = {
    "owner": "closing-bell",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}

# Limits how many tasks send requests to the source at once. `make run` creates it; elsewhere:
# `airflow pools set prices 2 ''`.
PRICE_POOL = "prices"
# The queue of training tasks, so that workers with a GPU can serve them. Only Celery uses queues.
TRAIN_QUEUE = "train"
# After a rate limit the next try waits longer than for prices that are late.
LATER = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception="pipeline.errors.RateLimited", retry_delay=timedelta(minutes=20)),
        RetryRule(exception="pipeline.errors.NoData", retry_delay=timedelta(minutes=10)),
    ]
)

# Options of a task that requests the prices of one batch of symbols.
INGESTING = {
    "execution_timeout": timedelta(hours=2),
    "map_index_template": "{{ task.op_kwargs['batch'][0] }} … {{ task.op_kwargs['batch'][-1] }}",
    "pool": PRICE_POOL,
    "retry_policy": LATER,
}

AS_SET = {"null": "from the settings"}


def checked(form: Mapping[str, Param]) -> dict[str, Param]:
    """Return a form whose fields Airflow validates by `pipeline.jobs.trigger_form`, however a run is created."""
    for name, param in form.items():
        if name in FIELDS:
            param.schema["allOf"] = [{"format": format_of(name)}]
    return dict(form)


def shared_params() -> dict[str, Param]:
    """Return the fields that several forms have, new for each DAG, since a run leaves its values in them.

    Their limits are in the descriptions only: with limits in the schema the form would silently change a number to the
    nearest allowed one, and show users a regular expression. `checked` adds validation with readable messages.
    """
    return {
        "symbols": Param(
            None,
            type=["null", "string"],
            title="Symbols",
            description="Comma-separated, such as AAPL, IBM; at most 20,000. Empty: those of the settings, or all "
            "symbols of the source.",
            section="What to forecast",
        ),
        "horizon": Param(
            None,
            type=["null", "integer"],
            title="Horizon",
            description="Number of sessions to forecast, 1 to 60. Empty: the value of the settings.",
            section="What to forecast",
        ),
        "source": Param(
            None,
            type=["null", "string"],
            enum=[None, "sample", "yahoo", "files"],
            values_display=AS_SET
            | {
                "sample": "sample: real prices of five stocks, 2000 to 2013",
                "yahoo": "yahoo: live prices of the symbols above",
                "files": "files: your own price files, PIPELINE_FILES",
            },
            title="Source",
            description="The source of prices.",
            section="How",
        ),
        "network": Param(
            None,
            type=["null", "string"],
            enum=[None, "lstm", "rnn", "mlp"],
            values_display=AS_SET,
            title="Network",
            description="The type of network to train.",
            section="How",
        ),
        "training_steps": Param(
            None,
            type=["null", "integer"],
            title="Training steps",
            description="Training budget in optimizer steps, 1 to 100000. Empty: the value of the settings.",
            section="How",
        ),
    }


def job(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of a task that calls the pipeline; its docstring becomes the task's page in the UI.

    The function gets the XComs of the plan as the pipeline's types, and what it returns is logged and becomes an XCom.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        own = ending_with_reason(timed()(exchanging_documents(function)))
        # The docstring is passed explicitly, since a mapped task does not use its own; the log has the result in words.
        page = inspect.getdoc(function)
        return task(multiple_outputs=False, doc_md=page, show_return_value_in_logs=False, **options)(own)

    return decorate


def exchanging_documents(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task's function that takes and returns XComs where `function` takes and returns the pipeline's types.

    The arguments `run`, `fold` and `folds` are converted here and nowhere else. A result of the pipeline is logged in a
    few lines and returned as its document; any other value is returned as it is.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        from pipeline.storage.documents import to_document

        arguments = signature.bind(*args, **options).arguments
        result = function(**{name: _from_xcom(name, value) for name, value in arguments.items()})
        if not is_dataclass(result):
            return result
        log_result(result)
        return to_document(result)

    return wrapped


def _from_xcom(name: str, value: Any) -> Any:
    from pipeline.evaluation.backtest_results import FoldPlan
    from pipeline.jobs.run import Run
    from pipeline.storage.documents import from_document

    def read(kind: type[Any], document: Any) -> Any:
        return from_document(kind, document, where=f"the XCom `{name}`", remedy="clear the task `plan`")

    if name == "run":
        return read(Run, value)
    if name == "fold":
        return read(FoldPlan, value)
    if name == "folds":
        return [read(FoldPlan, document) for document in value]
    return value


def log_result(result: object) -> None:
    """Log in a few lines what a step of the pipeline did."""
    from pipeline.jobs import task_log

    for line in task_log.lines(result):
        logging.getLogger(__name__).info(line)


@contextmanager
def timed() -> Iterator[None]:
    """Log how long the pipeline worked; the rest of a task's duration is Airflow's."""
    began = time.monotonic()
    try:
        yield
    finally:
        logging.getLogger(__name__).info("worked for %.1f s", time.monotonic() - began)


def log_progress(done: int, total: int, symbol: str) -> None:
    """Log every 25 symbols how many have been requested."""
    if done and (done % 25 == 0 or done == total):
        logging.getLogger(__name__).info(
            "requested %d of %d symbols%s", done, total, f", next {symbol}" if symbol else ""
        )


def log_training(step: int, loss: float) -> None:
    """Log the progress of the training every 250 steps."""
    if step % 250 == 0:
        logging.getLogger(__name__).info("step %d, loss %.4f", step, loss)


def filled_in(params: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the form that have a value.

    Raises BadSetting for an unknown field: Airflow accepts it, and a misspelled name would be ignored.
    """
    from pipeline.errors import BadSetting

    if unknown := sorted(set(params) - set(form)):
        raise BadSetting(f"no such parameter: {', '.join(unknown)}; there are {', '.join(form)}")
    return {name: value for name, value in params.items() if value is not None}


def request_of(dag_run: Any) -> dict[str, Any]:
    """Return the arguments of a plan that come from the Airflow run: its key, the current time, its provenance."""
    return {
        "key": run_key(dag_run.dag_id, dag_run.run_id),
        "now": datetime.now(UTC),
        "provenance": {
            "dag_id": dag_run.dag_id,
            "run_id": dag_run.run_id,
            "run_type": dag_run.run_type.value,
            "logical_date": dag_run.logical_date.isoformat() if dag_run.logical_date else "",
        },
    }


def hand_on(planned: "Plan", ti: Any) -> list[list[str]]:
    """Log a plan and return its batches of symbols; its other fields become XComs of the same names."""
    from pipeline.storage.documents import to_document

    log_result(planned)
    for name, value in to_document(planned).items():
        if name != "batches":
            ti.xcom_push(key=name, value=value)
    return [list(batch) for batch in planned.batches]


def run_key(dag_id: str, run_id: str) -> str:
    """Return a name for files of this run: readable, unique, and valid on every file system.

    The digest distinguishes run ids that differ only in special characters or in case.
    """
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", run_id)[:80].strip("-.")
    return f"{dag_id}__{readable}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
