"""Scores on sessions that a scheduled report may move, and on all others, and each model against each baseline.

Which window is before a report comes from the product's own forecasts (`report_due`), so that files from elsewhere need
no such column. Where several seeds of a model were trained, its mean is over them, window by window.

Legend: N windows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.skill.saved import Forecaster
from benchmarks.skill.series import Array
from pipeline.evaluation.event_split import FirstStep, event_splits
from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.significance import diebold_mariano
from pipeline.forecast_schema import BASELINES, LEVELS

REFERENCE = "garch"  # of the gain on either kind of session, if it was scored; else the best baseline


@dataclass(frozen=True, kw_only=True)
class Group:
    """A row of a table: one forecaster, or all seeds of a model."""

    model: str
    seed: int | None
    names: tuple[str, ...]  # of the forecasters

    @property
    def key(self) -> str:
        """A name that no other row has."""
        return self.names[0] if len(self.names) == 1 else f"{self.model}, mean"

    @property
    def about(self) -> dict[str, Any]:
        """What the row is of."""
        return {"model": self.model, "seed": self.seed} | ({"seeds": len(self.names)} if len(self.names) > 1 else {})


def groups(forecasters: Sequence[Forecaster]) -> Iterator[Group]:
    """Yield every forecaster, and after the last of several seeds their mean."""
    for at, one in enumerate(forecasters):
        yield Group(model=one.model, seed=one.seed, names=(one.name,))
        same = tuple(other.name for other in forecasters if other.model == one.model)
        last = at + 1 == len(forecasters) or forecasters[at + 1].model != one.model
        if last and len(same) > 1:
            yield Group(model=one.model, seed=None, names=same)


def by_event(
    heldout: Heldout, steps: Sequence[int], forecasters: Sequence[Forecaster], best: str | None
) -> dict[str, Any] | None:
    """Return the scores of the next session on both kinds of sessions; None without flags, or without that step."""
    if heldout.event_N is None or steps[0] != 1:
        return None
    baseline = REFERENCE if REFERENCE in heldout.quantiles else best
    alone = {name: FirstStep.of(values, heldout.actual_NH, LEVELS) for name, values in heldout.quantiles.items()}
    rows = list(groups(forecasters))
    means = {row.key: _mean([alone[name] for name in row.names]) for row in rows}
    splits = event_splits(means, origins_N=heldout.origins_N, event_N=heldout.event_N, baseline=baseline)
    return {
        "baseline": baseline,
        "rows": [{**row.about, **{kind: part.numbers for kind, part in splits[row.key].parts.items()}} for row in rows],
    }


def by_baseline(losses: Mapping[str, Array], forecasters: Sequence[Forecaster], horizon: int) -> list[dict[str, Any]]:
    """Return each forecaster's gain on each baseline, with Diebold and Mariano's t; `losses` are those of sessions."""
    baselines = [one.name for one in forecasters if one.model in BASELINES]
    made = []
    for row in groups(forecasters):
        mine_D = np.mean([losses[name] for name in row.names], axis=0)
        against = {}
        for name in (each for each in baselines if each not in row.names):
            test = diebold_mariano(mine_D, losses[name], horizon)
            skill = 100 * (1 - float(mine_D.mean()) / float(losses[name].mean()))
            against[name] = {"skill_percent": skill, "t": test.t if test else None}
        made.append({**row.about, "against": against})
    return made


def _mean(parts: Sequence[FirstStep]) -> FirstStep:
    first = parts[0]
    if len(parts) == 1:
        return first
    return FirstStep(
        loss_N=np.mean([part.loss_N for part in parts], axis=0),
        inside={share: np.mean([part.inside[share] for part in parts], axis=0) for share in first.inside},
        width_N=np.mean([part.width_N for part in parts], axis=0),
    )
