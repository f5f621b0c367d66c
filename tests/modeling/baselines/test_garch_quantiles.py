"""The GARCH(1,1) baseline: the fit against `arch`'s own, the forecast against a slow one, and its fallback.

Legend: S symbols, K returns, N origins, H horizon.
"""

import numpy as np
import pytest
from arch import arch_model
from scipy.optimize import check_grad

from pipeline.forecast_schema import BASELINE_FAMILIES, LEVELS
from pipeline.modeling import baselines
from pipeline.modeling.baseline_notes import BaselineNotes, Count
from pipeline.modeling.baselines.garch_fit import MIN_RETURNS, Garch, Likelihood, NoFit, fit
from pipeline.modeling.baselines.garch_quantiles import FITTED_ON, REFIT
from pipeline.modeling.data.windows import Origins
from tests.modeling.baselines.test_baselines import HORIZON, everywhere, made, quantiles


def simulated(count: int, seed: int, *, alpha: float = 0.08, beta: float = 0.88, unit: float = 0.01) -> np.ndarray:
    """Returns of a GARCH(1,1) with Student's t of six degrees of freedom and a variance of `unit` squared."""
    rng = np.random.default_rng(seed)
    shocks_K = rng.standard_t(6, count) * np.sqrt(4 / 6)
    variance, return_K = 1.0, np.empty(count)
    for k, shock in enumerate(shocks_K):
        return_K[k] = np.sqrt(variance) * shock
        variance = (1 - alpha - beta) + alpha * return_K[k] ** 2 + beta * variance
    return return_K * unit


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fit_is_as_likely_as_that_of_arch(seed: int) -> None:
    return_K = simulated(1500, seed)
    unit = np.sqrt(np.mean(return_K**2))
    model = fit(return_K)
    theirs = arch_model(return_K / unit, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False).fit(disp="off")
    parameters = [model.omega / unit**2, model.alpha, model.beta]
    np.testing.assert_allclose(parameters, theirs.params.to_numpy()[:3], atol=0.01)
    np.testing.assert_allclose(model.variance(return_K) / unit**2, theirs.conditional_volatility**2, rtol=0.02)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    likelihood = Likelihood(simulated(400, 4, unit=1.0))
    for theta_P in ([-3.0, 2.0, -1.5, 1.4], [-1.0, 0.5, 0.7, 0.0], [-5.0, 4.0, -4.0, 4.0]):
        off = check_grad(lambda at: likelihood(at)[0], lambda at: likelihood(at)[1], np.array(theta_P))
        assert off < 1e-5


def test_the_variance_ahead_of_each_return_follows_its_formula() -> None:
    model = Garch(omega=2e-6, alpha=0.1, beta=0.85, before=1e-4)
    return_K = simulated(50, 5)
    expected, before, squared = [], 1e-4, 1e-4
    for value in return_K:
        before = 2e-6 + 0.1 * squared + 0.85 * before
        squared = value**2
        expected.append(before)
    np.testing.assert_allclose(model.variance(return_K), expected)
    np.testing.assert_allclose(model.next_variance(return_K)[:-1], expected[1:])


def test_quantiles_are_past_outcomes_rescaled_to_the_current_volatility_forecast() -> None:
    return_K, t = simulated(1300, 6), 1290
    features = made(return_K[None])
    (found_HQ,) = quantiles("garch", features, Origins(s_N=np.array([0]), t_N=np.array([t])))
    model = fit(return_K[: MIN_RETURNS + (t + 1 - MIN_RETURNS) // REFIT * REFIT])
    following_K = model.next_variance(return_K)
    for step in range(1, HORIZON + 1):
        ahead_K, total_K = following_K, following_K
        for _ in range(step - 1):
            ahead_K = model.omega + (model.alpha + model.beta) * ahead_K
            total_K = total_K + ahead_K
        shaped = [return_K[k + 1 : k + 1 + step].sum() / np.sqrt(total_K[k]) for k in range(t - step + 1)]
        np.testing.assert_allclose(found_HQ[step - 1], np.quantile(shaped[-1000:], LEVELS) * np.sqrt(total_K[t]))


def test_a_forecast_does_not_depend_on_other_symbols() -> None:
    return_ST = np.stack([simulated(800, 7), simulated(800, 8)])
    return_ST[0, :93] = np.nan  # its 250th return does not come on the other's schedule
    both, alone = made(return_ST), made(return_ST[:1, 93:])
    t_N = np.arange(400, 800)
    origins = Origins(s_N=np.zeros_like(t_N), t_N=t_N)
    own = Origins(s_N=origins.s_N, t_N=t_N - 93)
    assert quantiles("garch", both, origins).tobytes() == quantiles("garch", alone, own).tobytes()


def test_the_model_is_refitted_only_on_its_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    return_K, asked = simulated(1900, 9), []
    monkeypatch.setattr(
        "pipeline.modeling.baselines.garch_quantiles.fit",
        lambda return_K: asked.append(return_K) or fit(return_K),
    )
    t_N = np.array([MIN_RETURNS - 2, MIN_RETURNS - 1, MIN_RETURNS + REFIT - 2, 1899])
    quantiles("garch", made(return_K[None]), Origins(s_N=np.zeros_like(t_N), t_N=t_N))
    assert [len(seen) for seen in asked] == [0, MIN_RETURNS, FITTED_ON]
    assert asked[-1][-1] == return_K[MIN_RETURNS + (1900 - MIN_RETURNS) // REFIT * REFIT - 1]


def test_without_a_model_the_forecast_is_that_of_ewma_and_is_counted() -> None:
    young, wild = simulated(600, 10), simulated(600, 11) * np.exp(np.linspace(0, 9, 600))
    young[:400] = np.nan
    return_ST = np.stack([simulated(600, 12), young, wild])
    features = made(return_ST)
    origins = Origins(s_N=np.array([0, 1, 2, 2]), t_N=np.array([599, 599, 598, 599]))
    made_by_garch = baselines.baseline_forecasts(features, origins, horizon=HORIZON, levels=LEVELS)["garch"]
    found_NHQ = made_by_garch.quantiles_NHQ
    ewma_NHQ = quantiles("ewma_historical", features, origins)
    assert (found_NHQ[0] != ewma_NHQ[0]).all()
    np.testing.assert_array_equal(found_NHQ[1:], ewma_NHQ[1:])
    assert made_by_garch.notes == BaselineNotes(
        fits=1,
        by_ewma={
            "an explosive fit": Count(symbols=1, forecasts=2),
            "fewer than 250 returns": Count(symbols=1, forecasts=1),
        },
    )


def test_no_model_is_fitted_to_few_or_constant_returns_or_without_convergence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoFit, match="fewer than 250 returns"):
        fit(simulated(MIN_RETURNS - 1, 13))
    with pytest.raises(NoFit, match="barely move"):
        fit(np.zeros(MIN_RETURNS))
    monkeypatch.setattr(Likelihood, "best", lambda self: (np.zeros(4), False))
    with pytest.raises(NoFit, match="did not converge"):
        fit(simulated(MIN_RETURNS, 13))


def test_it_beats_ewma_on_simulated_garch_returns() -> None:
    from pipeline.evaluation.metrics import crps_bp
    from pipeline.modeling.data.features import future_returns

    features = made(np.stack([simulated(1600, seed, alpha=0.2, beta=0.7) for seed in range(20, 24)]))
    future_STH = future_returns(features.panel.return_ST, HORIZON)
    origins = everywhere(features)
    origins = origins.where((origins.t_N >= 800) & (origins.t_N < 1600 - HORIZON))
    actual_NH = future_STH[origins.s_N, origins.t_N]
    crps = {name: crps_bp(quantiles(name, features, origins), actual_NH, LEVELS).mean() for name in BASELINE_FAMILIES}
    assert crps["garch"] < 0.99 * crps["ewma_historical"]
    assert crps["garch"] < 0.99 * crps["random_walk"]
