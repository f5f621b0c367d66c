"""A store of its own for each test: a copy of one that was migrated once, which takes MLflow a second."""

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
from pipeline.tracking import runs, store

AS_OF = date(2013, 2, 28)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings.load(home=tmp_path_factory.mktemp("migrated"))
    store.ping(settings)
    return settings.home / "mlflow" / "mlflow.db"


@pytest.fixture
def settings(home: Path, migrated: Path) -> Settings:
    (home / "mlflow").mkdir(parents=True)
    shutil.copyfile(migrated, home / "mlflow" / "mlflow.db")
    return Settings.load()


@pytest.fixture
def client(settings: Settings) -> Any:
    with store.connected(settings, "look at the store in a test") as client:
        return client


@pytest.fixture
def run_id(settings: Settings) -> str:
    return runs.open_run(
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
def snapshot(tmp_path: Path, prices: pd.DataFrame) -> Path:
    path = tmp_path / "snapshot.parquet"
    prices.assign(session=pd.to_datetime(prices["date"]).dt.date).drop(columns="date").to_parquet(path)
    return path


def model_card(as_of: date = AS_OF) -> dict[str, Any]:
    return {
        "network": "lstm",
        "levels": [0.05, 0.5, 0.95],
        "horizon": 5,
        "context_length": 60,
        "hidden_size": 64,
        "features": ["return", "gap"],
        "as_of": as_of.isoformat(),
        "symbols": ["AAPL", "IBM"],
        "train_first": "2000-03-01",
        "train_last": "2012-02-01",
        "seed": 7,
        "training_steps": 800,
        "data_digest": "d" * 64,
        "weights_sha256": "e" * 64,
    }


def scores(**crps: float) -> dict[str, Any]:
    """A table of held-out scores as training leaves it; CRPS by model."""
    return {
        "first": "2012-03-01",
        "last": "2013-02-21",
        "sessions": 245,
        "windows": 490,
        "models": {name: _score(value) for name, value in crps.items()},
    }


def _score(crps: float) -> dict[str, Any]:
    overall = {"crps_bp": crps, "coverage_50": 0.49, "coverage_80": 0.79, "coverage_90": 0.905}
    return {
        **overall,
        "mae_over_random_walk": 0.998,
        "direction": 0.51,
        "by_step": [{"step": step, "crps_bp": crps + step, "coverage_90": 0.9} for step in (1, 2)],
        "by_symbol": {"AAPL": {"crps_bp": crps}, "IBM": {"crps_bp": crps - 1}},
    }


def training() -> dict[str, Any]:
    return {
        "parameters": {"network": "lstm", "training_steps": 800, "learning_rate": 0.001},
        "curves": {
            "train_pinball": [[step, 1 / step] for step in range(10, 810, 10)],
            "validation_pinball": [[step, 2 / step] for step in range(50, 850, 50)],
        },
        "best_step": 700,
        "seconds": 21.5,
        "windows": 5000,
        "train": {"first": "2000-03-01", "last": "2011-08-01", "windows": 4000},
        "validation": {"first": "2011-08-10", "last": "2012-02-01", "windows": 510},
    }


def decision(**changes: Any) -> dict[str, Any]:
    return {
        "model": "lstm",
        "model_version": "1",
        "promoted": True,
        "reason": "The challenger is better than the champion and the best baseline.",
        "champion": None,
        "best_baseline": "ewma_historical",
        **changes,
    }
