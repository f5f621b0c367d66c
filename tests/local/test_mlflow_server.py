"""MLflow as local/supervisord.conf starts it: it accepts its own host names only, and no uploads."""

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from local import services
from local.place import REPO, Place

pytestmark = pytest.mark.slow

PATIENCE = 60.0


def command(place: Place, environment: dict[str, str]) -> str:
    """The command that supervisord would run for MLflow."""
    before, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place.home)
    try:
        options = ServerOptions()
        options.configfile = str(services.CONFIGURATION)
        options.process_config(do_usage=False)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    programs = [program for group in options.process_group_configs for program in group.process_configs]
    return str(next(program.command for program in programs if program.name == "mlflow"))


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory, empty_home: Path) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("local") / "var"
    shutil.copytree(empty_home, home)
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    place = Place(home=home, airflow_port=1, mlflow_port=port)
    place.prepare()
    environment = place.environment(dict(os.environ))
    (work := home.parent / "work").mkdir()  # in the place of the checkout, which must stay clean
    with (home / "logs" / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            shlex.split(command(place, environment)), cwd=work, env=environment, stdout=log, stderr=log, umask=0o077
        )
    try:
        _await(place, server)
        yield place
    finally:
        server.terminate()
        server.wait()


def _await(place: Place, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if ask(place, "GET", "/health") == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail((place.logs / "mlflow.log").read_text()[-3000:])


def ask(place: Place, method: str, path: str, *, host: str = "", body: str = "", **headers: str) -> int:
    """Return the status that a request is answered with; `host` is its Host header."""
    connection = HTTPConnection("127.0.0.1", place.mlflow_port, timeout=30)
    host = host or f"127.0.0.1:{place.mlflow_port}"
    sent = {"Host": host, "Content-Type": "application/json", **headers}
    connection.request(method, path, body=body.encode() or None, headers=sent)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


ROUTES = {
    "page": ("GET", "/", ""),
    "static": ("GET", "/static-files/favicon.ico", ""),
    "api": ("POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}'),
    "page's api": ("POST", "/ajax-api/2.0/mlflow/experiments/search", '{"max_results": 1}'),
    "graphql": ("POST", "/graphql", '{"query": "{__typename}"}'),
    "artifact": ("GET", "/get-artifact?run_uuid=0&path=x", ""),
    "model's artifact": ("GET", "/model-versions/get-artifact?name=x&version=1&path=y", ""),
    "artifact proxy": ("GET", "/api/2.0/mlflow-artifacts/artifacts/x", ""),
}
# Refused before any handler is asked, whatever that would have said.
STRANGERS = [
    "10.evil.example",
    "192.168.0.1.evil.example",
    "172.16.evil.example",
    "evil.example",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "10.0.0.7:{port}",
    "localhost:1",
]


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
@pytest.mark.parametrize("host", STRANGERS)
def test_another_name_is_refused_on_every_route(mlflow: Place, host: str, route: tuple[str, str, str]) -> None:
    method, path, body = route
    assert ask(mlflow, method, path, host=host.format(port=mlflow.mlflow_port), body=body) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
@pytest.mark.parametrize("name", ["page", "api", "page's api", "graphql"])
def test_its_own_names_are_answered(mlflow: Place, host: str, name: str) -> None:
    method, path, body = ROUTES[name]
    assert ask(mlflow, method, path, host=host.format(port=mlflow.mlflow_port), body=body) == 200


def test_another_site_changes_nothing(mlflow: Place) -> None:
    made = ("POST", "/api/2.0/mlflow/experiments/create")
    assert ask(mlflow, *made, body='{"name": "theirs"}', Origin="https://evil.example") == 403
    assert ask(mlflow, *made, body='{"name": "ours"}', Origin=f"http://localhost:{mlflow.mlflow_port}") == 200


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_the_server_accepts_no_uploads(mlflow: Place, prefix: str) -> None:
    path = f"{prefix}/2.0/mlflow-artifacts/artifacts/planted/x.txt"
    assert ask(mlflow, "PUT", path, body="planted") == 503
    assert not list(mlflow.home.parent.rglob("*planted*"))
    assert not (REPO / "mlartifacts").exists()
    assert list((mlflow.home.parent / "work").iterdir()) == []


def test_what_a_run_has_left_can_be_seen(mlflow: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts no files, and still shows those that clients have written next to its database."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.mlflow_url)  # some of MLflow's calls look nowhere else
    client = MlflowClient(tracking_uri=mlflow.mlflow_url)
    experiment = client.create_experiment("seen")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "something", "notes/a.txt")
    model = client.create_logged_model(experiment, name="forecast", source_run_id=run)
    (folder := mlflow.home / "model").mkdir()
    (folder / "weights").write_text("something")
    client.log_model_artifacts(model.model_id, str(folder))
    api = f"/ajax-api/2.0/mlflow/logged-models/{model.model_id}/artifacts"
    for path in (
        f"/get-artifact?run_uuid={run}&path=notes/a.txt",
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}&path=notes",
        f"{api}/directories",
        f"{api}/files?artifact_file_path=weights",
    ):
        assert ask(mlflow, "GET", path) == 200, path
    assert list((mlflow.home.parent / "work").iterdir()) == []
