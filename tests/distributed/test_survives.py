"""A plug is pulled in the middle of a daily run, and nobody puts it back: the run ends in success all the same.

Each test prints the seconds from the fault to the end of the run; `-s` shows them.
"""

import subprocess
import sys
import time
from typing import Any

import pytest

from benchmarks.stack.compose import RUNNING, Stack, until
from tests.distributed.whole import champion, require_whole, rows_of

pytestmark = pytest.mark.distributed


def recovered(stack: Stack, run_id: str, since: float, what: str) -> None:
    """Wait for the end of a run, and say how long after the fault it came."""
    stack.finish(run_id)
    sys.stderr.write(f"{what}: the run ended {time.monotonic() - since:.0f} s after the fault\n")


def worker_of(stack: Stack, hostname: str) -> str:
    """Return the container whose worker a task instance names."""
    found = [one for one in stack.containers("worker") if one.startswith(hostname)]
    assert found, f"no worker {hostname} among {stack.containers('worker')}"
    return found[0]


def test_a_daily_run_ends_well(stack: Stack) -> None:
    run_id = stack.trigger({"as_of": "2013-01-14"})
    assert stack.finish(run_id) == "success"
    manifest = require_whole(stack, run_id, "2013-01-14")
    assert manifest["provenance"]["mlflow_url"].startswith(f"http://127.0.0.1:{stack.mlflow_port}/")


@pytest.mark.parametrize(
    ("task_id", "as_of", "conf"),
    [
        ("ingest", "2013-01-15", {}),
        ("train", "2013-01-16", {"training_steps": 1500}),
        ("publish", "2013-01-17", {}),
    ],
)
def test_a_worker_dies_at_work(stack: Stack, task_id: str, as_of: str, conf: dict[str, int]) -> None:
    run_id = stack.trigger({"as_of": as_of, **conf})
    at_work = stack.at_work(run_id, task_id)
    stack.crash(worker_of(stack, at_work["hostname"]))
    recovered(stack, run_id, time.monotonic(), f"a worker died in {task_id}")
    require_whole(stack, run_id, as_of)
    tries = {task["task_id"]: task["try_number"] for task in stack.tasks(run_id)}
    assert tries[task_id] == 2, f"{task_id} was at work when its worker died: {tries}"


@pytest.mark.parametrize(
    ("service", "as_of", "task_id"),
    [
        ("redis", "2013-01-18", "train"),
        ("postgres", "2013-01-22", "train"),
        ("scheduler", "2013-01-23", "train"),
        ("api-server", "2013-01-24", "train"),
    ],
)
def test_a_service_dies_and_comes_back(stack: Stack, service: str, as_of: str, task_id: str) -> None:
    run_id = stack.trigger({"as_of": as_of, "training_steps": 800})
    stack.at_work(run_id, task_id)
    for container in stack.containers(service):
        stack.crash(container)
    recovered(stack, run_id, time.monotonic(), f"{service} died")
    require_whole(stack, run_id, as_of)


def test_mlflow_is_unreachable_when_training_ends(stack: Stack) -> None:
    run_id = stack.trigger({"as_of": "2013-01-25", "training_steps": 300})
    stack.at_work(run_id, "train")
    stack.compose("stop", "--timeout", "5", "mlflow")
    since = time.monotonic()

    def waiting() -> bool:
        tasks = {task["task_id"]: task for task in stack.tasks(run_id)}
        assert tasks["train"]["state"] != "failed"
        return tasks["upload"]["state"] == "up_for_retry"

    until(waiting, within_s=240, what="upload that waits for MLflow")
    trained = next(task for task in stack.tasks(run_id) if task["task_id"] == "train")
    stack.compose("start", "mlflow")
    recovered(stack, run_id, since, "MLflow was away")
    require_whole(stack, run_id, "2013-01-25")
    again = next(task for task in stack.tasks(run_id) if task["task_id"] == "train")
    assert (again["try_number"], again["start_date"]) == (1, trained["start_date"]), "training was repeated"


def test_a_task_that_is_delivered_twice_runs_once(stack: Stack) -> None:
    """Redis hands a message out again when nobody has confirmed it in time; here at once, by putting it back."""
    run_id = stack.trigger({"as_of": "2013-01-28", "training_steps": 300})
    stack.at_work(run_id, "train")
    deliver_again = """
import os, redis
broker = redis.Redis.from_url(os.environ["AIRFLOW__CELERY__BROKER_URL"])
import json
for tag, value in broker.hgetall("unacked").items():
    message, _, queue = json.loads(value)
    broker.lpush(queue, json.dumps(message))
    print(queue)
"""
    sent = stack.compose("exec", "-T", "worker", "python", "-c", deliver_again).split()
    assert "train" in sent  # next to unconfirmed messages of workers that died
    recovered(stack, run_id, time.monotonic(), "a task was delivered twice")
    require_whole(stack, run_id, "2013-01-28")
    assert next(task["try_number"] for task in stack.tasks(run_id) if task["task_id"] == "train") == 1


def test_a_run_by_hand_for_a_session_that_is_being_run(stack: Stack) -> None:
    first, second = (stack.trigger({"as_of": "2013-01-29"}) for _ in range(2))
    assert (stack.finish(first), stack.finish(second)) == ("success", "success")
    manifest = stack.published("2013-01-29")
    assert manifest["provenance"]["run_id"] == second, "the later one is what stands"
    rows = rows_of(stack, "2013-01-29")[0]
    assert rows[0] == rows[1], f"rows, different rows, runs: {rows}"


def test_the_runs_of_a_backfill_may_overtake_each_other(stack: Stack) -> None:
    before = champion(stack)
    words = ["airflow", "backfill", "create", "--dag-id", "daily_forecast", "--max-active-runs", "2"]
    stack.compose("exec", "-T", "scheduler", *words, "--from-date", "2013-02-04", "--to-date", "2013-02-06")

    def ended() -> bool:
        runs = stack.airflow.get("dags/daily_forecast/dagRuns?run_type=backfill&limit=100")["dag_runs"]
        return bool(runs) and not any(run["state"] in RUNNING for run in runs)

    until(ended, within_s=900, what="end of the backfill", every_s=2)
    for as_of in ("2013-02-04", "2013-02-05", "2013-02-06"):
        assert stack.published(as_of)["provenance"]["run_type"] == "backfill"
    assert (champion(stack) or "") >= (before or ""), "the champion has gone back to an earlier session's"


def test_two_backfills_of_the_same_sessions(stack: Stack) -> None:
    create = ["airflow", "backfill", "create", "--dag-id", "daily_forecast", "--max-active-runs", "2"]

    def backfill(first: str, last: str, *words: str) -> subprocess.CompletedProcess[str]:
        return stack.run("exec", "-T", "scheduler", *create, "--from-date", first, "--to-date", last, *words)

    def begin(*words: str) -> None:
        # The one before counts as running for a moment after its last run.
        until(lambda: not backfill("2013-02-07", "2013-02-08", *words).returncode, within_s=120, what="a new backfill")

    def runs() -> list[dict[str, Any]]:
        found = stack.airflow.get("dags/daily_forecast/dagRuns?run_type=backfill&limit=100")["dag_runs"]
        return [run for run in found if run["logical_date"][:10] in ("2013-02-07", "2013-02-08")]

    def ended() -> bool:
        return len(runs()) == 2 and not any(run["state"] in RUNNING for run in runs())

    begin()
    until(lambda: any(run["state"] == "running" for run in runs()), within_s=120, what="a running backfill")
    refused = backfill("2013-02-07", "2013-02-08", "--reprocess-behavior", "completed")
    assert refused.returncode != 0
    assert "AlreadyRunningBackfill" in refused.stdout + refused.stderr
    until(ended, within_s=600, what="end of the first backfill", every_s=2)
    first = {run["dag_run_id"]: run["end_date"] for run in runs()}

    begin("--reprocess-behavior", "completed")
    until(lambda: not ended(), within_s=120, what="start of the second backfill")
    until(ended, within_s=600, what="end of the second backfill", every_s=2)
    for run in runs():
        assert run["end_date"] > first[run["dag_run_id"]], "the run was not done again"
        require_whole(stack, run["dag_run_id"], run["logical_date"][:10])
