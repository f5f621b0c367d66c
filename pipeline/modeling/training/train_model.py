"""Train the model that the settings ask for, and record the training."""

import time
from dataclasses import dataclass
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
    """Return the forecaster that the settings ask for, trained on `fold.train`, stopped early on `fold.validation`.

    The same features, fold and settings give the same bits on the same machine.
    """
    panel, seen = features.panel, fold.validation
    card = ModelCard(
        network=settings.network,
        levels=LEVELS,
        horizon=settings.horizon,
        context_length=settings.context_length,
        hidden_size=settings.hidden_size,
        as_of=str(as_of),
        symbols=tuple(panel.symbols[s] for s in np.unique(fold.train.s_N)),
        train_first=str(panel.days(fold.train.s_N, fold.train.t_N).min()),
        train_last=str(panel.days(seen.s_N, seen.t_N).max()),
        targets_last=str(panel.days(seen.s_N, seen.t_N + settings.horizon).max()),
        seed=settings.seed,
        training_steps=settings.training_steps,
        data_digest=data_digest,
        features=settings.inputs,
        head="additive",
        event_windows=features.windows_with_reports(fold.train.s_N, fold.train.t_N),
    )
    recipe = Recipe(
        steps=settings.training_steps,
        batch_size=settings.batch_size,
        seed=settings.seed,
        levels=LEVELS,
        learning_rate=settings.learning_rate,
        inputs=settings.inputs,
        threads=settings.threads,
        precision=precision,
    )
    began = time.monotonic()
    fitted = fit(features, fold, card.shape, recipe, progress)
    record = TrainingRecord(
        parameters=TrainingParameters.from_settings(
            settings, weight_decay=recipe.weight_decay, clip_norm=recipe.clip_norm, precision=recipe.precision
        ),
        curves=TrainingCurves(
            train_pinball=tuple(fitted.train_pinball),
            validation_pinball=tuple(fitted.validation_pinball),
            learning_rate=tuple(fitted.learning_rate),
        ),
        best_step=fitted.best_step,
        seconds=round(time.monotonic() - began, 3),
        windows=len(fold.train) + len(fold.validation) + len(fold.test),
        train=_block(panel, fold.train),
        validation=_block(panel, seen),
    )
    return Retrained(forecaster=Forecaster(card, fitted.network), record=record)


def _block(panel: Panel, origins: Origins) -> WindowBlock:
    days_N = panel.days(origins.s_N, origins.t_N)
    return WindowBlock(first=str(days_N.min()), last=str(days_N.max()), windows=len(origins))
