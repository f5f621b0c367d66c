"""How MLflow is reached: one client for each address, its experiments, and errors that say what to do.

A server (`http://…`) keeps its own experiments and artifacts. A database given directly (`sqlite:///…`) is the
one-machine case: folders are made here, and artifacts lie beside it under the home.
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
from pipeline.errors import MissingInTracking
from pipeline.storage.atomic_files import only_writer
from pipeline.tracking.addresses import is_server
from pipeline.tracking.moved import follow_home
from pipeline.tracking.restoring import restore_experiment
from pipeline.tracking.saved_view import view_tag
from pipeline.tracking.trouble import explain

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's own defaults keep a task waiting for minutes while the server is away, log each migration of a new
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
    """Yield a client of the settings' MLflow; `doing` completes "cannot … " in the errors.

    Raises TrackingUnavailable if MLflow cannot be reached, MissingInTracking if it answers that something is not there,
    PipelineError for anything else that it refuses.
    """
    _prepare_environment()
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException

    try:
        yield _client(settings.tracking_uri, settings.home)
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        raise explain(error, settings.tracking_uri, doing) from error


def ping(settings: Settings) -> None:
    """Open the settings' MLflow once: makes and migrates a direct database, or finds that the server answers.

    Raises TrackingUnavailable if it cannot be reached. Call it before a server is started on the same database: two
    processes that migrate at once break each other.
    """
    with connected(settings, "open the store") as client:
        client.search_experiments(max_results=1)


@contextmanager
def addressed(settings: Settings) -> Iterator[None]:
    """Name the settings' MLflow in the environment meanwhile: a registry opened directly looks nowhere else."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def experiment_id(client: "MlflowClient", settings: Settings, name: str) -> str:
    """Return the id of the experiment `name`, made if there is none. Raises MissingInTracking if it was deleted."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    shown = {**_KIND, **(view_tag() if name in _WITH_SCORES else {})}
    if found is None:
        try:
            tags = {**shown, "mlflow.note.content": _NOTES.get(name, "")}
            return str(client.create_experiment(name, _artifact_location(settings, name), tags))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise _deleted(settings, name, found.experiment_id if found else "?")
    for tag, value in shown.items():  # an experiment that an older version made
        if tag not in found.tags:
            client.set_experiment_tag(found.experiment_id, tag, value)
    return str(found.experiment_id)


def require_experiments(client: "MlflowClient", settings: Settings) -> None:
    """Raise MissingInTracking where an experiment of ours was deleted, MLflow's exception where one refuses a tag."""
    for name in _NOTES:
        found = client.get_experiment_by_name(name)
        if found is None:
            continue
        if found.lifecycle_stage != "active":
            raise _deleted(settings, name, found.experiment_id)
        for tag, value in _KIND.items():
            client.set_experiment_tag(found.experiment_id, tag, value)


def _deleted(settings: Settings, name: str, number: str) -> MissingInTracking:
    return MissingInTracking(
        f"the MLflow experiment {name!r} was deleted; restore it with "
        f"{restore_experiment(settings.tracking_uri, number)} and run the step again"
    )


_WITH_SCORES = ("daily-forecast", "backtest")
# MLflow's pages for models that are trained, and not those for language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_NOTES = {
    "daily-forecast": "One run for each session and network: what it was trained on, how good it is beside the "
    "baselines, and whether it was published.\n\nThe view *Scores* has the columns to compare runs by: `crps_bp` (the "
    "error on held-out "
    "sessions, lower is better), `crps_bp_best_baseline` (on the same sessions), `skill_percent` (above 0: better than "
    "every baseline), `skill_p` (the chance of that without any skill), `coverage_90` (should be 0.9), and the tag "
    "`gate`. A run's description has all of it in tables; `figures/`, `scores/` and `published/report.html` are among "
    "its artifacts.",
    "live-scores": "Published forecasts, scored against what came: a run for those published in time, one for replays. "
    "`skill_percent` and `coverage_90` session by session, `rolling_…` over the last quarter.",
    "backtest": "Walk-forward folds over past sessions: a run for each backtest, one for each of its folds below it.",
}


def _prepare_environment() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@lru_cache(maxsize=8)
def _client(uri: str, home: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    if not uri.startswith("sqlite:"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    database = Path(str(make_url(uri).database))
    with only_writer(database.parent):  # both stores migrate when they are first opened
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
        if database.resolve() == home / "mlflow" / "mlflow.db":
            follow_home(home)
    return client


def _artifact_location(settings: Settings, name: str) -> str | None:
    return None if is_server(settings.tracking_uri) else str(settings.home / "mlflow" / "artifacts" / name)
