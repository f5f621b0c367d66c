"""One daily run, told by an Airflow that answers from a table."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from local import daily
from local.daily import Task
from local.errors import RunFailed, ServiceFailed
from local.place import Place
from local.rest import Airflow, NotReachable, Refused
from pipeline.storage import Folder

STARTED = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)


class Answers(Airflow):
    """Answers each path with what the table holds for it: a value, or the next one of a list, or an exception."""

    def __init__(self, **table: Any) -> None:
        super().__init__("http://127.0.0.1:1", Path("nowhere"))
        self.table = table
        self.asked: list[tuple[str, str, Any]] = []

    def _signed_in(self, method: Any, path: str, body: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, path.partition("?")[0], body))
        name = path.partition("?")[0].rpartition("/")[2]
        answer = self.table[f"{method}_{name}" if f"{method}_{name}" in self.table else name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def instance(task: str, state: str | None, *, start: int | None = None, end: int | None = None, **more: Any) -> Any:
    stamps = [None if second is None else f"2026-03-02T22:00:{second:02d}Z" for second in (start, end)]
    named = {"task_id": task, "state": state, "start_date": stamps[0], "end_date": stamps[1]}
    return named | {"map_index": -1, "try_number": 1} | more


def instances(*found: Any) -> Any:
    return {"task_instances": list(found), "total_entries": len(found)}


def task(name: str, state: str, **more: Any) -> Task:
    return Task(name=name, state=state, instances=1, tries=1, seconds=1.0, **more)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily.time, "sleep", lambda _: None)


def nothing() -> None:
    pass


def test_triggers_and_then_switches_the_schedule_on() -> None:
    airflow = Answers(dagRuns={"dag_run_id": "manual__1"}, daily_forecast={"is_paused": True})
    assert daily.trigger(airflow, {"symbols": "IBM"}) == "manual__1"
    assert airflow.asked == [
        ("POST", "dags/daily_forecast/dagRuns", {"logical_date": None, "conf": {"symbols": "IBM"}}),
        ("GET", "dags/daily_forecast", None),
        ("PATCH", "dags/daily_forecast", {"is_paused": False}),
    ]


def test_leaves_a_schedule_that_is_on_alone() -> None:
    airflow = Answers(dagRuns={"dag_run_id": "manual__1"}, daily_forecast={"is_paused": False})
    daily.trigger(airflow, {})
    assert [method for method, _, _ in airflow.asked] == ["POST", "GET"]


def test_makes_the_pool_of_prices_where_there_is_none() -> None:
    airflow = Answers(GET_prices=Refused("not found", 404), pools={})
    daily.make_pool(airflow)
    method, path, body = airflow.asked[-1]
    assert (method, path, body["name"], body["slots"]) == ("POST", "pools", "prices", 2)


def test_a_pool_that_a_user_has_changed_is_left_as_it_is() -> None:
    airflow = Answers(prices={"name": "prices", "slots": 5})
    daily.make_pool(airflow)
    assert [method for method, _, _ in airflow.asked] == ["GET"]


def test_says_why_a_form_was_refused() -> None:
    airflow = Answers(dagRuns=Refused("Airflow answered 400: 'lstmm' is not one of ['lstm']", 400))
    with pytest.raises(RunFailed, match="'lstmm' is not one of"):
        daily.trigger(airflow, {"network": "lstmm"})


@pytest.mark.usefixtures("no_pause")
def test_follows_to_the_end_through_moments_without_an_answer() -> None:
    states = [{"state": "running"}, NotReachable("busy"), {"state": "success"}]
    airflow = Answers(manual__1=states, taskInstances=instances(instance("plan", "success", start=1, end=3)))
    updates = list(daily.follow(airflow, "manual__1", check=nothing))
    assert [state for state, _ in updates] == ["running", "success"]
    assert updates[-1][1] == [Task(name="plan", state="success", instances=1, tries=1, seconds=2.0)]


@pytest.mark.usefixtures("no_pause")
def test_does_not_follow_a_run_whose_services_are_gone() -> None:
    def check() -> None:
        raise ServiceFailed("airflow-scheduler does not stay up")

    airflow = Answers(manual__1={"state": "running"}, taskInstances=instances())
    with pytest.raises(ServiceFailed, match="airflow-scheduler"):
        list(daily.follow(airflow, "manual__1", check=check))


@pytest.mark.usefixtures("no_pause")
def test_takes_mapped_instances_together_and_lists_tasks_as_they_started() -> None:
    found = instances(
        instance("train", None),
        instance("ingest", "success", start=2, end=4, map_index=0),
        instance("ingest", "failed", start=3, end=9, map_index=1, try_number=2),
        instance("plan", "success", start=0, end=1),
    )
    airflow = Answers(manual__1={"state": "failed"}, taskInstances=found)
    ((_, tasks),) = daily.follow(airflow, "manual__1", check=nothing)
    assert [one.name for one in tasks] == ["plan", "ingest", "train"]
    assert tasks[1] == Task(name="ingest", state="failed", instances=2, tries=2, seconds=7.0, map_index=1)
    assert tasks[2].state == "waiting"


@pytest.mark.usefixtures("no_pause")
def test_reads_every_page_of_a_run_with_many_batches() -> None:
    pages = [
        {
            "task_instances": [instance("ingest", "success", start=1, end=2, map_index=n) for n in part],
            "total_entries": 130,
        }
        for part in (range(100), range(100, 130))
    ]
    ((_, tasks),) = daily.follow(
        Answers(manual__1={"state": "success"}, taskInstances=pages), "manual__1", check=nothing
    )
    assert tasks[0].instances == 130


def test_a_failed_run_names_the_task_its_log_and_its_last_words(place: Place) -> None:
    folder = place.airflow_home / "logs/dag_id=daily_forecast/run_id=manual__1/task_id=train"
    folder.mkdir(parents=True)
    for attempt in (2, 10):
        (folder / f"attempt={attempt}.log").write_text(json.dumps({"level": "error", "event": f"try {attempt}"}))
    tasks = [task("plan", "success"), task("train", "failed"), task("upload", "upstream_failed")]
    with pytest.raises(RunFailed) as caught:
        daily.require_success(place, "manual__1", "failed", tasks)
    assert str(caught.value) == f"task train failed; its log: {folder}/attempt=10.log\ntry 10"


def test_a_skipped_run_is_no_success(place: Place) -> None:
    with pytest.raises(RunFailed, match="task plan was skipped"):
        daily.require_success(place, "manual__1", "success", [task("plan", "skipped"), task("train", "skipped")])


def test_a_successful_run_passes(place: Place) -> None:
    daily.require_success(place, "manual__1", "success", [task("plan", "success")])


@pytest.fixture
def publish(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(session: str, newest: str) -> Path:
        folder = tmp_path / f"as_of={session}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        (tmp_path / "latest.json").write_text(json.dumps({"as_of": newest}))
        return folder

    return write


def test_finds_what_was_published(tmp_path: Path, publish: Callable[[str, str], Path]) -> None:
    folder = publish("2013-03-01", "2013-03-01")
    assert daily.require_published(Folder(tmp_path), "2013-03-01") == Folder(folder)


def test_an_older_session_does_not_have_to_be_the_latest(tmp_path: Path, publish: Callable[[str, str], Path]) -> None:
    folder = publish("2012-12-31", "2013-03-01")
    assert daily.require_published(Folder(tmp_path), "2012-12-31") == Folder(folder)


def test_a_latest_that_was_left_behind_is_no_success(tmp_path: Path, publish: Callable[[str, str], Path]) -> None:
    publish("2013-03-01", "2013-02-28")
    with pytest.raises(RunFailed, match="latest: 2013-02-28"):
        daily.require_published(Folder(tmp_path), "2013-03-01")


def test_nothing_published_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"latest\.json cannot be read"):
        daily.require_published(Folder(tmp_path), "2013-03-01")


def test_a_trial_is_found_where_it_is_and_moves_no_latest(tmp_path: Path) -> None:
    place = "editions/as_of=2013-03-01/0001-3f9c01ab-77d21e90"
    with pytest.raises(RunFailed, match=r"are not in .*0001-3f9c01ab-77d21e90"):
        daily.require_published(Folder(tmp_path), "2013-03-01", place)
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "manifest.json").write_text("{}")
    assert daily.require_published(Folder(tmp_path), "2013-03-01", place) == Folder(tmp_path / place)


def test_the_standing_edition_is_looked_for_where_the_run_says(
    tmp_path: Path, publish: Callable[[str, str], Path]
) -> None:
    folder = publish("2013-03-01", "2013-03-01")
    assert daily.require_published(Folder(tmp_path), "2013-03-01", "as_of=2013-03-01") == Folder(folder)
    publish("2013-03-04", "2013-03-01")
    with pytest.raises(RunFailed, match="latest: 2013-03-01"):
        daily.require_published(Folder(tmp_path), "2013-03-04", "as_of=2013-03-04")


@pytest.mark.parametrize("value", ['{"place": "as_of=2013-03-01"}', {"place": "as_of=2013-03-01"}])
def test_what_was_published_is_what_the_task_returned(value: Any) -> None:
    class Answers:
        def get(self, path: str) -> dict[str, Any]:
            assert path == f"dags/{daily.DAG}/dagRuns/manual__1%2B0/taskInstances/publish/xcomEntries/return_value"
            return {"value": value}

    assert daily.publication(cast(Any, Answers()), "manual__1+0") == {"place": "as_of=2013-03-01"}


def test_waits_for_the_dag_as_its_file_is_now(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "answers", lambda _: True)
    before, after = "2026-03-02T21:59:59Z", "2026-03-02T22:00:05Z"
    parsed = [{"last_parsed_time": before}, {"last_parsed_time": None}, {"last_parsed_time": after}]
    checks: list[int] = []
    airflow = Answers(daily_forecast=parsed, importErrors={"import_errors": []})
    monkeypatch.setattr(daily.time, "sleep", lambda _: None)
    daily.await_ready(place, airflow, since=STARTED, check=lambda: checks.append(1))
    assert len(checks) == 2


def test_a_dag_that_cannot_be_parsed_is_reported_with_its_traceback(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "answers", lambda _: True)
    error = {
        "timestamp": "2026-03-02T22:00:01Z",
        "filename": "daily_forecast.py",
        "stack_trace": "ImportError: no module named nothing\n",
    }
    airflow = Answers(daily_forecast=Refused("not found", 404), importErrors={"import_errors": [error]})
    with pytest.raises(ServiceFailed, match=r"(?s)cannot read daily_forecast\.py.*no module named nothing"):
        daily.await_ready(place, airflow, since=STARTED, check=nothing)
