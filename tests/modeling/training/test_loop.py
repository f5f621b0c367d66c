"""The training loop: the learning-rate schedule, and early stopping on the validation block alone."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from pipeline.config import Overrides, Settings
from pipeline.errors import BadSetting
from pipeline.forecast_schema import INPUTS, LEVELS
from pipeline.jobs.planning import plan_run
from pipeline.modeling.data import splits
from pipeline.modeling.data.features import Features, future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import usable_origins, with_targets
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.training.loop import Fitted, Recipe, fit, scaled_targets
from pipeline.modeling.training.train_model import retrain
from pipeline.prices.sources.sample import SampleSource

HORIZON, CONTEXT = 3, 20
SHAPE = Shape.reading(INPUTS, network="rnn", context_length=CONTEXT, hidden_size=8, horizon=HORIZON, levels=len(LEVELS))


@pytest.fixture(scope="module")
def features() -> Features:
    bars = SampleSource().bars(("AAPL", "IBM"), date(2013, 3, 1))
    return make_features(panel_from_bars(bars[bars["session"] >= "2009-01-01"].reset_index(drop=True)))


@pytest.fixture(scope="module")
def fold(features: Features) -> Fold:
    origins = with_targets(usable_origins(features, CONTEXT), future_returns(features.panel.return_ST, HORIZON))
    return splits.split(origins, features.panel, horizon=HORIZON, holdout=100, validation=60)


def run(features: Features, fold: Fold, *, steps: int = 60, learning_rate: float = 2e-3) -> Fitted:
    recipe = Recipe(steps=steps, batch_size=32, seed=1, levels=LEVELS, learning_rate=learning_rate)
    return fit(features, fold, SHAPE, recipe)


def weights(fitted: Fitted) -> bytes:
    return b"".join(value.numpy().tobytes() for value in fitted.network.state_dict().values())


def test_the_learning_rate_rises_to_its_peak_and_decays(features: Features, fold: Fold) -> None:
    rates = np.array([rate for _, rate in run(features, fold).learning_rate])
    peak = int(rates.argmax())
    assert rates[peak] == pytest.approx(2e-3, rel=0.02)
    assert 0 < peak < 12
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 2e-3 / 50


def test_targets_of_some_windows_are_those_of_all(features: Features, fold: Fold) -> None:
    future_STH = future_returns(features.panel.return_ST, HORIZON)
    origins = fold.validation
    scale_N = features.scale_ST[origins.s_N, origins.t_N]
    expected = future_STH[origins.s_N, origins.t_N] / (scale_N[:, None] * np.sqrt(np.arange(1, HORIZON + 1)))
    np.testing.assert_allclose(scaled_targets(features, origins, HORIZON).numpy(), expected, rtol=1e-6)


def test_a_training_that_only_harms_keeps_the_initial_network(features: Features, fold: Fold) -> None:
    """If no validation loss is below the first one, the quantiles of the targets stay."""
    fitted = run(features, fold, steps=50, learning_rate=10.0)
    assert fitted.best_step == 0
    assert weights(fitted) == weights(run(features, fold, steps=1, learning_rate=1e-30))


def test_weights_do_not_depend_on_the_holdout_sessions(features: Features, fold: Fold) -> None:
    panel = features.panel
    last = int(fold.validation.t_N.max()) + HORIZON
    poisoned_ST = panel.return_ST.copy()
    poisoned_ST[:, last + 1 :] *= 1e3
    assert np.isfinite(poisoned_ST[:, last + 1 :]).any()
    poisoned = replace(features, panel=replace(panel, return_ST=poisoned_ST))
    assert weights(run(features, fold)) == weights(run(poisoned, fold))


def test_the_validation_block_decides_only_the_best_step(features: Features, fold: Fold) -> None:
    """Other validation sessions change at most the chosen step; the weights at each step are the same."""
    half = replace(fold, validation=fold.validation.where(fold.validation.t_N > np.median(fold.validation.t_N)))
    one, other = run(features, fold), run(features, half)
    assert one.train_pinball == other.train_pinball
    assert one.validation_pinball != other.validation_pinball


def test_the_learning_rate_setting_is_the_peak_and_is_recorded(features: Features, fold: Fold) -> None:
    settings = Settings(
        network="rnn", horizon=HORIZON, context_length=CONTEXT, hidden_size=8, training_steps=20, batch_size=32,
        learning_rate=3e-3,
    )  # fmt: skip
    record = retrain(features, fold, settings, as_of=date(2013, 3, 1), data_digest="x").record
    assert record.parameters.learning_rate == 3e-3
    assert max(rate for _, rate in record.curves.learning_rate) == pytest.approx(3e-3, rel=0.05)


@pytest.mark.parametrize("rate", [0.0, -1e-3, 1.0, float("nan")])
def test_a_learning_rate_out_of_bounds_is_refused_by_name(rate: float) -> None:
    with pytest.raises(BadSetting, match="PIPELINE_LEARNING_RATE"):
        Settings.load(learning_rate=rate)


def test_another_learning_rate_is_another_run() -> None:
    def key(rate: float) -> str:
        asked = {"source": "sample", "learning_rate": rate}
        return plan_run(
            key=None, now=datetime(2013, 3, 5, tzinfo=UTC), as_of=date(2013, 3, 1), interval_end=None, manual=True,
            overrides=Overrides(asked), provenance={},
        ).key  # fmt: skip

    assert key(5e-4) == key(5e-4) != key(2e-3)


def test_one_pass_trains_on_everything_and_validates_nothing(features: Features, fold: Fold) -> None:
    """It depends on the validation windows, which are training windows then, and ends with the last step's weights."""
    recipe = Recipe(steps=20, batch_size=32, seed=1, levels=LEVELS, learning_rate=2e-3, one_pass=True)
    whole = fit(features, fold, SHAPE, recipe)
    assert (whole.best_step, whole.validation_pinball) == (20, [])
    assert weights(whole) == weights(fit(features, replace(fold, validation=fold.test), SHAPE, recipe))
    shorter = replace(fold, before_test=fold.train)
    assert weights(whole) != weights(fit(features, shorter, SHAPE, recipe))


@pytest.mark.parametrize(("batch_size", "one_pass"), [(8, True), (4096, False)])
def test_the_budget_follows_from_the_data(
    features: Features, fold: Fold, monkeypatch: pytest.MonkeyPatch, batch_size: int, one_pass: bool
) -> None:
    """600 steps of 8 windows are no more than one pass over some 1,800; of 4,096 they are many."""
    asked: list[Recipe] = []

    def noted(features: Features, fold: Fold, shape: Shape, recipe: Recipe, progress: object = None) -> Fitted:
        asked.append(recipe)
        return fit(features, fold, shape, replace(recipe, steps=1))

    monkeypatch.setattr("pipeline.modeling.training.train_model.fit", noted)
    settings = Settings(
        network="rnn", hidden_size=4, context_length=CONTEXT, horizon=HORIZON, batch_size=batch_size,
        training_steps=None if not one_pass else len(fold.before_test) // batch_size,
    )  # fmt: skip
    record = retrain(features, fold, settings, as_of=date(2013, 3, 1), data_digest="x").record
    assert asked[0].one_pass is one_pass
    assert asked[0].learning_rate == (2e-3 if one_pass else 5e-4)
    assert asked[0].steps == (settings.training_steps or 1000)
    assert (record.validation is None) is one_pass
