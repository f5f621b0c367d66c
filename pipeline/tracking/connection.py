"""The connection to MLflow: one client per address, and errors that say what to do.

A server (`http://…`) stores its own artifacts. A database opened directly (`sqlite:///…`) is the one-machine case: its
folders are made here.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import Settings
from pipeline.storage.atomic_files import only_writer
from pipeline.tracking import mlflow_api
from pipeline.tracking.moved import follow_home
from pipeline.tracking.trouble import explain

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import MlflowClient

# MLflow's own defaults block a task for minutes while the server is unreachable, log each migration of a new
# database, and print to where `--json` prints. A variable that is already set wins.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
}


@contextmanager
def connected(settings: Settings, doing: str) -> Iterator["MlflowClient"]:
    """Yield a client of the settings' MLflow; `doing` completes "cannot …" in the errors.

    Raises TrackingUnavailable if MLflow is unreachable, MissingInTracking if it responds that something does not exist,
    PipelineError for anything else that it refuses.
    """
    _prepare_environment()
    try:
        yield _client(settings.tracking_uri, settings.home)
    except (mlflow_api.MlflowException, SQLAlchemyError, mlflow_api.CommandError, OSError) as error:
        raise explain(error, settings.tracking_uri, doing) from error


def ping(settings: Settings) -> None:
    """Open the settings' MLflow once: creates and migrates a direct database, or checks that the server responds.

    Raises TrackingUnavailable if it is unreachable. Call it before a server is started on the same database: two
    processes that migrate at the same time break each other.
    """
    with connected(settings, "open the store") as client:
        client.search_experiments(max_results=1)


@contextmanager
def addressed(settings: Settings) -> Iterator[None]:
    """Set MLFLOW_TRACKING_URI to the settings' MLflow meanwhile: a registry opened directly reads nothing else."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _prepare_environment() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@lru_cache(maxsize=8)
def _client(uri: str, home: Path) -> "MlflowClient":
    if not uri.startswith("sqlite:"):
        return mlflow_api.MlflowClient(tracking_uri=uri, registry_uri=uri)
    database = Path(str(make_url(uri).database))
    with only_writer(database.parent):  # both stores migrate when they are first opened
        client = mlflow_api.MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
        if database.resolve() == home / "mlflow" / "mlflow.db":
            follow_home(home)
    return client
