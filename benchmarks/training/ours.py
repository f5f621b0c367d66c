"""This project's own training: the product's code, on the work of all cases."""

import argparse
import time

import numpy as np

from benchmarks.training.work import CONTEXT, HIDDEN, HORIZON, INPUTS, LEVELS, SEED, WINDOWS, Clock, made
from pipeline.learning.features import Features
from pipeline.learning.folds import Fold
from pipeline.learning.networks import Shape
from pipeline.learning.panel import Panel
from pipeline.learning.training import Recipe, fit
from pipeline.learning.windows import Origins


def features_of(x_STF: np.ndarray) -> Features:  # type: ignore[type-arg]
    """Return the inputs as the product has them, the first of them as the return and no volatility to scale by."""
    symbols, sessions, _ = x_STF.shape
    nothing = np.ones((symbols, sessions))
    panel = Panel(
        symbols=tuple(f"S{at:04d}" for at in range(symbols)),
        market_S=np.zeros(symbols, np.int64),
        days_MT=(np.datetime64("2014-01-02", "D") + np.arange(sessions))[None],
        open_ST=nothing,
        high_ST=nothing,
        low_ST=nothing,
        close_ST=nothing,
        volume_ST=nothing,
        return_ST=x_STF[..., 0].astype(float),
    )
    return Features(panel=panel, x_STF=x_STF, scale_ST=nothing, usable_ST=np.ones((symbols, sessions), bool))


def fold_of(symbols: int, sessions: int) -> Fold:
    """Return the last hundred sessions as validation, and all before as training."""
    s_N, t_N = np.meshgrid(np.arange(symbols), np.arange(CONTEXT - 1, sessions - HORIZON), indexing="ij")
    every = Origins(s_N=s_N.ravel(), t_N=t_N.ravel())
    cut = sessions - HORIZON - 100
    return Fold(
        train=every.where(every.t_N < cut - HORIZON),
        validation=every.where(every.t_N >= cut),
        test=every.where(every.t_N < 0),
    )


def main() -> None:
    """Train and tell how long a step takes."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="lstm")
    for name, default in (("layers", 1), ("steps", 300), ("symbols", 500), ("sessions", 2500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    shape = Shape(
        network=given.network,
        features=INPUTS,
        context_length=CONTEXT,
        hidden_size=HIDDEN,
        horizon=HORIZON,
        levels=len(LEVELS),
        layers=given.layers,
    )
    recipe = Recipe(steps=given.steps, batch_size=WINDOWS, seed=SEED, levels=LEVELS)
    clock = Clock()
    features = features_of(made(given.symbols, given.sessions))
    fitted = fit(features, fold_of(given.symbols, given.sessions), shape, recipe, lambda _step, _loss: clock.tick())
    clock.tell(began, validation=min(value for _, value in fitted.validation_pinball))


if __name__ == "__main__":
    main()
