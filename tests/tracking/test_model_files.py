"""With a real MLflow server: a lost file is distinguished from an unreachable server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import requests

from pipeline.config import Settings
from pipeline.errors import MissingArtifact, TrackingUnavailable
from pipeline.tracking import registry
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.model_files import download, problem_with
from pipeline.tracking.registration import register
from tests.tracking.material import AS_OF

PATIENCE = 120.0


class Server(NamedTuple):
    settings: Settings
    artifacts: Path
    process: "subprocess.Popen[bytes]"


@pytest.fixture
def server(home: Path, empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with its artifact proxy, as docker-compose.yml has one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = tmp_path / "server.db"
    database.write_bytes((empty_home / "mlflow" / "mlflow.db").read_bytes())
    words = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri",
             f"sqlite:///{database}", "--artifacts-destination", str(tmp_path / "kept")]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *words], cwd=tmp_path, env=environment,
                                   stdout=log, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    try:
        _await(f"http://127.0.0.1:{port}/health", process, tmp_path / "server.log")
        yield Server(Settings.load(), tmp_path / "kept", process)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _await(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_a_lost_file_and_an_outage_are_distinguished(
    server: Server, trained: Callable[..., Path], prices: pd.DataFrame, tmp_path: Path
) -> None:
    settings = server.settings
    run = MlflowRun.open(settings, experiment="daily-forecast", key="k", name="n", tags={})
    made = register(run, model_dir=trained(), example=prices, tags={})
    registry.promote(settings, made.version, AS_OF)
    assert problem_with(settings, made) == ""
    (weights,) = server.artifacts.rglob(f"{made.model_id}/artifacts/artifacts/weights.safetensors")
    aside = weights.rename(tmp_path / "aside")
    with pytest.raises(MissingArtifact, match=r"weights\.safetensors is missing; restore") as told:
        download(settings, made, tmp_path / "champion")
    assert not told.value.retryable
    assert list((tmp_path / "champion").iterdir()) == []
    aside.rename(weights)
    end(server.process)
    with pytest.raises(TrackingUnavailable, match="cannot be reached"):
        download(settings, made, tmp_path / "champion")
    with pytest.raises(TrackingUnavailable, match="cannot be reached"):
        registry.champions_before(settings, date(2013, 3, 1))
