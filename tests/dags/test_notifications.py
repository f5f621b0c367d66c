"""Notifications of the outcome of a run through Airflow's notifiers; a failing channel does not affect the run."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from pipeline.errors import StoreError
from tests.dags.listeners import Heard, mail_server, web_server
from tests.dags.running import Outcome, Start, runner

SECRET = "a-password-of-the-channel"


@pytest.fixture(scope="module")
def start(read_dags: Any, airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with runner(read_dags, tmp_path_factory, "daily_forecast") as run:
        yield run


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Heard, Heard]]:
    """Every channel is switched on; gives what the mail server and the web server hear."""
    with mail_server() as mail, web_server() as web:
        smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.port}
        extra = {"from_email": "bell@example.org", "disable_ssl": True, "disable_tls": True}
        slack = {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{web.port}/slack", "password": SECRET}
        hook = {"conn_type": "http", "host": f"http://127.0.0.1:{web.port}/hook", "password": SECRET}
        for name, connection in {"SMTP_DEFAULT": {**smtp, "extra": extra}, "SLACK": slack, "HOOK": hook}.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
        monkeypatch.setenv("PIPELINE_NOTIFY_EMAIL", "one@example.org, two@example.org")
        monkeypatch.setenv("PIPELINE_NOTIFY_SLACK", "slack")
        monkeypatch.setenv("PIPELINE_NOTIFY_WEBHOOK", "hook")
        monkeypatch.setenv("PIPELINE_AIRFLOW_LINK", "https://airflow.example")
        yield mail, web


def quick(start: Start) -> Outcome:
    return start(run_conf={"symbols": "IBM", "training_steps": 1, "network": "mlp"})


def test_everybody_hears_what_was_published(start: Start, wanted: tuple[Heard, Heard]) -> None:
    mail, web = wanted
    ended = quick(start)
    assert ended.state == "success"
    assert ended.tasks["tell"] == Counter(success=3)

    ((receivers, letter),) = mail.mails
    assert receivers == ["one@example.org", "two@example.org"]
    assert letter["Subject"].startswith("Closing Bell 2013-03-01 XNYS: 1 symbol, 5 sessions ahead, by ")
    body = letter.get_body(("html",))
    assert body is not None
    assert "https://airflow.example/plugin/forecasts/forecasts/sessions/2013-03-01/0001-" in body.get_content()

    posts = dict(web.posts)
    (slack,) = (post for path, post in posts.items() if path.startswith("/slack"))
    assert "<https://mlflow.example/#/experiments/" in slack["text"]
    told = posts["/hook"]
    assert (told["event"], told["session"]) == ("published", "2013-03-01")
    assert told["links"]["Airflow run"].startswith("https://airflow.example/dags/daily_forecast/runs/manual__")
    assert SECRET not in f"{letter} {slack} {told}"


def test_everybody_hears_where_a_run_stopped(start: Start, wanted: tuple[Heard, Heard], monkeypatch: Any) -> None:
    from pipeline import jobs

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(jobs, "baseline", fail)
    mail, web = wanted
    ended = quick(start)
    assert ended.state == "failed", "a notification does not change the state of a run"
    assert ended.tasks["publish"] == Counter(upstream_failed=1)
    assert ended.tasks["tell"] == Counter(success=3)
    ((_, letter),) = mail.mails
    assert letter["Subject"] == "Closing Bell: the run of 2013-03-01 stopped at baseline"
    told = dict(web.posts)["/hook"]
    assert told["event"] == "stopped"
    assert told["text"].startswith("baseline: StoreError: the disk is full\nEarlier editions are unchanged.")


@pytest.mark.slow
def test_a_channel_that_cannot_be_reached_harms_neither_the_run_nor_another(
    start: Start, wanted: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    mail, _ = wanted
    with web_server(status=503) as away:
        hook = {"conn_type": "http", "host": f"http://127.0.0.1:{away.port}/hook"}
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(hook))
        ended = quick(start)
    assert ended.state == "success"
    assert ended.tasks["tell"] == Counter(success=2, failed=1)
    assert len(mail.mails) == 1
    assert len(away.posts) == ended.tries["tell"] == 4, "tried again as any task is"


def test_a_run_with_nothing_to_do_tells_nobody(
    start: Start, wanted: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import jobs
    from pipeline.errors import SessionNotAvailable

    def nothing(**_: object) -> None:
        raise SessionNotAvailable("nothing to do for 2013-03-04")

    monkeypatch.setattr(jobs, "plan", nothing)
    mail, web = wanted
    ended = start()
    assert ended.state == "success"
    assert ended.tasks["tell"] == Counter(skipped=3)
    assert mail.mails == web.posts == []


def test_nobody_is_told_who_has_not_asked(read_dags: Callable[[], Any]) -> None:
    dag = read_dags().dags["daily_forecast"]
    assert "tell" not in dag.task_ids
    assert not dag.deadline


@pytest.mark.usefixtures("wanted")
def test_there_is_no_deadline_where_nobody_could_tell_of_it(read_dags: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    assert not read_dags().dags["daily_forecast"].deadline
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor,KubernetesExecutor")
    assert read_dags().dags["daily_forecast"].deadline


def test_an_address_that_is_none_is_refused_before_anything_runs(
    start: Start, wanted: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NOTIFY_EMAIL", "nobody")
    assert start().tasks["plan"] == Counter(failed=1)


@pytest.mark.usefixtures("wanted", "airflow_database")
@pytest.mark.parametrize(
    ("run_type", "day", "due"),
    [
        ("scheduled", date(2013, 2, 28), datetime(2013, 3, 1, 14, 30, tzinfo=UTC)),
        ("scheduled", date(2013, 3, 1), datetime(2013, 3, 4, 14, 30, tzinfo=UTC)),  # a weekend between
        ("backfill", date(2013, 2, 28), None),
        ("manual", date(2013, 2, 28), None),
    ],
)
def test_airflow_keeps_a_deadline_for_a_scheduled_run_alone(
    read_dags: Callable[[], BundleDagBag], run_type: str, day: date, due: datetime | None
) -> None:
    """The DAG is stored and read, and a run made of it, as the DAG processor and the scheduler do."""
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(read_dags(), "dags-folder", None)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    with create_session() as session:
        run = (
            DBDagBag()
            .get_latest_version_of_dag("daily_forecast", session=session)
            .create_dagrun(
                run_id=f"{run_type}__{uuid4()}",
                logical_date=start,
                data_interval=(start, start + timedelta(hours=21)),
                run_after=start + timedelta(hours=21),
                run_type=DagRunType(run_type),
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.QUEUED,
                session=session,
            )
        )
        session.flush()
        kept = session.scalars(select(Deadline.deadline_time).where(Deadline.dagrun_id == run.id)).all()
        session.rollback()
    assert kept == ([due] if due else [])


def test_a_missed_deadline_is_told_to_everybody(wanted: tuple[Heard, Heard], read_dags: Callable[[], Any]) -> None:
    """As Airflow calls it in a worker, with the run as its API describes it."""
    read_dags()
    import _notifications

    mail, web = wanted
    run = {
        "dag_id": "daily_forecast",
        "dag_run_id": "scheduled__2013-02-28",
        "data_interval_start": "2013-02-28T00:00:00Z",
    }
    _notifications.missed("XNYS", {"dag_run": run, "deadline": {}})
    ((_, letter),) = mail.mails
    assert letter["Subject"] == "Closing Bell: no forecast from 2013-02-28 before the open of Friday 1 March 2013"
    assert dict(web.posts)["/hook"]["event"] == "late"


def test_a_deaf_channel_keeps_no_other_from_hearing_of_a_missed_deadline(
    wanted: tuple[Heard, Heard], read_dags: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_dags()
    import _notifications

    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": 1}))
    run = {"dag_id": "daily_forecast", "dag_run_id": "r", "data_interval_start": "2013-02-28T00:00:00Z"}
    with pytest.raises(OSError, match="refused"):
        _notifications.missed("XNYS", {"dag_run": run, "deadline": {}})
    assert len(wanted[1].posts) == 2
