"""Peers in the skill benchmark: the product's scaled target, the right output, no look-ahead."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.skill import neuralforecast_lstm, peer, series
from benchmarks.skill.prices import Outcomes
from pipeline.config import Settings
from pipeline.forecast_schema import LEVELS
from pipeline.modeling.data.features import DECAY, STILL, WARM_UP, ewma_volatility
from pipeline.publishing.tables.daily_tables import SCHEMA
from tests.benchmarks.made_forecasts import SYMBOLS, made_prices


def test_the_plain_volatility_equals_the_products() -> None:
    assert (series.DECAY, series.WARM_UP, series.STILL) == (DECAY, WARM_UP, STILL)
    returns = np.random.default_rng(2).normal(0, 0.02, 300)
    returns[[0, 40, 41]] = np.nan
    ours = ewma_volatility(returns[None], DECAY)[0]
    np.testing.assert_allclose(series.ewma_volatility(returns), ours, rtol=1e-12)


def test_the_peers_are_asked_for_what_the_product_forecasts() -> None:
    assert peer.LEVELS == LEVELS
    assert Settings.model_fields["context_length"].default == peer.CONTEXT
    assert Settings.model_fields["hidden_size"].default == peer.HIDDEN


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("step", [1, 5])
def test_the_last_output_of_a_peer_is_the_return_after_its_origin(step: int, scaled: bool) -> None:
    prices = made_prices()
    made = series.series_of(prices, step=step, scaled=scaled)
    assert [one.symbol for one in made] == list(SYMBOLS)
    for one in made:
        whole = prices[prices["symbol"] == one.symbol]
        level = whole["level"].to_numpy()[-len(one.y_T) :]
        assert (whole["session"].to_numpy()[-len(one.y_T) :] == one.sessions_T).all()
        came = np.log(level[step:] / level[:-step])
        np.testing.assert_allclose(one.y_T[step:] * one.scale_T[:-step], came, rtol=0, atol=1e-12)
        assert np.isfinite(one.y_T).all()


def test_a_series_begins_after_unusable_values() -> None:
    still = pd.DataFrame(
        {"symbol": "S", "session": pd.bdate_range("2020-01-01", periods=200), "close": 10.0, "level": 10.0}
    )
    assert series.series_of(still, step=1, scaled=True) == []
    (one,) = series.series_of(still, step=1, scaled=False)
    assert len(one.y_T) == 199


def test_every_session_is_in_one_fold_and_does_not_train_it() -> None:
    prices = made_prices()
    folds = list(series.folds_of(prices, date(2020, 4, 1), date(2020, 5, 29), 20))
    sessions = np.unique(prices["session"].to_numpy().astype("datetime64[D]"))
    asked = sessions[(sessions >= np.datetime64("2020-04-01")) & (sessions <= np.datetime64("2020-05-29"))]
    inside = [[day for day in asked if fold.first <= day <= fold.last] for fold in folds]
    assert [len(days) for days in inside] == [20, 20, 3]
    assert [day for days in inside for day in days] == list(asked)
    (one, *_) = series.series_of(prices, step=5, scaled=True)
    for fold in folds:
        seen = series.history(one, fold)
        assert one.sessions_T[len(seen)] == fold.first  # the one before is the newest
        t_W = series.origins(one, fold, context=20, step=5)
        assert one.sessions_T[t_W[0]] == fold.first
        assert one.sessions_T[t_W[-1]] == min(fold.last, one.sessions_T[-6])
        np.testing.assert_array_equal(series.contexts(one, t_W, 20)[0], one.y_T[t_W[0] - 19 : t_W[0] + 1])


def echo(seen: Sequence[series.Array], _asked: peer.Asked) -> peer.Forecast:
    """A peer that reveals its inputs: the last value of the context, and around it its training data."""
    trained = float(np.mean(np.concatenate(list(seen))))
    spread = np.array([0.3, 0.2, 0.1, 0.0, -0.1, -0.2, -0.3])  # from the top down: the quantiles cross

    def forecast(contexts_WL: series.Array) -> series.Array:
        assert contexts_WL.shape[1] == peer.CONTEXT
        return contexts_WL[:, -1:] + trained + spread

    return forecast


def asked_of(step: int, scaled: bool) -> peer.Asked:
    return peer.Asked(
        prices=Path("none"), first=date(2020, 5, 18), last=date(2020, 6, 26), refit_every=10, step=step, scaled=scaled,
        seed=1, out=Path("none"), training_steps=None,
    )  # fmt: skip


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("step", [1, 5])
def test_forecasts_of_a_peer_do_not_depend_on_later_prices(step: int, scaled: bool) -> None:
    prices = made_prices()
    before, _ = peer.forecasts(prices, asked_of(step, scaled), echo, model="echo", version="1")
    day = pd.Timestamp("2020-06-05")
    poisoned = prices.assign(level=np.where(prices["session"] > day, 9 * prices["level"] + 1, prices["level"]))
    after, _ = peer.forecasts(poisoned, asked_of(step, scaled), echo, model="echo", version="1")
    upto = before["as_of"] <= day
    pd.testing.assert_frame_equal(before[upto], after[upto])
    assert not np.allclose(before.loc[~upto, "q0.5"], after.loc[~upto, "q0.5"])


@pytest.mark.parametrize("step", [1, 5])
def test_a_peer_answers_in_the_published_columns(step: int) -> None:
    prices = made_prices()
    frame, seconds = peer.forecasts(prices, asked_of(step, False), echo, model="echo", version="1")
    assert list(frame.columns) == SCHEMA.names
    assert seconds >= 0
    quantiles = frame[[f"q{level:g}" for level in LEVELS]].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    outcomes = Outcomes(prices)
    row_N = outcomes.rows(frame["symbol"], frame["as_of"].to_numpy())
    later = outcomes.sessions(outcomes.later(row_N, step))
    assert (later == frame["target_session"].to_numpy().astype("datetime64[D]")).all()
    assert (prices["close"].to_numpy()[row_N] == frame["last_close"]).all()
    assert (frame["as_of"].min(), set(frame["step"])) == (pd.Timestamp("2020-05-18"), {step})


def test_a_fold_without_known_targets_is_left_out_and_missing_history_is_refused() -> None:
    prices = made_prices()
    last = prices["session"].max().date()
    whole, _ = peer.forecasts(prices, replace(asked_of(5, False), last=last), echo, model="echo", version="1")
    assert whole["target_session"].max() == prices["session"].max()
    late = replace(asked_of(5, False), first=last, last=last)
    with pytest.raises(ValueError, match="no target 5 sessions after"):
        peer.forecasts(prices, late, echo, model="echo", version="1")
    with pytest.raises(ValueError, match="no symbol has 65 usable values"):
        peer.forecasts(prices, replace(asked_of(5, True), first=date(2020, 4, 27)), echo, model="echo", version="1")


def test_neuralforecasts_names_of_quantiles() -> None:
    names = [neuralforecast_lstm.column(level) for level in LEVELS]
    assert names == ["-lo-90.0", "-lo-80.0", "-lo-50.0", "-median", "-hi-50.0", "-hi-80.0", "-hi-90.0"]
