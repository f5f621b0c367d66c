"""How a task ends: in a state that Airflow understands, with the reason as the last line of its log and as an XCom.

The XCom `reason` is what the scheduler reads for the note on the run (`plugins/run_notes.py`). It reaches it through
the task's own API, so the executor makes no difference. Airflow removes it when the task is tried again.
"""

import functools
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

REASON = "reason"
_LONGEST = 4000
# What Airflow logs, with a traceback, when a task ends in an exception.
_AIRFLOWS_LINE = "Task failed with exception"


def ending_with_reason(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task's function that ends in Airflow's terms, logs a failure as its reason, and leaves the reason."""

    @functools.wraps(function)
    def ending(*args: Any, **options: Any) -> Any:
        try:
            with in_airflow_words():
                return function(*args, **options)
        except (Exception, AirflowTaskTimeout) as error:
            log_failures_as_reasons()
            leave_reason(reason_of(error))
            raise

    return ending


@contextmanager
def in_airflow_words() -> Iterator[None]:
    """Turn the pipeline's errors into Airflow's.

    Nothing to do for the session skips the task and all that follow. An error that no retry can fix fails the task at
    once. Everything else passes, and the task is tried again.
    """
    from pipeline.errors import PipelineError, SessionNotAvailable

    try:
        yield
    except SessionNotAvailable as reason:
        raise AirflowSkipException(str(reason)) from None
    except PipelineError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from None


def reason_of(error: BaseException) -> str:
    """Return what an exception says, on one line: its message if the pipeline worded it, else with its type."""
    words = " ".join(str(error).split())
    if isinstance(error, AirflowFailException | AirflowSkipException) and words:
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def leave_reason(reason: str) -> None:
    """Leave the reason as an XCom of the running task; a task that cannot is not worse off for it."""
    try:
        get_current_context()["ti"].xcom_push(key=REASON, value=reason[:_LONGEST])
    except Exception as error:  # noqa: BLE001  the reason is still logged, and must not be hidden by this error
        logging.getLogger(__name__).warning("the run's note will lack the reason: %s", error)


def log_failures_as_reasons() -> None:
    """Have Airflow log the failure of the running task as its reason, in place of a general line with a traceback.

    Airflow offers no setting for it; its log's processors are those of structlog in the task's own process.
    """
    import structlog

    processors = structlog.get_config()["processors"]
    if _as_reason not in processors:
        processors.insert(0, _as_reason)


def _as_reason(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace Airflow's line by the reason. A traceback stays only for what the pipeline did not expect."""
    from pipeline.errors import PipelineError

    error = sys.exc_info()[1]
    if entry.get("event") != _AIRFLOWS_LINE or error is None:
        return entry
    entry["event"] = reason_of(error)
    if isinstance(error, PipelineError | AirflowFailException):
        entry.pop("exc_info", None)
    return entry
