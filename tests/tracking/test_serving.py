"""`mlflow models serve` responds over HTTP with the forecast for a posted price history."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from pipeline.config import Settings
from pipeline.forecast_schema import LEVELS
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.serving import forecast_from_prices
from pipeline.tracking import registry
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.registration import register
from tests.tracking.material import AS_OF, save_forecaster

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def served(settings: Settings, run: MlflowRun, history: pd.DataFrame, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the champion, as docs/serving.md starts it."""
    save_forecaster(tmp_path / "model")
    made = register(run, model_dir=tmp_path / "model", example=history.tail(60), tags={})
    registry.promote(settings, made.version, AS_OF)
    port, elsewhere = free_port(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    words = ["-m", "mlflow", "models", "serve", "-m", "models:/daily-forecast@champion", "--env-manager", "local"]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *words, "--host", "127.0.0.1", "--port", str(port)],
            cwd=elsewhere,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(f"http://127.0.0.1:{port}/health", server, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, 15)  # it has started a server of its own
        server.wait()


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"the server does not answer:\n{log.read_text()[-3000:]}")


def post(url: str, table: pd.DataFrame) -> requests.Response:
    split: dict[str, Any] = json.loads(table.to_json(orient="split", index=False))
    return requests.post(url, json={"dataframe_split": split}, timeout=30)


@pytest.mark.slow
def test_a_posted_history_is_answered_with_its_forecast_and_a_bad_one_with_what_is_wrong(
    served: str, history: pd.DataFrame, tmp_path: Path
) -> None:
    answer = post(served, history)
    assert answer.status_code == 200
    theirs = pd.DataFrame(answer.json()["predictions"])
    forecaster = Forecaster.load(tmp_path / "model")
    ours = forecast_from_prices(forecaster, history, model_version=forecaster.card.weights_sha256[:12])
    assert list(theirs.columns) == list(ours.columns)
    levels = [f"q{level:g}" for level in LEVELS]
    pd.testing.assert_frame_equal(theirs[["symbol", "step", *levels]], ours[["symbol", "step", *levels]])
    assert list(theirs["target_session"]) == list(ours["target_session"].astype(str))

    for table, wrong in (
        (history.head(3), "no symbol has 20 whole sessions"),
        (history.drop(columns="open"), "open"),
        (history.assign(symbol="../x"), "../x"),
        (history.assign(date="soon"), "'soon' is not a date"),
        (history.assign(volume="many"), "'many' in volume is not a number"),
        (history.assign(close=1e308), "1e+308 in close is not a price"),
        (history.head(0), "no rows"),
    ):
        refused = post(served, table)
        assert 400 <= refused.status_code < 500
        assert wrong in refused.json()["message"]
        assert "\n" not in refused.json()["message"]
        assert "Traceback" not in refused.text

    partly = post(served, pd.concat([history, history.head(3).assign(symbol="FB")])).json()["predictions"]
    assert {row["symbol"] for row in partly if row["q0.5"] is not None} == {"AAPL", "IBM"}
    assert "left out: " in partly[-1]["note"]

    body, kind = history.to_csv(index=False), {"Content-Type": "text/csv"}
    refused = requests.post(served, data=body, headers=kind, timeout=30)
    assert refused.status_code == 400
    assert "Traceback" not in refused.text
