"""Small synthetic results of training and the gate."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.forecast_schema import INPUTS, LEVELS
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.training.training_record import (
    TrainingCurves,
    TrainingParameters,
    TrainingRecord,
    WindowBlock,
)
from pipeline.tracking.dataset import EventData
from tests.editions import decision_from, scores_from

AS_OF = date(2013, 2, 28)
CALENDAR = EventData(
    source="sample", digest="c" * 64, address="file:///store/snapshots/c.parquet", events=1500, reconstructed=1450
)
PARAMETERS = TrainingParameters(
    network="lstm",
    horizon=5,
    context_length=60,
    hidden_size=64,
    training_steps=800,
    batch_size=256,
    learning_rate=0.001,
    holdout_sessions=252,
    validation_sessions=126,
    seed=7,
)


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


def save_forecaster(folder: Path, features: tuple[str, ...] = INPUTS, event_windows: int = 0) -> None:
    """Save a small untrained network as training does."""
    sizes = {"levels": LEVELS, "context_length": 20, "hidden_size": 8}
    card = ModelCard(**{**model_card(), **sizes, "features": features, "event_windows": event_windows})
    torch.manual_seed(0)
    start = torch.linspace(-1, 1, len(LEVELS)).repeat(card.horizon, 1)
    Forecaster(card, build(card.shape, start)).save(folder)


def scores(**crps: float) -> Scores:
    """A table of held-out scores as training leaves it; CRPS by model."""
    return scores_from(score_document(**crps))


def score_document(**crps: float) -> dict[str, Any]:
    """The same as scores.json holds it."""
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


def training(**parameters: Any) -> TrainingRecord:
    """The record of a training; `parameters` replace settings."""
    return TrainingRecord(
        parameters=replace(PARAMETERS, **parameters),
        curves=TrainingCurves(
            train_pinball=tuple((step, 1 / step) for step in range(10, 810, 10)),
            validation_pinball=tuple((step, 2 / step) for step in range(50, 850, 50)),
        ),
        best_step=700,
        seconds=21.5,
        windows=5000,
        train=WindowBlock(first="2000-03-01", last="2011-08-01", windows=4000),
        validation=WindowBlock(first="2011-08-10", last="2012-02-01", windows=510),
    )


def untrained(reason: str = "too little history") -> TrainingRecord:
    return TrainingRecord(parameters=PARAMETERS, not_trained=reason)


def decision(**changes: Any) -> Decision:
    document = {
        "model": "lstm",
        "model_version": "1",
        "promoted": True,
        "reason": "The challenger is better than the champion and the best baseline.",
        "champion": None,
        "best_baseline": "ewma_historical",
        **changes,
    }
    return decision_from(document)
