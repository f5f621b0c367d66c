"""neuralforecast's LSTM, walk-forward: width, layers, context and quantiles are this project's, the rest is as shipped.

As shipped are 1,000 steps of 128 windows, a rate of 0.001, and each window scaled by its own median and deviation.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.skill.peer import CONTEXT, HIDDEN, LEVELS, Asked, Forecast, run
from benchmarks.skill.series import Array

_AT_ONCE = 5000  # series in one call: each origin is one
_QUIET = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "accelerator": "cpu"}


def fit(series: Sequence[Array], asked: Asked) -> Forecast:
    """Return a forecaster trained on the series."""
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import LSTM

    budget = {"max_steps": asked.training_steps} if asked.training_steps else {}
    model = LSTM(
        h=asked.step,
        input_size=CONTEXT,
        encoder_n_layers=1,
        encoder_hidden_size=HIDDEN,
        loss=MQLoss(quantiles=list(LEVELS)),
        random_seed=asked.seed,
        **budget,
        **_QUIET,
    )
    trained = NeuralForecast(models=[model], freq=1)
    trained.fit(_long(series))

    def forecast(contexts_WL: Array) -> Array:
        parts = [contexts_WL[at : at + _AT_ONCE] for at in range(0, len(contexts_WL), _AT_ONCE)]
        return np.concatenate([_last_step(trained.predict(_long(part))) for part in parts])

    return forecast


def _long(series: Sequence[Array] | Array) -> pd.DataFrame:
    """Return the series in one long table, with times counted from 0."""
    lengths = [len(one) for one in series]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(series)), lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": np.concatenate(list(series)),
        }
    )


def _last_step(frame: pd.DataFrame) -> Array:
    """Return the quantiles of the last step of each series in their order, (W, Q)."""
    last = frame.groupby("unique_id", sort=True).tail(1).sort_values("unique_id")
    names = [f"LSTM{column(level)}" for level in LEVELS]
    return last[names].to_numpy(float)


def column(level: float) -> str:
    """Return how neuralforecast names a quantile: by the central interval that it ends."""
    if level == 0.5:
        return "-median"
    side, width = ("lo", 100 - 200 * level) if level < 0.5 else ("hi", 100 - 200 * (1 - level))
    return f"-{side}-{np.round(width, 2)}"


def main() -> None:
    """Run the walk-forward of the command line."""
    run(fit, model="neuralforecast", version=f"neuralforecast {version('neuralforecast')}")


if __name__ == "__main__":
    main()
