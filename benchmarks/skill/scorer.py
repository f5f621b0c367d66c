"""The numbers of every forecaster on the same windows, each against the baselines. The scores and the tests are the
product's own (`pipeline.evaluation`), which are tested against published libraries.

The best baseline is chosen in hindsight, by its CRPS on these windows.

Legend: N windows, H scored steps, D sessions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.skill.reports import by_baseline, by_event
from benchmarks.skill.saved import NETWORKS, Forecaster
from benchmarks.skill.series import Array
from benchmarks.skill.windows import Judged
from pipeline.evaluation.gate import best_baseline
from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.leakage_alarms import alarms
from pipeline.evaluation.metrics import RANDOM_WALK, crps_bp, score_table
from pipeline.evaluation.model_scores import ModelScores, flat
from pipeline.evaluation.significance import (
    FEWEST_SESSIONS,
    compare,
    diebold_mariano,
    independent_cases,
    session_means,
    wilson,
)
from pipeline.forecast_schema import BASELINES, LEVELS

_MEDIAN = LEVELS.index(0.5)
_OVERALL = (
    "crps_bp", "coverage_50", "coverage_80", "coverage_90", "mae_over_random_walk", "mae_over_random_walk_p",
    "direction", "direction_low", "direction_high", "up",
)  # fmt: skip


def score(judged: Judged, forecasters: Sequence[Forecaster]) -> dict[str, Any]:
    """Return the content of one table as JSON: a row per forecaster, the means over seeds, and pairs of models."""
    heldout, steps = judged.heldout, judged.steps
    sessions = np.unique(heldout.origins_N)
    models = _scores(heldout, steps)
    best = best_baseline(models, BASELINES)
    losses = {one.name: _losses(heldout, one.name) for one in forecasters}
    against = _against(losses, best, max(steps))
    rows = []
    for one in forecasters:
        row = {
            "model": one.model,
            "seed": one.seed,
            "seconds": one.seconds,
            **_table_row(models[one.name]),
            **against[one.name],
        }
        row["alarms"] = alarms(models[one.name], len(sessions), fewest=FEWEST_SESSIONS)
        rows.append({**row, "unusable": judged.unusable[one.name]})
    return {
        "steps": list(steps),
        "first": str(sessions[0]),
        "last": str(sessions[-1]),
        "sessions": len(sessions),
        "windows": len(heldout.actual_NH),
        "symbols": len(np.unique(heldout.symbols_N)),
        "best_baseline": best,
        "forecasters": rows,
        "means": _means(rows, losses, forecasters, best, max(steps)),
        "pairs": _pairs(forecasters, losses, max(steps)),
        "by_baseline": by_baseline(losses, forecasters, max(steps)),
        "by_event": by_event(heldout, steps, forecasters, best),
    }


def _scores(heldout: Heldout, steps: Sequence[int]) -> dict[str, ModelScores]:
    """Return the product's table of scores, but with steps by name and intervals and tests by their true horizon."""
    table = score_table(heldout.quantiles, heldout.actual_NH, heldout.symbols_N, LEVELS, origins_N=heldout.origins_N)
    made = {}
    for name, values in table.items():
        by_step = tuple(
            replace(row, step=step, **_sure(heldout, name, slice(h, h + 1), step))
            for h, (step, row) in enumerate(zip(steps, values.by_step, strict=True))
        )
        made[name] = replace(values, by_step=by_step, **_sure(heldout, name, slice(None), max(steps)))
    return made


def _table_row(scores: ModelScores) -> dict[str, Any]:
    """Return the scores that the table shows, over all steps and by step."""
    row, steps = flat(scores), [flat(step) for step in scores.by_step]
    by_step = [{"step": step["step"], **{key: step[key] for key in _OVERALL}} for step in steps]
    return {**{key: row[key] for key in _OVERALL}, "by_step": by_step}


def _sure(heldout: Heldout, name: str, steps: slice, horizon: int) -> dict[str, Any]:
    """Return the uncertainty of direction and MAE over some of the scored steps, up to `horizon` sessions.

    The product's table takes the steps for 1, 2 … in a row; here there may be others between them.
    """
    median_NH, actual_NH = heldout.quantiles[name][:, steps, _MEDIAN], heldout.actual_NH[:, steps]
    _, day_N = np.unique(heldout.origins_N, return_inverse=True)
    moved_NH = (actual_NH != 0) & (median_NH != 0)
    hit_NH = moved_NH & (np.sign(actual_NH) == np.sign(median_NH))
    moved_D, hits_D = (np.bincount(day_N, part_NH.sum(axis=1)).astype(float) for part_NH in (moved_NH, hit_NH))
    low, high = None, None
    if moved_D.sum():
        low, high = wilson(hits_D.sum() / moved_D.sum(), independent_cases(hits_D, moved_D, horizon))
    walk_NHQ = heldout.quantiles.get(RANDOM_WALK)
    walk_NH = np.zeros_like(actual_NH) if walk_NHQ is None else walk_NHQ[:, steps, _MEDIAN]
    error_D, walk_D = (
        session_means(np.abs(actual_NH - each_NH).mean(axis=1), heldout.origins_N) for each_NH in (median_NH, walk_NH)
    )
    better = diebold_mariano(error_D, walk_D, horizon)
    return {"direction_low": low, "direction_high": high, "mae_over_random_walk_p": better.p if better else None}


def _losses(heldout: Heldout, name: str) -> Array:
    """Return the mean CRPS of each session over symbols and scored steps, shape (D,)."""
    return session_means(crps_bp(heldout.quantiles[name], heldout.actual_NH, LEVELS).mean(axis=1), heldout.origins_N)


def _against(losses: Mapping[str, Array], best: str | None, horizon: int) -> dict[str, dict[str, Any]]:
    """Return skill, t, p and Holm's p of each against the best baseline; Holm's over all but the baselines."""
    nothing = {"skill_percent": None, "t": None, "p": None, "p_holm": None}
    found = dict.fromkeys(losses, nothing)
    if best is None:
        return found
    trained = {name: loss for name, loss in losses.items() if name not in BASELINES}
    for name, (row,) in compare({**trained, best: losses[best]}, (best,), horizon).items():
        found[name] = {key: getattr(row, key) for key in nothing}
    for name in set(losses) & set(BASELINES) - {best}:
        ((row,),) = compare({name: losses[name], best: losses[best]}, (best,), horizon).values()
        found[name] = {**{key: getattr(row, key) for key in nothing}, "p_holm": None}
    return found


def _means(
    rows: Sequence[Mapping[str, Any]],
    losses: Mapping[str, Array],
    forecasters: Sequence[Forecaster],
    best: str | None,
    horizon: int,
) -> list[dict[str, Any]]:
    """Return a row for each model with seeds: its scores' means over them, and the test of the mean loss of a session.

    That is what one network is worth whose seed nobody chose; it is no ensemble of them.
    """
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(forecasters):
        if one.seed is not None:
            groups.setdefault(one.model, []).append(at)
    mean_losses = {
        model: np.mean([losses[forecasters[at].name] for at in mine], axis=0) for model, mine in groups.items()
    }
    against = _against({**mean_losses, **({best: losses[best]} if best else {})}, best, horizon)
    return [
        {"model": model, "seeds": len(mine), **_mean_of([rows[at] for at in mine]), **against[model]}
        for model, mine in groups.items()
    ]


def _mean_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over several rows."""
    names = ("crps_bp", "coverage_50", "coverage_80", "coverage_90", "mae_over_random_walk", "direction", "up")
    steps = [
        {"step": each[0]["step"], **{name: float(np.mean([row[name] for row in each])) for name in names}}
        for each in zip(*(row["by_step"] for row in rows), strict=True)
    ]
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    return {
        **{name: float(np.mean([row[name] for row in rows])) for name in names},
        "by_step": steps,
        "seconds": float(np.mean(seconds)) if seconds else None,
    }


def _pairs(forecasters: Sequence[Forecaster], losses: Mapping[str, Array], horizon: int) -> list[dict[str, Any]]:
    """Return by how much each network is better than the next, and the first than each peer, seed by seed."""
    by_model: dict[str, dict[int, str]] = {}
    for one in forecasters:
        if one.seed is not None:
            by_model.setdefault(one.model, {})[one.seed] = one.name
    made = []
    for model, other in _compared(list(by_model)):
        for seed in sorted(by_model[model].keys() & by_model[other].keys()):
            mine_D, other_D = losses[by_model[model][seed]], losses[by_model[other][seed]]
            test = diebold_mariano(mine_D, other_D, horizon)
            skill = 100 * (1 - mine_D.mean() / other_D.mean())
            t, p = (test.t, test.p) if test else (None, None)
            made.append({"model": model, "other": other, "seed": seed, "skill_percent": float(skill), "t": t, "p": p})
    return made


def _compared(models: Sequence[str]) -> Iterator[tuple[str, str]]:
    networks = [name for name in NETWORKS if name in models]
    yield from pairwise(networks)
    yield from ((networks[0], name) for name in models if networks and name not in networks)
