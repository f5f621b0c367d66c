"""Nobody in who does not belong, nothing out that is secret: asked of the running stack."""

import re
import subprocess
from http.client import HTTPMessage
from urllib.error import HTTPError

import pytest

from benchmarks.stack.compose import Stack
from local.rest import Refused
from tests.distributed.routes import asked, routes_of

pytestmark = pytest.mark.distributed

OURS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "mlflow")
# Routes that reveal nothing about this installation: that a server is up and healthy, and the page that asks to sign
# in.
PUBLIC = {"/api/v2/monitor/health", "/api/v2/version", "/api/v2/auth/logout", "/{rest_of_path:path}"}
PUBLIC |= {"/execution/health", "/execution/health/ping"}
HARMFUL = [
    "../../x",
    "A#f",
    "A?x=1",
    "ＡＡＰＬ",
    "AAPL;rm",
    "<script>alert(1)</script>",
    "=1+1",
    "AAPL\n../x",
    "A" * 40,
]


def sent_away(status: int, headers: HTTPMessage) -> bool:
    """Whether an answer says no, or leads to the sign-in."""
    return status in (401, 403) or (status in (302, 303, 307) and "login" in (headers.get("Location") or ""))


def test_airflow_reveals_nothing_without_credentials(stack: Stack) -> None:
    open_ = {}
    for method, route in routes_of(stack):
        path = re.sub(r"{(\w+)(:path)?}", lambda found: {"dag_id": "daily_forecast"}.get(found[1], "1"), route)
        body = b"{}" if method in ("POST", "PATCH", "PUT", "DELETE") else None
        status, headers, said = asked(stack.airflow.url + path, body=body, method=method)
        assert b"daily_forecast" not in said, route
        if not sent_away(status, headers) and route not in PUBLIC and status not in (404, 422):
            open_[f"{method} {route}"] = status
    assert open_ == {}


def test_mlflow_reveals_nothing_without_credentials(stack: Stack) -> None:
    base = f"http://127.0.0.1:{stack.mlflow_port}"
    paths = [
        "/",
        "/graphql",
        "/get-artifact?path=x&run_uuid=y",
        "/model-versions/get-artifact?name=daily-forecast&version=1&path=x",
        "/signup",
        "/api/2.0/mlflow/users/get?username=admin",
        "/api/2.0/mlflow-artifacts/artifacts",
        *(
            f"/{kind}/2.0/mlflow/{what}"
            for kind in ("api", "ajax-api")
            for what in (
                "experiments/search?max_results=5",
                "experiments/get-by-name?experiment_name=daily-forecast",
                "registered-models/search",
                "registered-models/get?name=daily-forecast",
                "model-versions/search",
                "runs/get?run_id=1",
                "artifacts/list?run_id=1",
                "metrics/get-history?run_id=1&metric_key=x",
            )
        ),
    ]
    answers = {path: asked(base + path)[:2] for path in paths}
    assert {path: status for path, (status, headers) in answers.items() if not sent_away(status, headers)} == {}
    status, _, _ = asked(f"{base}/api/2.0/mlflow/runs/search", body=b'{"experiment_ids": ["1"]}', method="POST")
    assert status == 401


def test_mlflow_answers_to_its_own_names_alone(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.mlflow_port}/api/2.0/mlflow/experiments/search?max_results=1"
    assert asked(url, {"Host": "evil.example"})[0] == 403


@pytest.mark.usefixtures("first_run")
def test_the_reader_changes_nothing(stack: Stack) -> None:
    experiment = stack.mlflow("experiments/get-by-name?experiment_name=daily-forecast")["experiment"]["experiment_id"]
    for method, path, body in (
        ("POST", "experiments/delete", {"experiment_id": experiment}),
        ("POST", "runs/create", {"experiment_id": experiment}),
        ("DELETE", "registered-models/delete", {"name": "daily-forecast"}),
    ):
        with pytest.raises(HTTPError) as refused:
            stack.mlflow(path, body, method=method)
        assert refused.value.code == 403, path


@pytest.mark.usefixtures("first_run")
def test_who_may_read_the_dag_reads_the_forecasts(stack: Stack) -> None:
    """The API server reads them from the workers' volume, and FAB says who may."""
    signed_in = {"Authorization": f"Bearer {stack.airflow.token()}"}
    for page in ("/", "/sessions", "/symbols", "/record"):
        status, _, said = asked(f"{stack.airflow.url}/forecasts{page}", signed_in)
        assert (status, b"Closing Bell" in said) == (200, True), page
    _, _, said = asked(f"{stack.airflow.url}/forecasts/", signed_in)
    (report,) = set(re.findall(r"/forecasts/files/[-\d]+/report.html", said.decode()))
    status, _, said = asked(stack.airflow.url + report, signed_in)
    assert (status, b"Forecast ranges" in said) == (200, True)


def test_a_database_user_enters_its_own_alone(stack: Stack) -> None:
    words = ["psql", "-h", "127.0.0.1", "-U", "pipeline", "-c", "SELECT 1"]
    password = f"PGPASSWORD={stack.values['PIPELINE_DB_PASSWORD']}"
    for database, enters in (("pipeline", True), ("airflow", False), ("mlflow_users", False)):
        said = stack.compose(
            "exec", "-T", "-e", password, "postgres", *words, "-d", database, "-At", check=False
        ).strip()
        assert (said == "1") is enters, database
    wrong = stack.compose("exec", "-T", "-e", "PGPASSWORD=x", "postgres", *words, "-d", "pipeline", check=False)
    assert wrong.strip() == ""


def test_redis_wants_its_password(stack: Stack) -> None:
    assert "NOAUTH" in stack.compose("exec", "-T", "redis", "redis-cli", "keys", "*", check=False)


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_no_rights_to_lose(stack: Stack, service: str) -> None:
    look = "id -u; grep CapEff /proc/1/status; grep NoNewPrivs /proc/1/status; touch /opt/closing-bell/x 2>&1 || true"
    user, capabilities, privileges, touched = stack.compose("exec", "-T", service, "sh", "-c", look).splitlines()
    assert user == "10001"
    assert int(capabilities.split()[1], 16) == 0
    assert privileges.split()[1] == "1"
    assert "Read-only file system" in touched


def test_a_worker_that_hears_nothing_ends_itself(stack: Stack) -> None:
    """A container of the worker's, in which no worker listens: its health check ends it at the third silence."""
    name = f"{stack.name}-deaf"
    stack.compose("run", "--detach", "--no-deps", "--name", name, "worker", "sleep", "3600")
    try:
        for times in (1, 2, 3):
            words = ["docker", "exec", name, "python", "docker/health.py", "worker"]
            told = subprocess.run(words, capture_output=True, text=True, check=False)
            assert told.returncode != 0
            if times < 3:
                assert f"did not respond, {times} times" in told.stderr
        ended = subprocess.run(["docker", "wait", name], capture_output=True, text=True, check=True, timeout=60)
        assert ended.stdout.strip() == "143", "SIGTERM"
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=True)


@pytest.mark.parametrize("symbols", HARMFUL)
def test_a_harmful_symbol_is_refused_before_any_task(stack: Stack, symbols: str) -> None:
    before = stack.airflow.get("dags/daily_forecast/dagRuns?limit=1")["total_entries"]
    with pytest.raises(Refused) as refused:
        stack.trigger({"symbols": symbols})
    assert 400 <= refused.value.status < 500
    assert stack.airflow.get("dags/daily_forecast/dagRuns?limit=1")["total_entries"] == before
