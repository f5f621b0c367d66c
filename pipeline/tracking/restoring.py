"""Complete commands that restore deleted runs and experiments in MLflow: they work as printed, in any folder.

Without MLFLOW_TRACKING_URI the `mlflow` command opens, and creates, a database in the working folder.
"""

import shlex
import sys
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from pipeline.tracking.addresses import address, is_server


def restore_experiment(uri: str, experiment_id: str) -> str:
    """Return the command that restores a deleted experiment, with the runs that were deleted with it."""
    return _mlflow(uri, f"experiments restore --experiment-id {shlex.quote(experiment_id)}")


def restore_run(uri: str, run_id: str) -> str:
    """Return the command that restores a deleted run."""
    return _mlflow(uri, f"runs restore --run-id {shlex.quote(run_id)}")


def _mlflow(uri: str, arguments: str) -> str:
    command = (
        f"`MLFLOW_TRACKING_URI={shlex.quote(address(uri))} MLFLOW_DISABLE_TELEMETRY=true "
        f"{shlex.quote(sys.executable)} -m mlflow {arguments}`"
    )
    if not _has_password(uri):
        return command
    if is_server(uri):
        return f"{command} (with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD set)"
    return f"{command} (with the password in place of ***)"


def _has_password(uri: str) -> bool:
    return "@" in urlsplit(uri).netloc if is_server(uri) else make_url(uri).password is not None
