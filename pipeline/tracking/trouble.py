"""MLflow's errors as errors of the pipeline: the full cause and the next step, in one line.

Three kinds are distinguished. MLflow is unreachable or has an internal error: TrackingUnavailable, and the task is
retried. It responds that something does not exist or was deleted: MissingInTracking, and a retry changes nothing. It
refuses the request for another reason: PipelineError.
"""

import re
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from pipeline.database.remedies import remedy
from pipeline.errors import MissingInTracking, PipelineError, TrackingUnavailable, cause_of, one_line
from pipeline.tracking.addresses import address, is_server
from pipeline.tracking.restoring import restore_experiment, restore_run

# Responses that mean "later", or a failure of the server rather than of the request.
_TROUBLE = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"}
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_MISSING = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"}
_DELETED_RUN = re.compile(r"run (?:with id=)?'?(?P<id>[0-9a-f]{32})'? must be in the 'active' state", re.IGNORECASE)
_DELETED_EXPERIMENT = re.compile(
    r"experiment (?:with id=)?'?(?P<id>\d+)'? must be in the 'active' state", re.IGNORECASE
)
_NOT_FOUND = re.compile(
    r"(?:logged model with id .*|run with id=\S+|registered model .*|model version .*) not found", re.IGNORECASE
)
_OLD_SCHEMA = re.compile(r"out-of-date database schema|can't locate revision", re.IGNORECASE)


def explain(error: Exception, uri: str, doing: str) -> PipelineError:
    """Return the error to raise for what MLflow's client raised; `doing` completes "cannot …"."""
    if isinstance(error, PipelineError):
        return error
    code, cause = getattr(error, "error_code", None), _cause(error)
    beginning = f"cannot {doing}: MLflow at {address(uri)}"
    if code in _REFUSED:
        return PipelineError(
            f"{beginning} refuses the request ({cause}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or list this host in the server's --allowed-hosts"
        )
    if found := _DELETED_RUN.search(cause):
        command = restore_run(uri, found["id"])
        return MissingInTracking(
            f"{beginning}: run {found['id']} was deleted; restore it with {command}, or repeat `upload`, which makes "
            "a new run"
        )
    if found := _DELETED_EXPERIMENT.search(cause):
        command = restore_experiment(uri, found["id"])
        return MissingInTracking(f"{beginning}: experiment {found['id']} was deleted; restore it with {command}")
    if (code in _MISSING or _NOT_FOUND.search(cause)) and not _is_network(error):
        return MissingInTracking(
            f"{beginning} no longer has the requested object ({cause}); repeat `upload`, which records it again, then "
            "the step that failed"
        )
    if _OLD_SCHEMA.search(cause):
        return PipelineError(
            f"{beginning}: its database has the schema of another MLflow version ({cause}); with the newer version "
            f"installed, make a backup and run `python -m mlflow db upgrade {address(uri)}`"
        )
    lost = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)  # such as a full disk
    if lost or isinstance(error, SQLAlchemyError) or code in _TROUBLE or _is_network(error):
        step = _step(cause, uri)
        return TrackingUnavailable(f"{beginning} cannot be reached ({cause}); {step}, then retry: no result is lost")
    return PipelineError(f"{beginning} answers: {cause}; see `python -m pipeline doctor` and the server's log")


def _step(cause: str, uri: str) -> str:
    if is_server(uri):
        return "start it (`make run`) or set MLFLOW_TRACKING_URI"
    return remedy(cause).replace("PIPELINE_DATABASE_URL", "MLFLOW_TRACKING_URI")


def _is_network(error: BaseException) -> bool:
    """Whether there was no response, or one of a failing server; with 4xx the server has understood the request."""
    import requests

    for link in _chain(error):
        if isinstance(link, requests.HTTPError) and link.response is not None and link.response.status_code < 500:
            continue
        if isinstance(link, requests.RequestException | ConnectionError | TimeoutError):
            return True
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _cause(error: Exception) -> str:
    """Return the message of the deepest error if the network failed, else MLflow's whole message."""
    deepest = list(_chain(error))[-1] if _is_network(error) else error
    return one_line(cause_of(deepest).removeprefix(f"{getattr(deepest, 'error_code', None)}: "))
