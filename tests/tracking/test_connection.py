"""How MLflow is reached, and what is said when it is not."""

import base64
import json
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.errors import MissingInTracking, TrackingUnavailable
from pipeline.prices.audit_types import Audit
from pipeline.tracking import connection, registry, runs
from pipeline.tracking.experiments import experiment_id
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.restoring import restore_experiment
from pipeline.tracking.scores import metrics
from tests.tracking.material import AS_OF, scores

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def away(home: Path) -> Settings:
    """Settings of a server that does not run."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return Settings.load(mlflow_tracking_uri=f"http://somebody:secret@127.0.0.1:{port}")


def test_an_unreachable_server_is_named_in_the_error(away: Settings) -> None:
    with pytest.raises(
        TrackingUnavailable, match=r"http://127.0.0.1:\d+ cannot be reached.*make run.*then retry"
    ) as told:
        MlflowRun.open(away, experiment="daily-forecast", key="k", name="n", tags={})
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"}  # by default a call takes minutes
    assert limits <= os.environ.keys()
    assert "secret" not in str(told.value)
    assert told.value.retryable


def unknown(settings: Settings) -> MlflowRun:
    return MlflowRun(settings=settings, run_id="a" * 32)


@pytest.mark.parametrize(
    "ask",
    [
        lambda settings, folder: unknown(settings).finish(),
        lambda settings, folder: runs.log_published(unknown(settings), folder),
        lambda settings, folder: unknown(settings).url(),
        lambda settings, folder: registry.champions_before(settings, AS_OF),
        lambda settings, folder: registry.promote(settings, "1", AS_OF),
        lambda settings, folder: connection.ping(settings),
    ],
)
def test_every_function_raises_tracking_unavailable(
    ask: Any, away: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "published.txt").write_text("x")
    with pytest.raises(TrackingUnavailable):
        ask(away, tmp_path)


def test_a_file_that_is_not_a_database_is_named(home: Path) -> None:
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "mlflow.db").write_text("this is not SQLite")
    with pytest.raises(TrackingUnavailable, match=r"mlflow\.db cannot be reached.*restore it from a backup"):
        connection.ping(Settings.load())


@pytest.mark.slow
def test_the_printed_command_restores_a_deleted_experiment_and_leaves_nothing_behind(
    settings: Settings, client: Any, tmp_path: Path
) -> None:
    number = experiment_id(client, settings, "daily-forecast")
    client.delete_experiment(number)
    with pytest.raises(MissingInTracking, match="'daily-forecast' was deleted; restore it with `") as told:
        MlflowRun.open(settings, experiment="daily-forecast", key="k", name="n", tags={})
    assert not told.value.retryable
    assert "has been restored" in typed(str(told.value), tmp_path / "anywhere")
    assert MlflowRun.open(settings, experiment="daily-forecast", key="k", name="n", tags={})


def test_the_printed_command_restores_a_deleted_run(client: Any, run: MlflowRun, tmp_path: Path) -> None:
    run_id = run.run_id
    client.delete_run(run_id)
    with pytest.raises(MissingInTracking, match=f"run {run_id} was deleted; restore it with `") as told:
        runs.log_audit(run, Audit())
    assert "has been restored" in typed(str(told.value), tmp_path / "anywhere")
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def typed(message: str, folder: Path) -> str:
    """Run the command between the message's first backticks in a shell, in an empty folder that stays empty."""
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PIPELINE_"))}
    command = message.split("`")[1]
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("uri", "address", "note"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", ""),
        ("https://bell:secret@host/mlflow", "https://host/mlflow", "MLFLOW_TRACKING_PASSWORD"),
        ("sqlite:////a b/mlflow.db", "'sqlite:////a b/mlflow.db'", ""),
        ("postgresql+psycopg://bell:secret@db/mlflow", "'postgresql+psycopg://bell:***@db/mlflow'", "in place of ***"),
    ],
)
def test_a_command_names_where_mlflow_is_and_no_password(uri: str, address: str, note: str) -> None:
    command = restore_experiment(uri, "7")
    assert command.startswith(f"`MLFLOW_TRACKING_URI={address} ")
    assert f"{sys.executable} -m mlflow experiments restore --experiment-id 7`" in command
    assert note in command
    assert "secret" not in command


def test_artifacts_of_a_direct_database_lie_under_the_home(settings: Settings, client: Any, home: Path) -> None:
    number = experiment_id(client, settings, "daily-forecast")
    assert client.get_experiment(number).artifact_location == str(home / "mlflow" / "artifacts" / "daily-forecast")


@pytest.mark.slow
def test_two_processes_may_open_a_fresh_store_at_once(home: Path) -> None:
    code = "from pipeline.config import Settings; from pipeline.tracking.connection import ping; ping(Settings.load())"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(one.communicate()[1], one.returncode) for one in both] == [("", 0)] * 2


def test_importing_the_package_does_not_import_mlflow() -> None:
    folder = ROOT / "pipeline" / "tracking"
    modules = [f"pipeline.tracking.{path.stem}" for path in folder.glob("[a-z]*.py") if path.stem != "served_model"]
    code = f"import sys, {', '.join(modules)};sys.exit(any(name in sys.modules for name in ('mlflow', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_experiment_has_its_view_and_its_kind_also_one_that_an_older_version_made(
    settings: Settings, client: Any
) -> None:
    older = client.create_experiment("daily-forecast")
    with connection.connected(settings, "find it") as connected:
        assert experiment_id(connected, settings, "daily-forecast") == older
        experiment_id(connected, settings, "live-scores")
    tags = client.get_experiment(older).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(tags["mlflow.sharedViewState.scores"])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    named = metrics(scores(lstm=82.0, ewma_historical=83.0), "lstm") | {"skill_p": 0.1}
    assert {column.split("`")[1] for column in state["selectedColumns"] if column.startswith("metrics.")} <= set(named)
    assert "mlflow.sharedViewState.scores" not in client.get_experiment_by_name("live-scores").tags
