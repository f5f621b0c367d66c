"""Tests and intervals against slow re-implementations and statsmodels."""

import numpy as np
import pytest
from scipy.stats import t as student
from statsmodels.api import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipeline.evaluation import significance
from pipeline.evaluation.model_scores import Comparison
from pipeline.evaluation.significance import Array, diebold_mariano, holm, independent_cases, mean_above_zero, wilson


def overlapping(seed: int, count: int, horizon: int) -> Array:
    """A series whose neighbours share `horizon` - 1 of `horizon` draws, as losses over as many steps do."""
    draws = np.random.default_rng(seed).normal(size=count + horizon - 1)
    return np.convolve(draws, np.ones(horizon), "valid")


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_the_standard_error_is_newey_and_wests(horizon: int) -> None:
    series = overlapping(1, 120, horizon) + 0.3
    lags = significance.lags_of(horizon)
    fitted = OLS(series, np.ones(120)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    error = np.sqrt(significance.long_run_variance(series, lags) / 120)
    assert error == pytest.approx(fitted.bse[0])
    assert lags >= horizon - 1


def test_t_and_p_are_those_of_the_formulas_written_out() -> None:
    loss, other, horizon, count = overlapping(1, 60, 5), overlapping(2, 60, 5) + 0.5, 5, 60
    difference = [b - a for a, b in zip(loss, other, strict=True)]
    mean = sum(difference) / count
    variance = 0.0
    for lag in range(-8, 9):
        products = [(difference[at] - mean) * (difference[at - abs(lag)] - mean) for at in range(abs(lag), count)]
        variance += (1 - abs(lag) / 9) * sum(products) / count
    small = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    t = mean / (variance / count) ** 0.5 * small**0.5
    test = diebold_mariano(loss, other, horizon)
    assert test is not None
    assert (test.t, test.sessions) == (pytest.approx(t), 60)
    assert test.p == pytest.approx(student.sf(t, count - 1))


def test_the_lower_loss_is_the_significant_one() -> None:
    noise = np.random.default_rng(5).normal(size=(2, 100))
    better, worse = noise[0], noise[1] + 1
    forth, back = diebold_mariano(better, worse, 1), diebold_mariano(worse, better, 1)
    assert forth is not None
    assert back is not None
    assert forth.p < 0.01 < 0.99 < back.p
    assert forth.t == pytest.approx(-back.t)


def test_where_nothing_is_better_the_test_passes_about_as_often_as_it_says() -> None:
    tests = [mean_above_zero(overlapping(seed, 126, 5), 5) for seed in range(600)]
    assert 0.07 < np.mean([test is not None and test.p < 0.10 for test in tests]) < 0.17


@pytest.mark.parametrize(
    ("series", "horizon"),
    [
        (overlapping(1, 19, 1), 1),  # too few sessions
        (overlapping(1, 39, 20), 20),  # fewer than two horizons
        (np.zeros(50), 1),
        (np.full(50, 0.1), 1),  # what does not vary has no standard error
        (np.array([]), 1),
    ],
)
def test_where_there_can_be_no_test_there_is_none(series: Array, horizon: int) -> None:
    assert mean_above_zero(series, horizon) is None


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.2], [0.5], [0.04, 0.04, 0.6], [0.9, 0.8], []])
def test_holm_is_the_one_of_statsmodels(p: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.collect", int)  # statsmodels collects garbage, which takes a second after many imports
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1] if p else [])


def test_each_network_is_compared_with_each_baseline_and_holm_counts_all_of_them() -> None:
    noise = np.random.default_rng(0).normal(10, 1, (4, 60))
    losses = dict(zip(("walk", "ewma", "lstm", "champion"), noise - np.array([[0], [0], [0.3], [0.1]]), strict=True))
    compared = significance.compare(losses, ("ewma", "walk", "absent"), 2)
    assert {model: [row.baseline for row in found] for model, found in compared.items()} == {
        model: ["walk", "ewma"] for model in ("lstm", "champion")
    }
    rows = [row for found in compared.values() for row in found]
    assert [row.p_holm for row in rows] == pytest.approx(holm([row.p for row in rows if row.p is not None]))
    first = compared["lstm"][0]
    assert first.skill_percent == pytest.approx(100 * (1 - losses["lstm"].mean() / losses["walk"].mean()))
    assert first.sessions == 60


def test_too_few_sessions_compare_without_a_test_and_stay_json() -> None:
    compared = significance.compare({"walk": np.full(5, 2.0), "lstm": np.full(5, 1.0)}, ("walk",), 1)
    assert compared == {"lstm": [Comparison(baseline="walk", skill_percent=50.0, sessions=5)]}


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (56, 100), (5, 9)])
def test_wilsons_interval_is_the_one_of_statsmodels(hits: int, count: int) -> None:
    assert wilson(hits / count, count) == pytest.approx(proportion_confint(hits, count, method="wilson"), abs=1e-12)


def test_symbols_that_move_as_one_count_once() -> None:
    cases = np.full(1000, 20.0)
    draws = np.random.default_rng(1).random((1000, 20)) < 0.5
    alone = independent_cases(draws.sum(axis=1).astype(float), cases, 1)
    together = independent_cases(20.0 * draws[:, 0], cases, 1)
    assert alone == pytest.approx(20_000, rel=0.1)
    assert together == pytest.approx(1000, rel=0.01)


def test_what_is_always_right_counts_its_sessions() -> None:
    assert independent_cases(np.full(30, 4.0), np.full(30, 4.0), 5) == 30
    low, high = wilson(1.0, 30)
    assert 0.8 < low < high <= 1


def test_means_are_by_session_whatever_the_order() -> None:
    days = np.array(["2020-01-03", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    np.testing.assert_allclose(significance.session_means(np.array([1.0, 5.0, 3.0]), days), [5.0, 2.0])
