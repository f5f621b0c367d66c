"""Scores of the first step on event sessions and on all others.

An event session is one that a scheduled report may move, as known at the session before it. Further steps are not
split: in their returns a report is one session among several.

Legend: N windows, H horizon, Q quantile levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Array, crps_bp, inside
from pipeline.evaluation.model_scores import EventSplit, NextSessionScores
from pipeline.evaluation.significance import diebold_mariano, session_means
from pipeline.forecast_schema import RANGES

_BASIS_POINTS = 1e4


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """How the first step of a model's forecasts did, window by window."""

    loss_N: Array  # CRPS in basis points
    inside: Mapping[int, NDArray[Any]]  # whether the outcome was inside each of `RANGES`, shape (N,)
    width_N: Array  # of the 90 % range, in log returns

    @classmethod
    def of(cls, quantiles_NHQ: Array, actual_NH: Array, levels: tuple[float, ...]) -> "FirstStep":
        """Return the first step of forecasts and outcomes."""
        first_NHQ, came_NH = quantiles_NHQ[:, :1], actual_NH[:, :1]
        low, high = (levels.index(level) for level in RANGES[90])
        return cls(
            loss_N=crps_bp(first_NHQ, came_NH, levels)[:, 0],
            inside={share: inside(first_NHQ, came_NH, levels, share)[:, 0] for share in RANGES},
            width_N=first_NHQ[:, 0, high] - first_NHQ[:, 0, low],
        )

    def where(self, keep_N: NDArray[np.bool_]) -> "FirstStep":
        """Return some of the windows."""
        held = {share: inside_N[keep_N] for share, inside_N in self.inside.items()}
        return FirstStep(loss_N=self.loss_N[keep_N], inside=held, width_N=self.width_N[keep_N])


def event_splits(
    steps: Mapping[str, FirstStep], *, origins_N: NDArray[Any], event_N: NDArray[np.bool_], baseline: str | None
) -> dict[str, EventSplit]:
    """Return the split of each model, with its skill and t against `baseline`."""

    def part(name: str, keep_N: NDArray[np.bool_]) -> NextSessionScores | None:
        other = baseline if baseline != name else None
        loss_N = None if other is None else steps[other].loss_N[keep_N]
        return next_session_scores(steps[name].where(keep_N), origins_N[keep_N], baseline=other, baseline_loss_N=loss_N)

    return {name: EventSplit(on=part(name, event_N), off=part(name, ~event_N)) for name in steps}


def next_session_scores(
    step: FirstStep, origins_N: NDArray[Any], *, baseline: str | None, baseline_loss_N: Array | None
) -> NextSessionScores | None:
    """Return the scores of some windows, None if there is none; `baseline` names what `baseline_loss_N` is of."""
    if not len(step.loss_N):
        return None
    skill, t = None, None
    if baseline_loss_N is not None:
        mean = float(baseline_loss_N.mean())
        skill = 100 * (1 - float(step.loss_N.mean()) / mean) if mean else None
        test = diebold_mariano(session_means(step.loss_N, origins_N), session_means(baseline_loss_N, origins_N), 1)
        t = test.t if test else None
    return NextSessionScores(
        windows=len(step.loss_N),
        sessions=len(np.unique(origins_N)),
        crps_bp=float(step.loss_N.mean()),
        coverage={share: float(inside_N.mean()) for share, inside_N in step.inside.items()},
        range_90_bp=float(_BASIS_POINTS * np.median(step.width_N)),
        baseline=baseline,
        skill_percent=skill,
        t=t,
    )
