"""Each test has its own store: a copy of one that was migrated once, which takes MLflow a second."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from pipeline.config import Settings
from pipeline.prices.store.snapshot import Snapshot
from pipeline.tracking import connection
from pipeline.tracking.mlflow_run import MlflowRun
from tests.tracking.material import AS_OF, model_card


@pytest.fixture
def settings(home: Path, empty_home: Path) -> Settings:
    shutil.copytree(empty_home, home)
    return Settings.load()


@pytest.fixture
def client(settings: Settings) -> Any:
    with connection.connected(settings, "look at the store in a test") as client:
        return client


@pytest.fixture
def run(settings: Settings) -> MlflowRun:
    return MlflowRun.open(
        settings, experiment="daily-forecast", key="run-1", name="2013-02-28 lstm", tags={"network": "lstm"}
    )


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Path]:
    """Makes the model folder that training leaves, with weights that depend on `seed`."""

    def make(as_of: date = AS_OF, seed: int = 1, **facts: Any) -> Path:
        folder = tmp_path / f"model-{as_of}-{seed}"
        folder.mkdir(exist_ok=True)
        weights = np.random.default_rng(seed).normal(size=(8, 8)).astype("float32")
        save_file({"weight": weights}, folder / "weights.safetensors")
        digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        card = {**model_card(as_of), "seed": seed, **facts, "weights_sha256": digest}
        (folder / "model.json").write_text(json.dumps(card))
        return folder

    return make


@pytest.fixture
def prices() -> pd.DataFrame:
    days = pd.bdate_range("2013-02-01", "2013-02-28").strftime("%Y-%m-%d")
    one = pd.DataFrame({"date": days, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 1000})
    return pd.concat([one.assign(symbol=symbol) for symbol in ("AAPL", "IBM")], ignore_index=True)


@pytest.fixture
def run_id(run: MlflowRun) -> str:
    return run.run_id


@pytest.fixture
def snapshot(tmp_path: Path, prices: pd.DataFrame) -> Snapshot:
    path = tmp_path / "snapshot.parquet"
    prices.assign(session=pd.to_datetime(prices["date"]).dt.date).drop(columns="date").to_parquet(path)
    return Snapshot(path=path, digest="ab" * 32)


@pytest.fixture
def history() -> pd.DataFrame:
    days = pd.bdate_range("2012-06-01", "2013-02-28")
    wave = pd.Series(range(len(days))) % 7
    one = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "open": 100.0 + wave, "volume": 1000 + wave})
    one = one.assign(high=one["open"] + 2, low=one["open"] - 2, close=one["open"] + 1 - wave % 2)
    return pd.concat([one.assign(symbol=symbol) for symbol in ("AAPL", "IBM")], ignore_index=True)
