"""What MLflow serves works without the checkout and without pickle, from a plain table of prices."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import mlflow.pyfunc
import pandas as pd
import pytest
import yaml
from mlflow.models import Model

from pipeline.errors import BadFile
from pipeline.forecast_schema import EVENT_INPUTS, LEVELS
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.serving import forecast_from_prices
from pipeline.tracking import model_package
from tests.tracking.material import save_forecaster

ELSEWHERE = """
import json, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pd.DataFrame(json.load(open(sys.argv[2]))))
try:
    model.predict(pd.DataFrame(json.load(open(sys.argv[2]))).head(3))
except mlflow.MlflowException as error:
    refused = str(error)
loaded = [module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "pipeline"]
print(json.dumps({"rows": answer.to_dict("records"), "loaded": loaded, "refused": refused}))
"""


@pytest.fixture
def package(tmp_path: Path, history: pd.DataFrame) -> Path:
    save_forecaster(tmp_path / "model")
    about = SimpleNamespace(artifact_location=str(tmp_path), source_run_id="a" * 32, model_id="m-1")
    model_package.save_package(
        tmp_path / "package", model_dir=tmp_path / "model", example=history.tail(40), exchange="XNYS", model=about
    )
    return tmp_path / "package"


@pytest.mark.slow
def test_without_the_checkout_the_forecast_is_the_same_and_uses_every_file_that_travels(
    package: Path, history: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "history.json").write_text(json.dumps(history.to_dict("records")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(package), str(tmp_path / "history.json")]
    answered = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(answered.stdout)
    travelled = {str(path) for path in (package / "code").rglob("*.py")}
    assert set(told["loaded"]) == travelled, "each file that travels is used, and no other is"
    assert "no symbol has 20 whole sessions" in told["refused"]

    forecaster = Forecaster.load(tmp_path / "model")
    ours = forecast_from_prices(forecaster, history, model_version=forecaster.card.weights_sha256[:12])
    theirs = pd.DataFrame(told["rows"]).assign(as_of=lambda rows: pd.to_datetime(rows["as_of"]).dt.date)
    assert list(theirs.columns) == list(ours.columns)
    levels = [f"q{level:g}" for level in LEVELS]
    pd.testing.assert_frame_equal(theirs[["symbol", "step", *levels]], ours[["symbol", "step", *levels]])
    assert list(theirs["target_session"]) == list(ours["target_session"].astype(str))


def test_the_signature_names_the_columns_of_a_forecast(package: Path, history: pd.DataFrame, tmp_path: Path) -> None:
    ours = forecast_from_prices(Forecaster.load(tmp_path / "model"), history)
    assert model_package.signature().outputs.input_names() == list(ours.columns)


def test_the_signature_requires_what_the_model_reads_and_lists_the_rest_as_optional(package: Path) -> None:
    every = ["symbol", "date", "open", "high", "low", "close", "volume", "dividends", "splits"]
    whole = Model.load(package).signature.inputs
    assert whole.input_names() == [*every, "earnings"]
    assert whole.required_input_names() == every[:7]
    for inputs, required in (
        (("return", "market_return"), ["symbol", "date", "close"]),
        (("return", "volume_against_average"), ["symbol", "date", "close", "volume"]),
        (("overnight_gap", "low_below_close"), ["symbol", "date", "open", "low", "close"]),
    ):
        asked = model_package.signature(inputs).inputs
        assert asked.input_names() == every
        assert asked.required_input_names() == required
    for name in EVENT_INPUTS:
        asked = model_package.signature(("return", name)).inputs
        assert asked.input_names() == [*every, "earnings"]
        assert "earnings" not in asked.required_input_names()


def test_a_model_that_reads_closes_only_is_served_from_closes_only(tmp_path: Path, history: pd.DataFrame) -> None:
    save_forecaster(tmp_path / "model", features=("return", "market_return"))
    about = SimpleNamespace(artifact_location=str(tmp_path), source_run_id="a" * 32, model_id="m-1")
    closes = history[["symbol", "date", "close"]]
    model_package.save_package(
        tmp_path / "package", model_dir=tmp_path / "model", example=closes.tail(40), exchange="XNYS", model=about
    )
    required = Model.load(tmp_path / "package").signature.inputs.required_input_names()
    assert required == ["symbol", "date", "close"]
    forecaster = Forecaster.load(tmp_path / "model")
    whole = forecast_from_prices(forecaster, history)
    pd.testing.assert_frame_equal(forecast_from_prices(forecaster, closes), whole)
    damaged = history.assign(volume="n/a", high=-1.0)  # columns that it does not read are not checked either
    pd.testing.assert_frame_equal(forecast_from_prices(forecaster, damaged), whole)
    with pytest.raises(BadFile, match="no column close; required are symbol, date, close"):
        forecast_from_prices(forecaster, history.drop(columns="close"))


def test_what_mlflow_loads_reads_reports_as_the_pipeline_does(tmp_path: Path, history: pd.DataFrame) -> None:
    save_forecaster(tmp_path / "model", event_windows=100)
    about = SimpleNamespace(artifact_location=str(tmp_path), source_run_id="a" * 32, model_id="m-1")
    model_package.save_package(
        tmp_path / "package", model_dir=tmp_path / "model", example=history.tail(40), exchange="XNYS", model=about
    )
    last = pd.Timestamp(history["date"].max())
    to_come = {"symbol": ["IBM"], "date": [str((last + pd.offsets.BDay(2)).date())], "earnings": ["before_open"]}
    stated = pd.concat([history, pd.DataFrame(to_come)], ignore_index=True)
    ours = forecast_from_prices(Forecaster.load(tmp_path / "model"), stated)
    plain = forecast_from_prices(Forecaster.load(tmp_path / "model"), history)
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "package")).predict(stated)
    levels = [f"q{level:g}" for level in LEVELS]
    assert theirs[levels].to_numpy(float).tobytes() == ours[levels].to_numpy(float).tobytes()
    wider = (ours["q0.95"] - ours["q0.05"]) > (plain["q0.95"] - plain["q0.05"])
    assert wider.tolist() == [row.symbol == "IBM" and row.step > 1 for row in ours.itertuples()]


def test_nothing_in_the_package_is_pickled(package: Path) -> None:
    names = {path.name for path in package.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".pyc"))]
    flavor = yaml.safe_load((package / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavor["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert "python_model" not in flavor


def test_requirements_are_pinned_to_what_is_installed(package: Path) -> None:
    lines = (package / "requirements.txt").read_text().splitlines()
    assert f"mlflow=={version('mlflow')}" in lines
    assert f"torch=={version('torch').partition('+')[0]}" in lines
    assert all("==" in line and "+" not in line for line in lines)
