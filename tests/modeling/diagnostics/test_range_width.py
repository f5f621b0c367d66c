"""The width of a range against its usual width: four parts that add up, from the past alone."""

import numpy as np
import pytest

from pipeline.modeling.diagnostics.range_width import FEWEST_SESSIONS, USUAL, WidthParts, width_parts

SYMBOLS, SESSIONS, HORIZON = 4, 400, 3
MARKET_S = np.zeros(SYMBOLS, np.int64)


def volatilities(seed: int = 3) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 0.05, (SYMBOLS, SESSIONS))
    return np.asarray(0.01 * np.exp(steps.cumsum(axis=1) * 0.3))


def parts(scale_ST: np.ndarray, market_S: np.ndarray = MARKET_S, **given: np.ndarray) -> WidthParts:
    shape = (len(scale_ST), HORIZON)
    rng = np.random.default_rng(5)
    values = {
        "width_NH": rng.uniform(0.02, 0.2, shape),
        "standard_NH": rng.uniform(0.02, 0.2, shape),
        "event_NH": rng.uniform(1.0, 3.0, shape),
        **given,
    }
    rows = np.arange(len(scale_ST))
    return width_parts(scale_ST, market_S, rows, np.full(len(rows), SESSIONS - 1), **values)


def test_the_parts_add_up_to_the_width_over_the_usual_width() -> None:
    scale_ST = volatilities()
    width_NH = np.full((SYMBOLS, HORIZON), 0.08)
    standard_NH = np.full((SYMBOLS, HORIZON), 0.05)
    found = parts(scale_ST, width_NH=width_NH, standard_NH=standard_NH)
    median_S = np.median(scale_ST[:, -USUAL:], axis=1)
    usual_NH = standard_NH * (median_S / scale_ST[:, -1])[:, None]
    np.testing.assert_allclose(found.total_NH, np.log(width_NH / usual_NH))
    total_NH = found.market_NH + found.volatility_NH + found.event_NH + found.model_NH
    np.testing.assert_array_equal(total_NH, found.total_NH)


def test_a_market_twice_as_volatile_is_the_markets_part() -> None:
    scale_ST = np.full((SYMBOLS, SESSIONS), 0.01)
    scale_ST[:, -5:] = 0.02
    scale_ST[0, -5:] = 0.04
    found = parts(scale_ST)
    market = np.log(2) + np.log(2) / SYMBOLS
    np.testing.assert_allclose(found.market_NH, market)
    np.testing.assert_allclose(found.volatility_NH[0], np.log(4) - market)


def test_two_symbols_are_no_market() -> None:
    scale_ST = volatilities()
    found = parts(scale_ST, np.array([0, 0, 1, 1]))
    assert not found.market_NH.any()


def test_another_market_does_not_count() -> None:
    scale_ST = np.concatenate([volatilities(3), volatilities(4)])
    apart = parts(scale_ST, np.repeat([0, 1], SYMBOLS))
    np.testing.assert_allclose(apart.market_NH[:SYMBOLS], parts(scale_ST[:SYMBOLS]).market_NH)


def test_later_volatilities_change_nothing() -> None:
    scale_ST = volatilities()
    rows = np.arange(SYMBOLS)
    ones = np.ones((SYMBOLS, HORIZON))
    given = {"width_NH": ones, "standard_NH": ones, "event_NH": ones}
    before = width_parts(scale_ST, MARKET_S, rows, np.full(SYMBOLS, 300), **given)
    poisoned = scale_ST.copy()
    poisoned[:, 301:] = 9.0
    np.testing.assert_array_equal(
        width_parts(poisoned, MARKET_S, rows, np.full(SYMBOLS, 300), **given).total_NH, before.total_NH
    )


@pytest.mark.parametrize(("known", "explained"), [(FEWEST_SESSIONS, True), (FEWEST_SESSIONS - 1, False)])
def test_a_symbol_with_too_little_history_has_no_explanation(known: int, explained: bool) -> None:
    scale_ST = volatilities()
    scale_ST[0, :-known] = np.nan
    found = parts(scale_ST)
    assert np.isfinite(found.total_NH[0]).all() == explained
    assert np.isfinite(found.total_NH[1:]).all()
