"""One GARCH(1,1) fitted to one series of returns: variance[k] = ω + α · return[k−1]² + β · variance[k−1].

Bollerslev (1986), with Student's t for the returns (Bollerslev 1987), so that a few extreme days do not dominate the
fit. The recursion is the compiled one of `arch`, whose own `fit` takes several times as long: it uses finite
differences, while the gradient is known (Fiorentini, Calzolari & Panattoni 1996).

Legend: K returns, P parameters.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pipeline.modeling.data.features import STILL
from pipeline.modeling.data.panel import Array

MIN_RETURNS = 250  # a year: with fewer the parameters are mostly noise
_EXPLOSIVE = 0.9995  # α + β from which the variance no longer reverts: a half-life of five years
_START_DECAY, _START_RETURNS = 0.94, 75  # weights of the first returns in the initial variance
_ANY_VARIANCE = (1e-300, 1e300)


class NoFit(Exception):
    """No model can be fitted to this series; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Garch:
    """The parameters of a model and its initial variance, that of one session's log return."""

    omega: float
    alpha: float
    beta: float
    before: float

    def variance(self, return_K: Array) -> Array:
        """Return the variance of each return, conditional on the returns before it, shape (K,)."""
        parameters = np.array([self.omega, self.alpha, self.beta])
        return _recursion(parameters, return_K, self.before)

    def next_variance(self, return_K: Array) -> Array:
        """Return the variance of the return after each one, conditional on it, shape (K,)."""
        return self.omega + self.alpha * return_K**2 + self.beta * self.variance(return_K)


def fit(return_K: Array) -> Garch:
    """Return the maximum-likelihood model. Raises NoFit if there is none.

    The search always starts from the same parameters, so the result depends only on the returns.
    """
    if len(return_K) < MIN_RETURNS:
        raise NoFit(f"fewer than {MIN_RETURNS} returns")
    unit = float(np.sqrt(np.mean(return_K**2)))
    if not unit > STILL:
        raise NoFit("prices that barely move")
    likelihood = Likelihood(return_K / unit)
    theta_P, converged = likelihood.best()
    if not converged:
        raise NoFit("a fit that did not converge")
    omega, alpha, beta = _parameters(theta_P)
    if alpha + beta >= _EXPLOSIVE * (1 - 1e-9):
        raise NoFit("an explosive fit")
    return Garch(omega=omega * unit**2, alpha=alpha, beta=beta, before=likelihood.before * unit**2)


class Likelihood:
    """The likelihood of returns of unit variance, in unconstrained parameters.

    They are the logarithm of ω, the logit of α + β, the logit of α's share of that sum, and the logarithm of the
    degrees of freedom above two.
    """

    def __init__(self, return_K: Array) -> None:
        self._return_K, self._square_K = return_K, return_K**2
        weight_K = _START_DECAY ** np.arange(_START_RETURNS)
        self.before = float(np.average(self._square_K[:_START_RETURNS], weights=weight_K))

    def best(self) -> tuple[Array, bool]:
        """Return the most likely parameters, and whether the search converged."""
        from scipy.optimize import minimize
        from scipy.special import logit

        start_P = [np.log(0.02), logit(0.98), logit(0.06 / 0.98), np.log(4.0)]
        bounds = [(np.log(1e-6), np.log(2.0)), (-2.0, logit(_EXPLOSIVE)), (-8.0, 3.0), (np.log(0.1), np.log(200.0))]
        found = minimize(self, start_P, jac=True, method="L-BFGS-B", bounds=bounds)
        return found.x, bool(found.success and np.isfinite(found.fun))

    def __call__(self, theta_P: Array) -> tuple[float, Array]:
        """Return the mean negative log likelihood, up to a constant, and its gradient, shape (P,)."""
        from scipy.signal import lfilter
        from scipy.special import digamma, gammaln

        omega, alpha, beta = _parameters(theta_P)
        beyond, count = float(np.exp(theta_P[3])), len(self._return_K)
        variance_K = _recursion(np.array([omega, alpha, beta]), self._return_K, self.before)
        wild_K = self._square_K / (variance_K * beyond)
        wilder_K = (beyond + 3) / 2 * wild_K / (1 + wild_K)
        tail = (beyond + 3) / 2 * np.log1p(wild_K).mean()
        value = gammaln((beyond + 2) / 2) - gammaln((beyond + 3) / 2) + np.log(beyond) / 2
        value += np.log(variance_K).mean() / 2 + tail
        # Direct derivatives of the variance by ω, α and β; the filter adds those through the previous variance.
        direct_PK = np.ones((3, count))
        direct_PK[1:, 0] = self.before
        direct_PK[1, 1:], direct_PK[2, 1:] = self._square_K[:-1], variance_K[:-1]
        by_variance_K = (0.5 - wilder_K) / variance_K / count
        by_omega, by_alpha, by_beta = lfilter([1.0], [1.0, -beta], direct_PK) @ by_variance_K
        by_beyond = (digamma((beyond + 2) / 2) - digamma((beyond + 3) / 2) + 1 / beyond) / 2
        by_beyond += tail / (beyond + 3) - wilder_K.mean() / beyond
        both = alpha + beta
        gradient_P = [
            by_omega * omega,
            (by_alpha * alpha + by_beta * beta) * (1 - both),
            (by_alpha - by_beta) * alpha * beta / both,
            by_beyond * beyond,
        ]
        return float(value), np.array(gradient_P)


def _parameters(theta_P: Array) -> tuple[float, float, float]:
    both, share = 1 / (1 + np.exp(-theta_P[1:3]))
    return float(np.exp(theta_P[0])), float(both * share), float(both * (1 - share))


def _recursion(parameters_P: Array, return_K: Array, before: float) -> Array:
    variance_K = np.empty(len(return_K))
    bounds_K2 = np.broadcast_to(np.array(_ANY_VARIANCE), (len(return_K), 2)).copy()
    _process().compute_variance(parameters_P, return_K, variance_K, before, bounds_K2)
    return variance_K


@cache
def _process() -> Any:
    from arch.univariate.volatility import GARCH  # takes two seconds; not every run needs it

    return GARCH(p=1, o=0, q=1)
