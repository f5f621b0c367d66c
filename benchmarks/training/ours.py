"""This project's training with the product's own code, on the common work; or its forecast of many symbols."""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.training.work import CONTEXT, HIDDEN, HORIZON, INPUTS, LEVELS, SEED, WINDOWS, Clock, made
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import Origins, Windows
from pipeline.modeling.networks.batched import in_chunks
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.torch_runtime import Workers, settle
from pipeline.modeling.training.loop import Recipe, fit


def features_of(x_STF: NDArray[np.float32]) -> Features:
    """Return the inputs as the product's features; the first is the return, and the scale is 1."""
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
    return Features(
        panel=panel,
        x_STF=x_STF,
        scale_ST=nothing,
        usable_ST=np.ones((symbols, sessions), bool),
        names=tuple(f"x{at}" for at in range(x_STF.shape[2])),
    )


def fold_of(symbols: int, sessions: int) -> Fold:
    """Return the last hundred sessions as validation block and all earlier ones as training block."""
    last = sessions - HORIZON
    cut = last - 100
    return Fold(
        train=_origins(symbols, CONTEXT - 1, cut - HORIZON),
        validation=_origins(symbols, cut, last),
        test=_origins(symbols, 0, 0),
        before_test=_origins(symbols, CONTEXT - 1, last),
    )


def _origins(symbols: int, first: int, beyond: int) -> Origins:
    at_T = np.arange(first, beyond)
    return Origins(s_N=np.repeat(np.arange(symbols), len(at_T)), t_N=np.tile(at_T, symbols))


def shape_of(network: str, layers: int) -> Shape:
    """Return the shape of a network for the common work."""
    return Shape(
        network=network,
        features=INPUTS,
        context_length=CONTEXT,
        hidden_size=HIDDEN,
        horizon=HORIZON,
        levels=len(LEVELS),
        layers=layers,
    )


def main() -> None:
    """Train, or forecast with an untrained network, and print how long it takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="lstm")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    for name, default in (("layers", 1), ("steps", 300), ("symbols", 500), ("sessions", 2500), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--forecast", action="store_true", help="every symbol once, from its last session")
    given = parser.parse_args()
    shape = shape_of(given.network, given.layers)
    clock = Clock()
    if given.forecast:
        _forecast(shape, given.symbols, given.steps, given.threads, clock)
        clock.report()
        return
    features = features_of(made(given.symbols, given.sessions))
    recipe = Recipe(
        steps=given.steps,
        batch_size=WINDOWS,
        seed=SEED,
        levels=LEVELS,
        inputs=features.names,
        threads=given.threads,
        precision=given.precision,
    )
    fold = fold_of(given.symbols, given.sessions)
    fitted = fit(features, fold, shape, recipe, lambda _step, _loss: clock.tick())
    clock.report(validation=min(value for _, value in fitted.validation_pinball))


def _forecast(shape: Shape, symbols: int, rounds: int, threads: int, clock: Clock) -> None:
    """Forecast all symbols repeatedly; a step of the clock is one forecast of all."""
    settle()
    torch.manual_seed(SEED)
    features = features_of(made(symbols, CONTEXT))
    network = build(shape, torch.zeros(HORIZON, len(LEVELS)))
    origins = Origins(s_N=np.arange(symbols), t_N=np.full(symbols, CONTEXT - 1))
    with Workers(threads) as workers:
        for _ in range(rounds):
            windows = Windows(features, CONTEXT, features.names)
            in_chunks(network, windows, windows.starts(origins), workers)
            clock.tick()


if __name__ == "__main__":
    main()
