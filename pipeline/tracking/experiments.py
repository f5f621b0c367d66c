"""The experiments of this project in MLflow: created with a description where they are missing."""

from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.errors import MissingInTracking
from pipeline.tracking import mlflow_api
from pipeline.tracking.addresses import is_server
from pipeline.tracking.restoring import restore_experiment
from pipeline.tracking.saved_view import view_tag

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import MlflowClient

DAILY, LIVE, BACKTEST = "daily-forecast", "live-scores", "backtest"
_WITH_SCORES = (DAILY, BACKTEST)
# Show MLflow's pages for trained models, not those for language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_NOTES = {
    DAILY: "One run per session and network: its training data, its scores against the baselines on the same held-out "
    "sessions, and whether it was published.\n\nThe view *Scores* has the columns to compare runs by: `crps_bp` (error "
    "on held-out sessions, lower is better), `crps_bp_best_baseline` (on the same sessions), `skill_percent` (above 0: "
    "better than every baseline), `skill_p` (chance of a t this large without any skill), `coverage_90` (should be "
    "0.9), and the tag `gate`. The description of a run explains its scores and the decision; its artifacts include "
    "`figures/`, `scores/` (shown as tables) and `published/report.html`.",
    LIVE: "The track record: published forecasts, scored against the outcomes. One run for forecasts published in "
    "time, one for replays. `skill_percent` and `coverage_90` by session, `rolling_…` over the last quarter.",
    BACKTEST: "Walk-forward evaluation over past sessions: one run per backtest, with one nested run per fold.",
}


def experiment_id(client: "MlflowClient", settings: Settings, name: str) -> str:
    """Return the id of the experiment `name`, created if there is none. Raises MissingInTracking if it was deleted."""
    found = client.get_experiment_by_name(name)
    shown = {**_KIND, **(view_tag() if name in _WITH_SCORES else {})}
    if found is None:
        try:
            tags = {**shown, "mlflow.note.content": _NOTES.get(name, "")}
            return str(client.create_experiment(name, _artifact_location(settings, name), tags))
        except mlflow_api.MlflowException as error:
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
    """Raise MissingInTracking if one of the experiments was deleted, MLflow's own exception if it refuses a tag."""
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


def _artifact_location(settings: Settings, name: str) -> str | None:
    return None if is_server(settings.tracking_uri) else str(settings.home / "mlflow" / "artifacts" / name)
