"""The last line of a task's log is the reason why it failed or was skipped, once; so is what the run's note reads."""

from typing import Any

import pytest
import structlog
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from structlog.testing import LogCapture

from pipeline.errors import RateLimited, StoreError, UnknownSymbol

UNEXPECTED = "(not an error that the pipeline expects; the task's log has the traceback)"


@pytest.fixture(autouse=True)
def endings(dag_bag: Any) -> Any:
    """How tasks end, from the folder that reading the DAGs put on the path."""
    import _endings

    return _endings


def log_of(endings: Any, error: BaseException) -> list[dict[str, Any]]:
    """Return what Airflow's task runner logs, in its words and order, for a task that raises the error."""
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[endings.ReasonLast(), capture])
    log.info("::group::Pre Execute")
    log.info("::endgroup::")
    log.info("worked for 0.1 s")
    try:
        raise error
    except AirflowSkipException as skipped:
        log.info("::group::Post Execute")
        log.info("Skipping task.", reason=skipped.args[0])
    except BaseException:
        log.error("Task failed with exception", exc_info=True)
        log.info("::group::Post Execute")
        log.info("Retry policy decision", action="retry", reason="Matched rule for RateLimited")
    log.info("::endgroup::")
    return capture.entries


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (AirflowFailException("BadSymbol: NOPE is unknown"), "BadSymbol: NOPE is unknown"),
        (StoreError("/data: the disk is full; free space"), "StoreError: /data: the disk is full; free space"),
        (RateLimited("Yahoo: 429"), "RateLimited: Yahoo: 429"),
        (AirflowSkipException("nothing to do: it ends"), "Skipped: nothing to do: it ends"),
    ],
)
def test_a_reason_is_the_last_line_once_and_without_a_traceback(endings: Any, error: BaseException, last: str) -> None:
    entries = log_of(endings, error)

    assert entries[-1]["event"] == last
    assert not {"exc_info", "reason"} & entries[-1].keys()
    assert sum(last in str(entry) for entry in entries) == 1
    assert [entry["event"] for entry in entries[:-1]] == ["::group::Pre Execute", "::endgroup::", "worked for 0.1 s"]


@pytest.mark.parametrize("error", [ValueError("boom"), MemoryError(), AirflowTaskTimeout("2 h are over")])
def test_what_nobody_expected_keeps_its_traceback(endings: Any, error: BaseException) -> None:
    *_, last = log_of(endings, error)

    assert last["event"] == endings.reason_of(error)
    assert last["exc_info"] is True


def test_other_lines_and_the_groups_of_a_task_that_succeeds_stay_as_they_are(endings: Any) -> None:
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[endings.ReasonLast(), capture])
    events = ["::group::Pre Execute", "::endgroup::", "done", "::group::Post Execute", "::endgroup::"]
    for event in events:
        log.info(event)
    assert [entry["event"] for entry in capture.entries] == events


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AirflowFailException("BadSession: no"), "BadSession: no"),
        (AirflowFailException(), "AirflowFailException"),
        (UnknownSymbol("a: b: c\n  d"), "UnknownSymbol: a: b: c d"),
        (
            OSError("no answer from postgresql://me:secret@db/pipeline"),
            f"OSError: no answer from postgresql://me:***@db/pipeline {UNEXPECTED}",
        ),
        (KeyError("x"), f"KeyError: 'x' {UNEXPECTED}"),
        (
            AirflowTaskTimeout("Timeout, PID: 12"),
            "AirflowTaskTimeout: the task exceeded its time limit; reduce the request, or clear it to try again",
        ),
        (MemoryError(), f"MemoryError {UNEXPECTED}"),
    ],
)
def test_a_reason_is_one_line_and_whole(endings: Any, error: BaseException, reason: str) -> None:
    assert endings.reason_of(error) == reason


def test_a_reason_that_cannot_be_left_hides_no_error(endings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def xcom_push(self, **_: Any) -> None:
            raise OSError("the API server is unreachable")

    monkeypatch.setattr(endings, "get_current_context", lambda: {"ti": Broken()})
    run = endings.ending_with_reason(lambda: (_ for _ in ()).throw(StoreError("full")))

    with pytest.raises(StoreError, match="full"):
        run()


def test_the_log_is_changed_once_however_many_tasks_end(endings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    processors: list[Any] = [str]
    monkeypatch.setattr(endings, "get_config", lambda: {"processors": processors})

    endings.log_ending_as_reason()
    endings.log_ending_as_reason()

    assert [type(one) for one in processors] == [endings.ReasonLast, type]
