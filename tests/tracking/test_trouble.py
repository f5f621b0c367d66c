"""MLflow's errors: what cannot be reached is told from what is gone and from what is refused, each with a next step."""

import errno
import re
from typing import Any

import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from sqlalchemy.exc import OperationalError

from pipeline.errors import MissingInTracking, PipelineError, TrackingUnavailable
from pipeline.tracking.trouble import explain

SERVER, DATABASE = "http://bell:secret@127.0.0.1:5000", "sqlite:////home/bell/mlflow.db"
RUN = "0" * 31 + "a"


def mlflow_error(text: str, code: str = "INTERNAL_ERROR") -> MlflowException:
    from mlflow.protos import databricks_pb2 as codes

    return MlflowException(text, error_code=getattr(codes, code))


def rest(code: str, text: str) -> RestException:
    return RestException({"error_code": code, "message": text})


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Error: for url: http://x", response=response)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = caused(mlflow_error("API request failed"), requests.ConnectionError("[Errno 111] Connection refused"))
TABLE: list[tuple[str, Exception, type[PipelineError], str]] = [
    # cannot be reached: retried
    (SERVER, REFUSED, TrackingUnavailable, r"cannot be reached \(.*Connection refused\); start it \(`make run`\)"),
    (SERVER, requests.Timeout("Read timed out."), TrackingUnavailable, "Read timed out"),
    (SERVER, caused(mlflow_error("x"), answered(503)), TrackingUnavailable, "cannot be reached"),
    (SERVER, rest("TEMPORARILY_UNAVAILABLE", "busy: later"), TrackingUnavailable, "busy: later"),
    (DATABASE, OperationalError("SELECT", (), Exception("database is locked")), TrackingUnavailable, "another process"),
    (DATABASE, mlflow_error("(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: INSERT]\n"),
     TrackingUnavailable, r"\(attempt to write a readonly database\); make the file.* set MLFLOW_TRACKING_URI"),
    (DATABASE, OSError(errno.ENOSPC, "No space left on device", "/x"), TrackingUnavailable, "free space"),
    # gone: a retry changes nothing
    (SERVER, rest("INVALID_PARAMETER_VALUE", f"The run {RUN} must be in the 'active' state. Current state is deleted."),
     MissingInTracking, f"run {RUN} was deleted; restore it with `MLFLOW_TRACKING_URI=http://127.0.0.1:5000 .* runs "),
    (DATABASE, mlflow_error(f"The run {RUN} must be in the 'active' state.", "INVALID_PARAMETER_VALUE"),
     MissingInTracking, "runs restore --run-id"),
    (DATABASE, mlflow_error("The experiment 3 must be in the 'active' state. Current state is deleted."),
     MissingInTracking, "experiments restore --experiment-id 3"),
    (SERVER, rest("RESOURCE_DOES_NOT_EXIST", f"Run with id={RUN} not found"), MissingInTracking, "repeat `upload`"),
    (DATABASE, mlflow_error("Registered Model with name=daily-forecast not found", "RESOURCE_DOES_NOT_EXIST"),
     MissingInTracking, "Registered Model with name=daily-forecast not found.*repeat `upload`"),
    (DATABASE, mlflow_error("Unable to fetch model from 'models:/m-1'.Error: Logged model with ID 'm-1' not found."),
     MissingInTracking, "Logged model with ID 'm-1' not found"),
    (SERVER, caused(rest("RESOURCE_DOES_NOT_EXIST", "no such x"), answered(404)), MissingInTracking, "no such x"),
    # refused
    (SERVER, rest("PERMISSION_DENIED", "Permission denied: no"), PipelineError, "MLFLOW_TRACKING_PASSWORD"),
    (SERVER, rest("INVALID_PARAMETER_VALUE", "bad value: x: y"), PipelineError, r"answers: bad value: x: y; see"),
    (DATABASE, mlflow_error("Detected out-of-date database schema (found version a, but expected b)."), PipelineError,
     "python -m mlflow db upgrade"),
    # all lines of a text whose first is only a heading
    (SERVER, mlflow_error("The following failures occurred:\n##### File a #####\n500 Server Error: boom"),
     TrackingUnavailable, r"The following failures occurred: a 500 Server Error: boom"),
]  # fmt: skip


@pytest.mark.parametrize(("uri", "error", "kind", "words"), TABLE)
def test_each_error_has_its_kind_its_whole_cause_and_a_next_step(
    uri: str, error: Exception, kind: Any, words: str
) -> None:
    told = explain(error, uri, "open the run 'x'")
    assert type(told) is kind
    assert told.retryable is (kind is not MissingInTracking)
    assert str(told).startswith("cannot open the run 'x': MLflow at ")
    assert "\n" not in str(told)
    assert "secret" not in str(told)
    assert re.search(words, str(told)), str(told)
