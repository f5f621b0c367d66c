"""darts' BlockRNN with an LSTM on the work of all cases."""

import argparse
import logging
import warnings

import pandas as pd
import torch
from darts import TimeSeries
from darts.models import BlockRNNModel
from darts.utils.likelihood_models.torch import QuantileRegression
from pytorch_lightning.callbacks import Callback

from benchmarks.training.work import CONTEXT, HIDDEN, HORIZON, INPUTS, LEVELS, SEED, WINDOWS, Clock, made

CLOCK = Clock()  # not a field of the callback, which is copied with the model


class Ticks(Callback):
    """Notifies the clock at the end of a step."""

    def on_train_batch_end(self, *_: object) -> None:
        CLOCK.tick()


def main() -> None:
    """Train and print how long a step takes."""
    parser = argparse.ArgumentParser()
    for name, default in (("layers", 1), ("steps", 300), ("symbols", 500), ("sessions", 2500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    values = made(given.symbols, given.sessions)
    times = pd.date_range("2014-01-01", periods=given.sessions, freq="D")
    series = [TimeSeries.from_times_and_values(times, one[:, :1]) for one in values]
    covariates = [TimeSeries.from_times_and_values(times, one[:, 1:INPUTS]) for one in values]
    model = BlockRNNModel(
        input_chunk_length=CONTEXT,
        output_chunk_length=HORIZON,
        model="LSTM",
        hidden_dim=HIDDEN,
        n_rnn_layers=given.layers,
        batch_size=WINDOWS,
        n_epochs=1,
        likelihood=QuantileRegression(list(LEVELS)),
        random_state=SEED,
        pl_trainer_kwargs={
            "max_steps": given.steps,
            "callbacks": [Ticks()],
            "enable_progress_bar": False,
            "logger": False,
            "enable_checkpointing": False,
            "accelerator": "cpu",
        },
    )
    model.fit(series, past_covariates=covariates)
    CLOCK.report(torch_threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
