"""The end of a task: its state in Airflow, and the reason as the last line of its log and as an XCom.

The scheduler reads the XCom `reason` for the note on the run (`plugins/run_notes.py`). It is sent through the task API,
so it works with every executor. Airflow removes it when the task is tried again.
"""

import functools
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from structlog import DropEvent, get_config

REASON = "reason"
_LONGEST = 4000
_UNEXPECTED = "not an error that the pipeline expects; the task's log has the traceback"
Entry = MutableMapping[str, Any]

# Messages that Airflow logs at the end of a task.
_FAILED, _SKIPPED = "Task failed with exception", "Skipping task."
_GROUP, _END_OF_GROUP = "::group::Post Execute", "::endgroup::"
_POLICY = "Retry policy decision"


def ending_with_reason(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task's function that raises Airflow's exceptions, and logs and leaves the reason of a failure."""

    @functools.wraps(function)
    def ending(*args: Any, **options: Any) -> Any:
        try:
            with in_airflow_words():
                return function(*args, **options)
        except (Exception, AirflowTaskTimeout) as error:
            log_ending_as_reason()
            leave_reason(reason_of(error))
            raise  # as it is: the retry policy goes by the kind of error

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
    """Return an exception as one line: its message if it is an expected error, otherwise with its type."""
    from pipeline.errors import PipelineError
    from pipeline.storage.urls import shown

    words = " ".join(str(error).split())
    if isinstance(error, AirflowFailException | AirflowSkipException) and words:
        return words
    if isinstance(error, AirflowTaskTimeout):
        return f"{type(error).__name__}: the task exceeded its time limit; reduce the request, or clear it to try again"
    named = f"{type(error).__name__}: {words}" if words else type(error).__name__
    expected = isinstance(error, PipelineError | AirflowException)
    return named if expected else f"{shown(named)} ({_UNEXPECTED})"


def leave_reason(reason: str) -> None:
    """Leave the reason as an XCom of the running task. If that fails, the task goes on and only the note lacks it."""
    try:
        get_current_context()["ti"].xcom_push(key=REASON, value=reason[:_LONGEST])
    except Exception as error:  # noqa: BLE001  the reason is still logged, and must not be hidden by this error
        logging.getLogger(__name__).warning("the note on the run will not show the reason: %s", error)


def log_ending_as_reason() -> None:
    """Make Airflow log the end of the running task as its reason instead of a general line with a traceback.

    Airflow has no setting for it; its log processors are those of structlog in the task's own process.
    """
    processors = get_config()["processors"]
    if not any(isinstance(one, ReasonLast) for one in processors):
        processors.insert(0, ReasonLast())


class ReasonLast:
    """A log processor that makes the reason the last line of a task that fails or is skipped.

    It drops Airflow's lines around it: the log group that would hide a skip's reason, and the name of the retry rule. A
    traceback stays only for an unexpected error.
    """

    def __init__(self) -> None:
        self._told = False

    def __call__(self, _logger: Any, _method: str, entry: Entry) -> Entry:
        """Return the entry, rewritten if it is Airflow's message about the end of the task."""
        error, event = sys.exc_info()[1], entry.get("event")
        if event == _GROUP and error is not None:
            self._told = True
            raise DropEvent
        if event == _POLICY and error is not None:
            raise DropEvent
        if event == _END_OF_GROUP and self._told:
            self._told = False
            raise DropEvent
        if event == _FAILED and error is not None:
            return _failed(entry, error)
        if event == _SKIPPED and entry.get("reason"):
            entry["event"] = f"Skipped: {entry.pop('reason')}"
        return entry


def _failed(entry: Entry, error: BaseException) -> Entry:
    from pipeline.errors import PipelineError

    entry["event"] = reason_of(error)
    if isinstance(error, PipelineError | AirflowFailException):
        entry.pop("exc_info", None)
    return entry
