"""darts' BlockRNN with an LSTM, walk-forward: width, context and quantiles are this project's, the rest is as shipped.

As shipped are batches of 32, a rate of 0.001, and no scaling. Its 100 epochs end after as many windows as this
project's network sees (1,000 steps of 256): on a hundred symbols they would take days.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from benchmarks.skill.peer import CONTEXT, HIDDEN, LEVELS, Asked, Forecast, run
from benchmarks.skill.series import Array

_STEPS = 8000  # of 32 windows
_QUIET = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "accelerator": "cpu"}


def fit(series: Sequence[Array], asked: Asked) -> Forecast:
    """Return a forecaster trained on the series."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from darts.utils.likelihood_models.torch import QuantileRegression

    model = BlockRNNModel(
        input_chunk_length=CONTEXT,
        output_chunk_length=asked.step,
        model="LSTM",
        hidden_dim=HIDDEN,
        likelihood=QuantileRegression(list(LEVELS)),
        random_state=asked.seed,
        pl_trainer_kwargs={"max_steps": asked.training_steps or _STEPS, **_QUIET},
    )

    def made(values: Sequence[Array]) -> list[TimeSeries]:
        return [TimeSeries.from_values(one.astype(np.float32)) for one in values]

    model.fit(made(series))

    def forecast(contexts_WL: Array) -> Array:
        answers = model.predict(
            asked.step, made(list(contexts_WL)), batch_size=1024, predict_likelihood_parameters=True, verbose=False
        )
        return np.stack([one.values(copy=False)[-1] for one in answers])

    return forecast


def main() -> None:
    """Run the walk-forward of the command line."""
    run(fit, model="darts", version=f"darts {version('darts')}")


if __name__ == "__main__":
    main()
