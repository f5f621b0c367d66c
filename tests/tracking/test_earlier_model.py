"""A model registered by an earlier version of this package: still served with its own code, still a usable champion.

`tests/data/earlier_model` holds `package.zip`, an MLflow model saved when the code was in `pipeline/learning` (an LSTM
trained on the packaged sample; of its code, the modules that serving imports), `history.csv`, made-up prices with a
split and a dividend, and `forecast.json`, what the package forecast from them when it was saved.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.forecast_schema import QUANTILES
from pipeline.jobs.incumbent import usable_champion
from pipeline.jobs.run import Run
from pipeline.modeling.serving import forecast_from_prices
from pipeline.storage.atomic_files import sha256_file
from pipeline.tracking import model_files, registry

EARLIER = Path(__file__).parents[1] / "data" / "earlier_model"
PROMOTED, AFTERWARDS = date(2013, 2, 28), date(2013, 3, 1)
# The network computes in float32, and compiled code sums and multiplies in an order that the processor's vector width
# decides: a cumulative log return of 0.1 may differ by a few units of 6e-9, a price by as much relative to itself.
RELATIVE = 1e-6

OUTSIDE = """
import json, sys
import mlflow.pyfunc, pandas as pd
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server
model = mlflow.pyfunc.load_model("models:/daily-forecast@champion")
history = pd.read_csv(sys.argv[1])
rows = model.predict(history).to_dict("records")
server = TestClient(scoring_server.init(model))
posted = {"dataframe_split": json.loads(history.to_json(orient="split", index=False))}
served, refused = (
    server.post("/invocations", json=body)
    for body in (posted, {"dataframe_split": {"columns": ["symbol"], "data": [["IBM"]]}})
)
modules = sorted(name for name in sys.modules if name.startswith("pipeline."))
import pipeline
print(json.dumps({
    "rows": rows, "served": served.json()["predictions"], "refused": refused.status_code,
    "modules": modules, "code": pipeline.__file__,
}))
"""


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.read_csv(EARLIER / "history.csv")


@pytest.fixture
def forecast() -> pd.DataFrame:
    return pd.DataFrame(json.loads((EARLIER / "forecast.json").read_text()))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    with zipfile.ZipFile(EARLIER / "package.zip") as archive:
        archive.extractall(tmp_path / "package")
    return tmp_path / "package"


@pytest.fixture
def version(settings: Settings, client: Any, run_id: str, package: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its number in MLflow, registered with the calls and the tags of the version that saved it."""
    described = json.loads((package / "artifacts/model.json").read_text())
    facts = ("as_of", "network", "horizon", "context_length", "hidden_size", "training_steps", "seed", "data_digest")
    tags = {name: str(described[name]) for name in facts} | {
        "weights_sha256": sha256_file(package / "artifacts/weights.safetensors"),
        "description_sha256": sha256_file(package / "artifacts/model.json"),
        "source": settings.source,
    }
    model = client.create_logged_model(
        client.get_run(run_id).info.experiment_id,
        name="forecast",
        source_run_id=run_id,
        tags=tags,
        params=tags,
        model_type="forecaster",
    )
    client.log_model_artifacts(model.model_id, str(package))
    client.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model(registry.MODEL)
    with monkeypatch.context() as patch:  # the registry finds the model in the environment's MLflow alone
        patch.setenv("MLFLOW_TRACKING_URI", settings.tracking_uri)
        made = client.create_model_version(
            registry.MODEL, f"models:/{model.model_id}", run_id=run_id, tags=tags, model_id=model.model_id
        )
    registry.promote(settings, made.version, PROMOTED)
    return str(made.version)


@pytest.mark.slow
def test_it_is_served_with_its_own_code_where_there_is_no_checkout(
    version: str, settings: Settings, forecast: pd.DataFrame, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    command = [sys.executable, "-W", "ignore", "-c", OUTSIDE, str(EARLIER / "history.csv")]
    answered = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert answered.returncode == 0, answered.stderr[-2000:]
    answer = json.loads(answered.stdout.splitlines()[-1])
    assert "pipeline.learning.forecaster" in answer["modules"]
    assert not [name for name in answer["modules"] if name.startswith("pipeline.modeling")]
    assert answer["refused"] == 400
    for rows in (answer["rows"], answer["served"]):
        pd.testing.assert_frame_equal(pd.DataFrame(rows), forecast, rtol=RELATIVE, atol=0)


def test_as_champion_it_is_downloaded_and_forecasts_what_it_did(
    version: str, settings: Settings, history: pd.DataFrame, forecast: pd.DataFrame, tmp_path: Path
) -> None:
    @contextmanager
    def folder() -> Iterator[Path]:
        yield tmp_path / "champion"

    run = Run(key="later", as_of=AFTERWARDS, symbols=("AAPL", "IBM"))
    champion, forecaster, skipped = usable_champion(run, folder)
    assert champion is not None
    assert forecaster is not None
    assert (champion.version, champion.champion_since, skipped) == (version, PROMOTED, [])
    assert model_files.problem_with(settings, champion) == ""

    today = forecast_from_prices(forecaster, history, model_version=forecaster.card.weights_sha256[:12])
    for column in ("symbol", "step", "target_session", "model", "model_version"):
        assert list(today[column].astype(str)) == list(forecast[column].astype(str))
    np.testing.assert_allclose(today[[*QUANTILES]], forecast[[*QUANTILES]], rtol=RELATIVE)


def test_the_recorded_forecasts_tell_one_network_from_another(forecast: pd.DataFrame) -> None:
    """Otherwise the comparison above would also hold for weights that are never read."""
    widths = (forecast["q0.95"] - forecast["q0.05"]) / forecast["last_close"]
    by_symbol = [widths[forecast["symbol"] == symbol].to_numpy() for symbol in ("AAPL", "IBM")]
    assert np.abs(by_symbol[0] - by_symbol[1]).min() > 1e3 * RELATIVE
