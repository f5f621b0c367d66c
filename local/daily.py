"""One daily run through Airflow: wait until it is ready, trigger the run, follow it, check what was published."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.errors import RunFailed, ServiceFailed
from local.logs import last_words, log_file
from local.place import Place
from local.rest import Airflow, NotReachable, Refused, answers
from pipeline.storage import Storage

DAG = "daily_forecast"
POOL, POOL_SLOTS = "prices", 2
NOT_FOUND = 404
POLL_SECONDS = 0.5
START_SECONDS = 180.0
# On a small machine the API server may be slow during training; silent for this long, it has failed.
SILENCE_SECONDS = 90.0
OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}

Check = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The state of a task: mapped instances are combined, `seconds` is from the first start to the last end."""

    name: str
    state: str
    instances: int
    tries: int
    seconds: float
    map_index: int = -1


def await_ready(place: Place, airflow: Airflow, *, since: datetime | None, check: Check) -> None:
    """Wait until MLflow responds and Airflow has parsed the current DAG file.

    `since` is when the services were started: what an earlier Airflow parsed does not count. `check` is called in
    between and raises if a service has failed. Raises ServiceFailed if the DAG cannot be parsed, or after
    START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while not (answers(f"{place.airflow_url}/execution/health") and _known(airflow, since)):
        _wait(deadline, f"Airflow was not ready after {START_SECONDS:.0f} s; see {place.logs}", check)
    while not answers(f"{place.mlflow_url}/health"):
        _wait(deadline, f"MLflow was not ready after {START_SECONDS:.0f} s; see {place.logs / 'mlflow.log'}", check)


def make_pool(airflow: Airflow) -> None:
    """Create the pool that limits concurrent requests to the source; one that a user has changed stays as it is."""
    try:
        airflow.get(f"pools/{POOL}")
    except Refused as refused:
        if refused.status != NOT_FOUND:
            raise
        body = {
            "name": POOL,
            "slots": POOL_SLOTS,
            "description": "tasks that request prices at the same time",
        }
        airflow.post("pools", body)


def trigger(airflow: Airflow, conf: dict[str, Any]) -> str:
    """Start a run with `conf`, unpause the schedule, and return the run's id; RunFailed if `conf` is refused."""
    try:
        run = airflow.post(f"dags/{DAG}/dagRuns", {"logical_date": None, "conf": conf})
    except Refused as refused:
        raise RunFailed(f"{DAG} was not started: {refused}") from None
    # A run of a paused DAG would wait indefinitely, and the schedule is the purpose of the services.
    if airflow.get(f"dags/{DAG}")["is_paused"]:
        airflow.patch(f"dags/{DAG}?update_mask=is_paused", {"is_paused": False})
    return str(run["dag_run_id"])


def cancel(airflow: Airflow, run_id: str) -> None:
    """Mark the run as failed, so that it stops and does not block the next one."""
    airflow.patch(f"{page(run_id)}?update_mask=state", {"state": "failed"})


def runs_ahead(airflow: Airflow) -> list[str]:
    """Return the ids of the running runs; the DAG runs one at a time."""
    return [str(run["dag_run_id"]) for run in airflow.get(f"dags/{DAG}/dagRuns?state=running")["dag_runs"]]


def follow(airflow: Airflow, run_id: str, *, check: Check) -> Iterator[tuple[str, list[Task]]]:
    """Yield the run's state and its tasks, in the order they started; the last update is the run's end."""
    silent_since = time.monotonic()
    while True:
        try:
            state = str(airflow.get(page(run_id))["state"])
            tasks = _tasks(airflow, run_id)
            silent_since = time.monotonic()
        except NotReachable:
            if time.monotonic() - silent_since > SILENCE_SECONDS:
                raise
        else:
            yield state, tasks
            if state in OVER:
                return
        check()
        time.sleep(POLL_SECONDS)


def page(run_id: str) -> str:
    """Return the path of the run under /api/v2."""
    return f"dags/{DAG}/dagRuns/{quote(run_id, safe='')}"


def as_of(airflow: Airflow, run_id: str) -> str:
    """Return the session that the run was planned for."""
    run = airflow.get(f"{page(run_id)}/taskInstances/plan/xcomEntries/run")["value"]
    return str((json.loads(run) if isinstance(run, str) else run)["as_of"])


def publication(airflow: Airflow, run_id: str) -> dict[str, Any]:
    """Return what the run's task `publish` returned: `as_of`, `place`, `trial`, `standing` and more."""
    value = airflow.get(f"{page(run_id)}/taskInstances/publish/xcomEntries/return_value")["value"]
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found


def require_published(published: Storage, session: str, place: str | None = None) -> Storage:
    """Return the folder of the session's forecasts; RunFailed if they are missing or "latest" is older.

    `place` is the folder of a trial, which does not move "latest"; by default it is the session's standing edition.
    """
    folder, latest = published / (place or f"as_of={session}"), published / "latest.json"
    if place is not None and place != f"as_of={session}":
        if not folder.exists("manifest.json"):
            raise RunFailed(f"the run for {session} succeeded, but its forecasts are not in {folder}")
        return folder
    try:
        newest = str(json.loads(published.read(latest.name))["as_of"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFailed(f"the run succeeded, but {latest} cannot be read: {error!r}") from None
    if newest < session or not folder.exists("manifest.json"):
        raise RunFailed(f"the run for {session} succeeded, but its forecasts are not in {folder} (latest: {newest})")
    return folder


def require_success(place: Place, run_id: str, state: str, tasks: list[Task]) -> None:
    """Raise RunFailed that names the task that stopped the run, the reason and its log."""
    stopped = next((task for task in tasks if task.state == "failed"), None)
    stopped = stopped or next((task for task in tasks if task.state == "skipped"), None)
    if state == "success" and stopped is None:
        return
    if stopped is None:
        raise RunFailed(
            f"the run ended as {state}, and no task gives a reason; see {place.logs / 'airflow-scheduler.log'}"
        )
    log, words = last_log(place, run_id, stopped)
    how = "was skipped" if stopped.state == "skipped" else "failed"
    raise RunFailed("\n".join((f"task {stopped.name} {how}; its log: {log}", *words)))


def last_log(place: Place, run_id: str, task: Task) -> tuple[Path, list[str]]:
    """Return the log of the task's last try and its last errors."""
    log = log_file(place.airflow_home, DAG, run_id, task.name, task.map_index)
    return log, last_words(log)


def _known(airflow: Airflow, since: datetime | None) -> bool:
    try:
        dag = airflow.get(f"dags/{DAG}")
    except (NotReachable, Refused):
        dag = {}
    parsed = dag.get("last_parsed_time")
    if parsed and (since is None or datetime.fromisoformat(parsed) >= since):
        return True
    _require_no_import_error(airflow, since)
    return False


def _require_no_import_error(airflow: Airflow, since: datetime | None) -> None:
    try:
        errors = airflow.get("importErrors")["import_errors"]
    except (NotReachable, Refused):
        return
    for error in errors:
        fresh = since is None or datetime.fromisoformat(error["timestamp"]) >= since
        if fresh and Path(error["filename"]).stem == DAG:
            raise ServiceFailed(f"Airflow cannot read {error['filename']}:\n{error['stack_trace'].rstrip()}")


def _wait(deadline: float, message: str, check: Check) -> None:
    if time.monotonic() > deadline:
        raise ServiceFailed(message)
    check()
    time.sleep(POLL_SECONDS / 2)


def _tasks(airflow: Airflow, run_id: str) -> list[Task]:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for instance in _instances(airflow, run_id):
        by_name.setdefault(instance["task_id"], []).append(instance)
    tasks = [_together(name, instances) for name, instances in by_name.items()]
    started = {name: min(i["start_date"] or "~" for i in instances) for name, instances in by_name.items()}
    return sorted(tasks, key=lambda task: started[task.name])


def _instances(airflow: Airflow, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = airflow.get(f"{page(run_id)}/taskInstances?limit=100&offset={len(found)}")
        found += answer["task_instances"]
        if not answer["task_instances"] or len(found) >= answer["total_entries"]:
            return found


def _together(name: str, instances: list[dict[str, Any]]) -> Task:
    """Combine the instances of a task: the worst state once all have finished, else the state of an unfinished one."""
    order = ["running", "up_for_retry", "queued", "scheduled", "failed", "upstream_failed", "skipped", "success"]
    shown = min(instances, key=lambda i: order.index(i["state"]) if i["state"] in order else 3)
    starts = [datetime.fromisoformat(i["start_date"]) for i in instances if i["start_date"]]
    ends = [datetime.fromisoformat(i["end_date"]) for i in instances if i["end_date"]]
    return Task(
        name=name,
        state=shown["state"] or "waiting",
        instances=len(instances),
        tries=shown["try_number"],
        seconds=(max(ends) - min(starts)).total_seconds() if starts and ends else 0.0,
        map_index=shown["map_index"],
    )
