"""Scores of the first step on event sessions and on all others.

An event session is one that a scheduled report may move, as known at the session before it. Further steps are not
split: in their returns a report is one session among several.

Legend: N windows, H horizon, Q quantile levels, D sessions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Array, crps_bp, inside
from pipeline.evaluation.model_scores import EventSplit, NextSessionScores
from pipeline.evaluation.significance import diebold_mariano, session_means
from pipeline.forecast_schema import RANGES

_BASIS_POINTS = 1e4
_FIRST = slice(0, 1)


def event_splits(
    quantiles: Mapping[str, Array],
    actual_NH: Array,
    *,
    origins_N: NDArray[Any],
    event_N: NDArray[np.bool_],
    levels: tuple[float, ...],
    baseline: str | None,
) -> dict[str, EventSplit]:
    """Return the split of each model, with its skill and t against `baseline`; `quantiles` have shape (N, H, Q)."""
    first = {name: values_NHQ[:, _FIRST] for name, values_NHQ in quantiles.items()}
    loss = {name: crps_bp(values_NHQ, actual_NH[:, _FIRST], levels)[:, 0] for name, values_NHQ in first.items()}
    low, high = (levels.index(level) for level in RANGES[90])

    def part(name: str, keep_N: NDArray[np.bool_]) -> NextSessionScores | None:
        values_NHQ, came_NH = first[name][keep_N], actual_NH[keep_N, _FIRST]
        reference = baseline if baseline is not None and baseline != name else None
        return next_session_scores(
            loss[name][keep_N],
            coverage={share: inside(values_NHQ, came_NH, levels, share)[:, 0] for share in RANGES},
            width_N=values_NHQ[:, 0, high] - values_NHQ[:, 0, low],
            origins_N=origins_N[keep_N],
            baseline=reference,
            baseline_loss_N=None if reference is None else loss[reference][keep_N],
        )

    return {name: EventSplit(on=part(name, event_N), off=part(name, ~event_N)) for name in quantiles}


def next_session_scores(
    loss_N: Array,
    *,
    coverage: Mapping[int, NDArray[np.bool_]],
    width_N: Array,
    origins_N: NDArray[Any],
    baseline: str | None,
    baseline_loss_N: Array | None,
) -> NextSessionScores | None:
    """Return the scores of some windows, None if there is none.

    `loss_N` is the CRPS in basis points, `coverage` whether each outcome was inside each range, `width_N` the width of
    the 90 % range in log returns.
    """
    if not len(loss_N):
        return None
    skill, t = None, None
    if baseline_loss_N is not None:
        mean = float(baseline_loss_N.mean())
        skill = 100 * (1 - float(loss_N.mean()) / mean) if mean else None
        test = diebold_mariano(session_means(loss_N, origins_N), session_means(baseline_loss_N, origins_N), 1)
        t = test.t if test else None
    return NextSessionScores(
        windows=len(loss_N),
        sessions=len(np.unique(origins_N)),
        crps_bp=float(loss_N.mean()),
        coverage={share: float(inside_N.mean()) for share, inside_N in coverage.items()},
        range_90_bp=float(_BASIS_POINTS * np.median(width_N)),
        baseline=baseline,
        skill_percent=skill,
        t=t,
    )
