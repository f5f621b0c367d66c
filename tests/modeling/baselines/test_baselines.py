"""Baselines: quantiles as defined, from what is known at the origin only.

Legend: S symbols, T sessions, N origins.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.forecast_schema import BASELINE_FAMILIES, LEVELS
from pipeline.modeling import baselines
from pipeline.modeling.baseline_notes import BaselineNotes, Count
from pipeline.modeling.baselines import trailing_quantiles
from pipeline.modeling.data.features import STILL, Features, future_returns, make_features
from pipeline.modeling.data.panel import NO_DAY, Panel
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import Origins
from pipeline.prices.sources.sample import SampleSource

HORIZON = 3
SYMBOLS = ("AAPL", "FB", "IBM")
every_baseline = pytest.mark.parametrize("name", BASELINE_FAMILIES)


def sample(last: date = date(2013, 3, 1), symbols: tuple[str, ...] = SYMBOLS) -> pd.DataFrame:
    bars = SampleSource().bars(symbols, last)
    return bars[bars["session"] >= "2009-01-01"].reset_index(drop=True)


@pytest.fixture(scope="module")
def features() -> Features:
    return make_features(panel_from_bars(sample()))


def made(return_ST: np.ndarray, market_S: np.ndarray | None = None) -> Features:
    """Features of symbols with these returns; a session whose return is NaN has no bar."""
    count, width = return_ST.shape
    close_ST = np.where(np.isfinite(return_ST), np.exp(np.nancumsum(return_ST, axis=1)), np.nan)
    market_S = np.zeros(count, np.int64) if market_S is None else market_S
    days_T = np.datetime64("2000-01-03", "D") + np.arange(width)
    panel = Panel(
        symbols=tuple(f"S{s}" for s in range(count)),
        market_S=market_S,
        days_MT=np.tile(days_T, (int(market_S.max()) + 1, 1)),
        open_ST=close_ST,
        high_ST=close_ST,
        low_ST=close_ST,
        close_ST=close_ST,
        volume_ST=np.ones_like(close_ST),
        return_ST=return_ST,
    )
    assert not (panel.days_MT == NO_DAY).any()
    return make_features(panel)


def everywhere(features: Features) -> Origins:
    s_N, t_N = np.nonzero(features.scale_ST > STILL)
    return Origins(s_N=s_N, t_N=t_N)


def quantiles(name: str, features: Features, origins: Origins) -> np.ndarray:
    return baselines.baseline_forecasts(features, origins, horizon=HORIZON, levels=LEVELS, families=[name])[
        name
    ].quantiles_NHQ


def test_random_walk_and_ewma_follow_their_definitions(features: Features) -> None:
    t, step, s = 900, 2, 0
    outcomes = future_returns(features.panel.return_ST, HORIZON)[s, : t - step + 1, step - 1]
    scale = features.scale_ST[s, : t - step + 1]
    own = outcomes[np.isfinite(outcomes)][-500:]
    shaped = (outcomes / scale)[np.isfinite(outcomes / scale)][-500:] / np.sqrt(step)
    origins = Origins(s_N=np.array([s]), t_N=np.array([t]))
    walk = quantiles("random_walk", features, origins)[0, step - 1]
    ewma = quantiles("ewma_historical", features, origins)[0, step - 1]
    np.testing.assert_allclose(walk, np.quantile(own, LEVELS))
    np.testing.assert_allclose(ewma, np.quantile(shaped, LEVELS) * features.scale_ST[s, t] * np.sqrt(step))


def test_trailing_quantiles_equal_those_of_numpy_to_the_last_bit() -> None:
    rng = np.random.default_rng(3)
    values_T = np.where(rng.random(900) < 0.1, np.nan, rng.standard_t(3, 900).round(2))
    last_N = np.array([-3, 0, 105, 120, 300, 555, 580, 899])
    found_NQ = trailing_quantiles.trailing(values_T, last_N, LEVELS)
    for last, found_Q in zip(last_N, found_NQ, strict=True):
        known = values_T[: max(last + 1, 0)]
        known = known[np.isfinite(known)][-trailing_quantiles.PAST :]
        expected = (
            np.quantile(known, LEVELS) if len(known) >= trailing_quantiles.MIN_PAST else np.full(len(LEVELS), np.nan)
        )
        np.testing.assert_array_equal(found_Q, expected)
    assert np.isnan(found_NQ[:, 0]).tolist() == [True] * 3 + [False] * 5


# At 60 a symbol borrows, and at 565 a model is refitted: it must not be used the session before.
@pytest.mark.parametrize("cut", [60, 564])
@every_baseline
def test_quantiles_do_not_depend_on_prices_after_the_origin(name: str, cut: int, features: Features) -> None:
    origins = everywhere(features)
    origins = origins.where((origins.t_N > cut - 5) & (origins.t_N <= cut))
    bars = sample()
    bars.loc[bars["session"] > str(features.panel.day(0, cut)), ["open", "high", "low", "close", "dividend"]] *= 1e3
    poisoned = make_features(panel_from_bars(bars))
    ended = make_features(panel_from_bars(sample(features.panel.day(0, cut), ("AAPL", "IBM"))))
    known_N = np.isin(features.panel.symbols_array[origins.s_N], ended.panel.symbols)
    assert known_N.all()
    there = Origins(s_N=origins.s_N // 2, t_N=origins.t_N)
    whole = quantiles(name, features, origins)
    assert whole.tobytes() == quantiles(name, poisoned, origins).tobytes()
    assert whole.tobytes() == quantiles(name, ended, there).tobytes()
    later = Origins(s_N=origins.s_N, t_N=origins.t_N + 80)
    assert quantiles(name, features, later).tobytes() != quantiles(name, poisoned, later).tobytes()


@every_baseline
def test_quantiles_do_not_depend_on_which_other_origins_are_requested(name: str, features: Features) -> None:
    origins = everywhere(features)
    origins = origins.where(origins.t_N % 7 == 0)
    some_N = np.zeros(len(origins), bool)
    some_N[::11] = True
    whole = quantiles(name, features, origins)
    assert whole[some_N].tobytes() == quantiles(name, features, origins.where(some_N)).tobytes()


@every_baseline
def test_quantiles_are_finite_and_ordered_for_any_prices(name: str) -> None:
    rng = np.random.default_rng(5)
    return_ST = rng.normal(0, 0.01, (6, 700))
    return_ST[0, rng.random(700) < 0.3] = np.nan  # often no bar
    return_ST[1, rng.random(700) < 0.9] = 0.0  # rarely traded
    return_ST[2, 400], return_ST[2, 401] = 4.6, -4.6  # a price a hundred times too high
    return_ST[3, :500] = np.nan  # listed late
    return_ST[4, 300:] = 0.0  # stands still
    return_ST[5] *= np.exp(np.linspace(0, 8, 700))  # wilder and wilder
    features = made(return_ST)
    origins = everywhere(features)
    found_NHQ = quantiles(name, features, origins)
    assert len(origins) > 3000
    assert np.isfinite(found_NHQ).all()
    assert (np.diff(found_NHQ, axis=-1) >= 0).all()


def test_a_symbol_with_little_history_uses_its_market_and_one_with_none_is_named() -> None:
    early = make_features(panel_from_bars(sample(date(2012, 8, 1))))
    origins = baselines.forecastable(early)
    assert len(origins) == 3  # FB, listed in May, has 52 sessions
    found = baselines.baseline_forecasts(early, origins, horizon=HORIZON, levels=LEVELS)["ewma_historical"]
    assert np.isfinite(found.quantiles_NHQ).all()
    assert found.notes == BaselineNotes(borrowed=Count(symbols=1, forecasts=1))
    too_early = make_features(panel_from_bars(sample(date(2012, 6, 1))))
    reasons = baselines.why_not(too_early, ("AAPL", "FB", "TSLA"))
    assert list(reasons) == ["FB", "TSLA"]
    assert "has 10 sessions" in reasons["FB"]


def test_only_outcomes_of_the_own_market_are_borrowed() -> None:
    rng = np.random.default_rng(6)
    return_ST = rng.normal(0, 0.01, (4, 300))
    return_ST[2:] = rng.choice([-0.03, 0.03], (2, 300))
    return_ST[0, :240] = np.nan
    features = made(return_ST, np.array([0, 0, 1, 1]))
    (found_HQ,) = quantiles("ewma_historical", features, Origins(s_N=np.array([0]), t_N=np.array([299])))
    shaped_ST = return_ST[:2, 1:] / features.scale_ST[:2, :-1]
    expected_Q = np.quantile(shaped_ST[np.isfinite(shaped_ST)], LEVELS) * features.scale_ST[0, 299]
    np.testing.assert_allclose(found_HQ[0], expected_Q)


def test_constant_prices_get_no_forecast() -> None:
    still = sample(symbols=("IBM",)).assign(open=5.0, high=5.0, low=5.0, close=5.0, dividend=0.0)
    still_features = make_features(panel_from_bars(still))
    assert not len(baselines.forecastable(still_features))
    assert "no volatility" in baselines.why_not(still_features, ("IBM",))["IBM"]
