"""Walk-forward with a peer: the arguments of its script, and how its forecasts are made.

A peer provides a function that trains on many series and returns one that forecasts from contexts. It receives no value
of a fold for training and nothing after an origin for forecasting, so it cannot look ahead. This runs in the peers'
environment, which has only numpy and pandas of this project's dependencies.

Legend: W windows, L context, Q quantile levels.
"""

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.skill.series import Array, contexts, contract, folds_of, history, origins, series_of

LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
CONTEXT, HIDDEN = 60, 64  # as this project's network has by default
SCALED = ", scaled target"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The arguments of one process of a peer."""

    prices: Path
    first: date
    last: date
    refit_every: int
    step: int
    scaled: bool
    seed: int
    out: Path
    training_steps: int | None  # none: as shipped


Forecast = Callable[[Array], Array]  # contexts (W, L) -> quantiles of the value `step` later (W, Q)
Fit = Callable[[Sequence[Array], Asked], Forecast]


def forecasts(prices: pd.DataFrame, asked: Asked, fit: Fit, *, model: str, version: str) -> tuple[pd.DataFrame, float]:
    """Return every forecast of a peer over all folds, and the seconds that it was trained."""
    series = series_of(prices, step=asked.step, scaled=asked.scaled)
    frames, seconds = [], 0.0
    for fold in folds_of(prices, asked.first, asked.last, asked.refit_every):
        origins_of = [origins(one, fold, context=CONTEXT, step=asked.step) for one in series]
        if not any(map(len, origins_of)):
            continue  # no target has come
        seen = [y_T for one in series if len(y_T := history(one, fold)) >= CONTEXT + asked.step]
        if not seen:
            raise ValueError(f"no symbol has {CONTEXT + asked.step} usable values before {fold.first}; begin later")
        began = time.perf_counter()
        forecast = fit(seen, asked)
        seconds += time.perf_counter() - began
        here = list(zip(series, origins_of, strict=True))
        quantiles_WQ = forecast(np.concatenate([contexts(one, t_W, CONTEXT) for one, t_W in here]))
        parts = np.split(quantiles_WQ, np.cumsum([len(t_W) for t_W in origins_of])[:-1])
        answer = partial(contract, step=asked.step, levels=LEVELS, model=model, version=f"{version}, fold {fold.first}")
        frames += [answer(one, t_W, part_WQ) for (one, t_W), part_WQ in zip(here, parts, strict=True)]
    if not frames:
        raise ValueError(f"no target {asked.step} sessions after {asked.first} is known by {asked.last}")
    frame = pd.concat(frames, ignore_index=True)
    return frame.sort_values(["as_of", "symbol"], kind="stable", ignore_index=True), seconds


def run(fit: Fit, *, model: str, version: str, argv: Sequence[str] | None = None) -> None:
    """Do what the command line asks: write the forecasts, print one line of JSON."""
    asked = asked_of(argv)
    quiet()
    prices = pd.read_parquet(asked.prices)
    name = model + SCALED * asked.scaled
    frame, seconds = forecasts(prices, asked, fit, model=name, version=version)
    frame.to_parquet(asked.out, index=False, compression="zstd")
    sys.stdout.write(json.dumps({"seconds": round(seconds, 1), "rows": len(frame), "version": version}) + "\n")


def asked_of(argv: Sequence[str] | None = None) -> Asked:
    """Return what the command line asks of a peer."""
    parser = argparse.ArgumentParser()
    for name, kind in (("prices", Path), ("first", date.fromisoformat), ("last", date.fromisoformat), ("out", Path)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("refit-every", "step", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--training-steps", type=int)
    parser.add_argument("--scaled", action="store_true")
    return Asked(**vars(parser.parse_args(argv)))


def quiet() -> None:
    """Let Lightning and its friends say only what went wrong."""
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
