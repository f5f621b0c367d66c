"""The lines of a task's log that say what went wrong."""

import json
from pathlib import Path

from local.logs import last_words, log_file


def write(path: Path, *records: object) -> Path:
    path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
    return path


def test_tells_an_exception_and_what_it_came_from(tmp_path: Path) -> None:
    detail = [
        {"exc_type": "StoreError", "exc_value": "the database is locked"},
        {"exc_type": "OperationalError", "exc_value": "busy"},
    ]
    log = write(
        tmp_path / "attempt=1.log",
        {"level": "info", "event": "starting"},
        {"level": "error", "event": "Task failed with exception", "error_detail": detail},
        {"level": "info", "event": "::endgroup::"},
    )
    assert last_words(log) == ["StoreError: the database is locked ← OperationalError: busy"]


def test_a_log_without_errors_ends_with_what_it_says_last(tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", {"level": "info", "event": "the sample ends on 2013-03-01"}, "not JSON", "7")
    assert last_words(log, lines=3) == ["the sample ends on 2013-03-01", "not JSON", "7"]


def test_a_missing_log_has_no_words(tmp_path: Path) -> None:
    assert last_words(tmp_path / "attempt=1.log") == []


def test_names_the_folder_where_there_is_no_log_yet(tmp_path: Path) -> None:
    log = log_file(tmp_path, "daily_forecast", "manual__1", "ingest", 3)
    assert log == tmp_path / "logs/dag_id=daily_forecast/run_id=manual__1/task_id=ingest/map_index=3"


def test_leaves_out_the_name_of_airflows_wrapper(tmp_path: Path) -> None:
    detail = [{"exc_type": "AirflowFailException", "exc_value": "BadSession: 2013-01-01 is not a session"}]
    log = write(tmp_path / "a.log", {"level": "error", "event": "Task failed", "error_detail": detail})
    assert last_words(log) == ["BadSession: 2013-01-01 is not a session"]


def test_tells_why_a_task_was_skipped(tmp_path: Path) -> None:
    log = write(
        tmp_path / "a.log",
        {"level": "info", "event": "::group::Post Execute"},
        {"level": "info", "event": "Skipping task.", "reason": "the sample ends on 2013-03-01"},
        {"level": "info", "event": "::endgroup::"},
    )
    assert last_words(log) == ["the sample ends on 2013-03-01"]
