"""What must be true after any fault: the run is a success, and everything that it makes is there exactly once."""

from typing import Any

from benchmarks.stack.compose import DAG, Stack

SYMBOLS, HORIZON = 5, 5


def require_whole(stack: Stack, run_id: str, as_of: str) -> dict[str, Any]:
    """Assert that a run has ended well and left one of each thing; return the manifest that it published."""
    tasks = {task["task_id"]: task["state"] for task in stack.tasks(run_id)}
    state = stack.state(run_id)
    assert state == "success", f"{run_id} is {state}: {tasks}"
    manifest = stack.published(as_of)
    assert manifest["provenance"]["run_id"] == run_id
    assert manifest["rows"] == SYMBOLS * HORIZON
    assert rows_of(stack, as_of) == [[str(SYMBOLS * HORIZON), str(SYMBOLS * HORIZON), "1"]]
    runs = runs_of(stack, f"tags.\"airflow.run_id\" = '{run_id}' and tags.\"airflow.dag_id\" = '{DAG}'")
    assert [run["info"]["status"] for run in runs] == ["FINISHED"]
    assert runs[0]["info"]["run_id"] == manifest["provenance"]["mlflow_run_id"]
    versions = versions_of(stack, as_of)
    assert len(versions) == 1, f"{len(versions)} versions were made as of {as_of}"
    return manifest


def rows_of(stack: Stack, as_of: str) -> list[list[str]]:
    """Return how many rows were published as of a session, how many differ within a run, and from how many runs."""
    return stack.psql(
        "pipeline",
        "SELECT count(*), count(DISTINCT (symbol, step, run_key)), count(DISTINCT run_key) FROM forecasts "
        f"WHERE as_of = '{as_of}' AND role = 'published'",
    )


def runs_of(stack: Stack, filter_string: str) -> list[dict[str, Any]]:
    """Return the MLflow runs of the experiment `daily-forecast` that a filter keeps."""
    experiment = stack.mlflow("experiments/get-by-name?experiment_name=daily-forecast")["experiment"]["experiment_id"]
    found = stack.mlflow("runs/search", {"experiment_ids": [experiment], "filter": filter_string})
    runs: list[dict[str, Any]] = found.get("runs", [])
    return runs


def versions_of(stack: Stack, as_of: str) -> list[dict[str, Any]]:
    """Return the model versions that were trained as of a session."""
    found = stack.mlflow("model-versions/search?filter=name%3D%27daily-forecast%27&max_results=1000")
    versions: list[dict[str, Any]] = found.get("model_versions", [])
    return [one for one in versions if {"key": "as_of", "value": as_of} in one["tags"]]


def champion(stack: Stack) -> str | None:
    """Return the session since which the registry's champion is one, None where there is none yet."""
    model = stack.mlflow("registered-models/get?name=daily-forecast")["registered_model"]
    version = {alias["alias"]: alias["version"] for alias in model.get("aliases", [])}.get("champion")
    if version is None:
        return None
    tags = stack.mlflow(f"model-versions/get?name=daily-forecast&version={version}")["model_version"]["tags"]
    since: str = {tag["key"]: tag["value"] for tag in tags}["champion_since"]
    return since
