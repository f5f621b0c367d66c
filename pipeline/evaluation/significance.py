"""Significance tests on one number per session, because errors of forecasts of one day are correlated.

Successive days are not independent either: forecasts over h steps share h - 1 sessions with the next day's. So each
variance here is a long-run variance.

Legend: N windows, H horizon, D sessions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.model_scores import Comparison, Significance

Array = NDArray[np.float64]

# With fewer sessions the approximations of the tests are too coarse.
FEWEST_SESSIONS = 20
_NOISE = 1e-12  # a long-run standard error this small against the mean square is rounding


def session_means(values_N: Array, origins_N: NDArray[Any]) -> Array:
    """Return the mean of each session's values in the order of the sessions, shape (D,)."""
    _, day_N = np.unique(origins_N, return_inverse=True)
    return np.asarray(np.bincount(day_N, weights=values_N) / np.bincount(day_N))


def lags_of(horizon: int) -> int:
    """Return the number of lags of the long-run variance: 2 (horizon - 1).

    Losses over h steps are correlated up to lag h - 1. Bartlett's weights would halve those correlations if the window
    ended there: at 10 % and five steps that rejects a true null in 14 % of cases (252 sessions), this window in 13 %.
    """
    return 2 * (horizon - 1)


def long_run_variance(values_D: Array, lags: int) -> float:
    """Return the variance of sqrt(D) times the mean of an autocorrelated series.

    Newey & West 1987, eq. 5: autocovariances up to `lags` with Bartlett's weights 1 - k / (lags + 1); never negative.
    """
    error_D = values_D - values_D.mean()
    count = len(error_D)
    variance = error_D @ error_D / count
    for lag in range(1, min(lags, count - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (error_D[lag:] @ error_D[:-lag]) / count
    return float(max(variance, 0.0))


def mean_above_zero(values_D: Array, horizon: int) -> Significance | None:
    """Return the test of a mean above zero, of values made from forecasts over `horizon` steps.

    t is the mean over its long-run standard error, times the small-sample factor of Harvey, Leybourne & Newbold 1997,
    eq. 9; p is from Student's t with D - 1 degrees of freedom, as they recommend. None with fewer than 20 sessions or
    than two horizons, and where nothing varies.
    """
    from scipy.special import stdtr

    count = len(values_D)
    if count < max(FEWEST_SESSIONS, 2 * horizon):
        return None
    variance = long_run_variance(values_D, lags_of(horizon))
    if variance <= (_NOISE**2) * float(values_D @ values_D) / count or variance == 0:
        return None
    small = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    t = float(values_D.mean() / np.sqrt(variance / count) * np.sqrt(small))
    return Significance(t=t, p=float(stdtr(count - 1, -t)), sessions=count)


def diebold_mariano(loss_D: Array, other_D: Array, horizon: int) -> Significance | None:
    """Return the test that a model's loss is lower than another's on the same sessions; above 0 it is.

    Diebold & Mariano 1995, section 1.1, on the difference of each session's mean loss. None as in `mean_above_zero`.
    """
    return mean_above_zero(other_D - loss_D, horizon)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values that hold for all tests at once: Holm 1979, step-down. Below a level, the test passes at it."""
    order = np.argsort(np.asarray(p, float), kind="stable")
    stepped = [min(1.0, (len(p) - rank) * p[at]) for rank, at in enumerate(order)]
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(stepped) if stepped else []
    return [float(value) for value in adjusted]


def compare(losses: Mapping[str, Array], baselines: Sequence[str], horizon: int) -> dict[str, list[Comparison]]:
    """Return, by trained model, its comparison with each baseline; p is corrected over all of them (Holm).

    `losses` maps models to their mean loss in each session, shape (D,). Skill is 100 (1 - loss / the baseline's). Where
    there can be no test, t and the p-values are None.
    """
    scored = [name for name in losses if name in baselines]
    pairs = [(model, name) for model in losses if model not in baselines for name in scored]
    tests = [diebold_mariano(losses[model], losses[name], horizon) for model, name in pairs]
    corrected = iter(holm([test.p for test in tests if test]))
    found: dict[str, list[Comparison]] = {}
    for (model, name), test in zip(pairs, tests, strict=True):
        comparison = Comparison(
            baseline=name,
            skill_percent=_skill(losses[model], losses[name]),
            t=test.t if test else None,
            p=test.p if test else None,
            p_holm=next(corrected) if test else None,
            sessions=len(losses[model]),
        )
        found.setdefault(model, []).append(comparison)
    return found


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of a share that was seen in `count` independent cases: Wilson 1927."""
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def independent_cases(hits_D: Array, cases_D: Array, horizon: int) -> float:
    """Return the effective number of independent cases of a share (Kish 1965: cases over the design effect).

    `hits_D` of `cases_D` in each session. Symbols are correlated and horizons overlap, so a thousand windows may
    be worth a hundred. The variance is that of a ratio, linearised, over sessions. Never more than there are; where
    nothing varies, the sessions.
    """
    share = hits_D.sum() / cases_D.sum()
    error_D = hits_D - share * cases_D
    variance = len(error_D) * long_run_variance(error_D, lags_of(horizon)) / cases_D.sum() ** 2
    if variance <= _NOISE or share in (0.0, 1.0):
        return float(len(cases_D))
    return float(min(share * (1 - share) / variance, cases_D.sum()))


def _skill(loss_D: Array, other_D: Array) -> float:
    return float(100 * (1 - loss_D.mean() / other_D.mean())) if other_D.mean() else 0.0
