"""neuralforecast's LSTM on the work of all cases, as shipped or at the setting that was found fastest."""

import argparse
import logging

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM
from pytorch_lightning.callbacks import Callback

from benchmarks.training.work import CONTEXT, HIDDEN, HORIZON, INPUTS, SEED, WINDOWS, Clock, made

# Series drawn for a step: as shipped 32, all of whose windows are made before 256 of them are chosen.
_SERIES = {"shipped": 32, "best": 4}


CLOCK = Clock()  # not a field of the callback, which is copied with the model


class Ticks(Callback):
    """Notifies the clock at the end of a step."""

    def on_train_batch_end(self, *_: object) -> None:
        CLOCK.tick()


def main() -> None:
    """Train and print how long a step takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--setting", choices=sorted(_SERIES), default="shipped")
    for name, default in (("layers", 1), ("steps", 300), ("symbols", 500), ("sessions", 2500), ("series", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    values = made(given.symbols, given.sessions)
    more = [f"x{at}" for at in range(1, INPUTS)]
    frame = pd.DataFrame(values.reshape(-1, INPUTS), columns=["y", *more])
    frame["unique_id"] = np.repeat([f"S{at:04d}" for at in range(given.symbols)], given.sessions)
    frame["ds"] = np.tile(pd.date_range("2014-01-01", periods=given.sessions, freq="D"), given.symbols)
    model = LSTM(
        h=HORIZON,
        input_size=CONTEXT,
        encoder_n_layers=given.layers,
        encoder_hidden_size=HIDDEN,
        hist_exog_list=more,
        loss=MQLoss(level=[50, 90]),
        max_steps=given.steps,
        batch_size=given.series or _SERIES[given.setting],
        windows_batch_size=WINDOWS,
        random_seed=SEED,
        val_check_steps=10 * given.steps,
        callbacks=[Ticks()],
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
    )
    NeuralForecast(models=[model], freq="D").fit(frame)
    CLOCK.report(torch_threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
