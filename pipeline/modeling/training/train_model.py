"""Train the model that the settings ask for, and record the training."""

import time
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from pipeline.config import Settings
from pipeline.forecast_schema import LEVELS
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import Origins
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.loop import Progress, Recipe, fit
from pipeline.modeling.training.training_record import (
    Precision,
    TrainingCurves,
    TrainingParameters,
    TrainingRecord,
    WindowBlock,
)


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A forecaster and the record of its training."""

    forecaster: Forecaster
    record: TrainingRecord


@dataclass(frozen=True, kw_only=True)
class _Budget:
    """How long a network is trained, and on what."""

    steps: int
    learning_rate: float
    one_pass: bool


# What the settings leave open: docs/forecaster.md has the scores of these and other choices.
_ONE_PASS = _Budget(steps=600, learning_rate=2e-3, one_pass=True)
_STOPPED_EARLY = _Budget(steps=1000, learning_rate=5e-4, one_pass=False)


def _budget(settings: Settings, windows: int) -> _Budget:
    """Return the budget of a training with so many windows before the test block."""
    steps = settings.training_steps or _ONE_PASS.steps
    usual = _ONE_PASS if steps * settings.batch_size <= windows else _STOPPED_EARLY
    return replace(
        usual,
        steps=settings.training_steps or usual.steps,
        learning_rate=settings.learning_rate or usual.learning_rate,
    )


def retrain(
    features: Features,
    fold: Fold,
    settings: Settings,
    *,
    as_of: date,
    data_digest: str,
    precision: Precision = "fp32",
    progress: Progress | None = None,
) -> Retrained:
    """Return the forecaster that the settings ask for.

    It is trained on everything before the test block where its budget is at most one pass over that: such a network has
    not seen any window twice, and does not overfit. With less data it is trained on `fold.train` and stopped early on
    `fold.validation`.
    The same features, fold and settings give the same bits on the same machine.
    """
    panel, seen = features.panel, fold.validation
    budget = _budget(settings, len(fold.before_test))
    train = fold.before_test if budget.one_pass else fold.train
    card = ModelCard(
        network=settings.network,
        levels=LEVELS,
        horizon=settings.horizon,
        context_length=settings.context_length,
        hidden_size=settings.hidden_size,
        as_of=str(as_of),
        symbols=tuple(panel.symbols[s] for s in np.unique(train.s_N)),
        train_first=str(panel.days(train.s_N, train.t_N).min()),
        train_last=str(panel.days(seen.s_N, seen.t_N).max()),
        targets_last=str(panel.days(seen.s_N, seen.t_N + settings.horizon).max()),
        seed=settings.seed,
        training_steps=budget.steps,
        data_digest=data_digest,
        features=settings.inputs,
        head="additive",
        event_windows=features.windows_with_reports(train.s_N, train.t_N),
    )
    recipe = Recipe(
        steps=budget.steps,
        batch_size=settings.batch_size,
        seed=settings.seed,
        levels=LEVELS,
        learning_rate=budget.learning_rate,
        inputs=settings.inputs,
        threads=settings.threads,
        precision=precision,
        one_pass=budget.one_pass,
    )
    began = time.monotonic()
    fitted = fit(features, fold, card.shape, recipe, progress)
    record = TrainingRecord(
        parameters=TrainingParameters.from_settings(
            settings,
            steps=recipe.steps,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            clip_norm=recipe.clip_norm,
            precision=recipe.precision,
        ),
        curves=TrainingCurves(
            train_pinball=tuple(fitted.train_pinball),
            validation_pinball=tuple(fitted.validation_pinball),
            learning_rate=tuple(fitted.learning_rate),
        ),
        best_step=fitted.best_step,
        seconds=round(time.monotonic() - began, 3),
        windows=len(train) + (0 if budget.one_pass else len(seen)) + len(fold.test),
        train=_block(panel, train),
        validation=None if budget.one_pass else _block(panel, seen),
    )
    return Retrained(forecaster=Forecaster(card, fitted.network), record=record)


def _block(panel: Panel, origins: Origins) -> WindowBlock:
    days_N = panel.days(origins.s_N, origins.t_N)
    return WindowBlock(first=str(days_N.min()), last=str(days_N.max()), windows=len(origins))
