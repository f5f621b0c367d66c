"""The held-out windows of a run with the quantiles of every contender: the input of the scores and the gate.

Legend: N windows, H horizon, Q quantile levels.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import MissingStep
from pipeline.evaluation.event_split import event_splits
from pipeline.evaluation.gate import best_baseline
from pipeline.evaluation.leakage_alarms import alarms
from pipeline.evaluation.metrics import Array, crps_bp, score_table
from pipeline.evaluation.model_scores import CHAMPION, EventSplit, Scores, Significance
from pipeline.evaluation.significance import FEWEST_SESSIONS, compare, diebold_mariano, session_means
from pipeline.forecast_schema import BASELINES
from pipeline.storage.atomic_files import write_atomic

_QUANTILES = "quantiles:"


@dataclass(frozen=True, kw_only=True)
class Heldout:
    """All contenders on the same windows. Returns are cumulative log returns."""

    symbols_N: NDArray[np.str_]
    origins_N: NDArray[np.datetime64]  # the session that each window ends with
    actual_NH: Array
    quantiles: dict[str, Array]  # contender -> (N, H, Q)
    # Whether a scheduled report may move the session after each window; None without a calendar.
    event_N: NDArray[np.bool_] | None = None

    def also(self, name: str, quantiles_NHQ: Array) -> "Heldout":
        """Return these windows with one more contender."""
        return replace(self, quantiles={**self.quantiles, name: quantiles_NHQ})

    def without_contenders(self) -> "Heldout":
        """Return the windows alone."""
        return replace(self, quantiles={})

    def same_windows(self, other: "Heldout") -> bool:
        """Whether both are of the same windows, with the same outcomes and events where both know them."""
        names = ["symbols_N", "origins_N", "actual_NH"]
        if self.event_N is not None and other.event_N is not None:
            names.append("event_N")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def since(self, session: pd.Timestamp) -> "Heldout":
        """Return the windows whose origin is not before `session`."""
        return self.where(self.origins_N >= np.datetime64(session, "D"))

    def where(self, keep_N: NDArray[np.bool_]) -> "Heldout":
        """Return the windows that are marked."""
        return Heldout(
            symbols_N=self.symbols_N[keep_N],
            origins_N=self.origins_N[keep_N],
            actual_NH=self.actual_NH[keep_N],
            quantiles={name: values[keep_N] for name, values in self.quantiles.items()},
            event_N=None if self.event_N is None else self.event_N[keep_N],
        )

    def scores(self, levels: tuple[float, ...]) -> Scores:
        """Return the scores of all contenders, the comparisons of each trained model, and the alarms."""
        if not len(self.actual_NH):
            return Scores()
        sessions = np.unique(self.origins_N)
        models = score_table(self.quantiles, self.actual_NH, self.symbols_N, levels, origins_N=self.origins_N)
        losses = {name: self._loss_of_sessions(name, levels) for name in self.quantiles}
        compared = compare(losses, BASELINES, self.actual_NH.shape[1])
        splits = self._splits(levels, best_baseline(models, BASELINES))
        scored = {
            name: replace(
                values,
                comparisons=tuple(compared.get(name, ())),
                alarms=tuple(alarms(values, len(sessions), fewest=FEWEST_SESSIONS)),
                events=splits.get(name),
            )
            for name, values in models.items()
        }
        return Scores(
            first=sessions[0].astype("datetime64[D]").item(),
            last=sessions[-1].astype("datetime64[D]").item(),
            sessions=len(sessions),
            windows=len(self.actual_NH),
            champion=scored.pop(CHAMPION, None),
            models=scored,
        )

    def better(self, model: str, other: str, levels: tuple[float, ...]) -> Significance | None:
        """Return the test that `model` has a lower mean CRPS a session than `other`; None where there can be none."""
        loss_D, other_D = (self._loss_of_sessions(name, levels) for name in (model, other))
        return diebold_mariano(loss_D, other_D, self.actual_NH.shape[1])

    def _splits(self, levels: tuple[float, ...], baseline: str | None) -> dict[str, EventSplit]:
        """Return each contender on event sessions and on others, against `baseline`; empty without a calendar."""
        if self.event_N is None:
            return {}
        return event_splits(
            self.quantiles,
            self.actual_NH,
            origins_N=self.origins_N,
            event_N=self.event_N,
            levels=levels,
            baseline=baseline,
        )

    def _loss_of_sessions(self, name: str, levels: tuple[float, ...]) -> Array:
        """Return the mean CRPS of each session over symbols and steps, shape (D,) for D sessions."""
        crps_NH = crps_bp(self.quantiles[name], self.actual_NH, levels)
        return session_means(crps_NH.mean(axis=1), self.origins_N)

    def save(self, path: Path) -> None:
        """Write the windows and quantiles to one .npz file."""
        arrays: dict[str, Any] = {f"{_QUANTILES}{name}": values for name, values in self.quantiles.items()}
        if self.event_N is not None:
            arrays["event_N"] = self.event_N
        buffer = io.BytesIO()
        np.savez(buffer, symbols_N=self.symbols_N, origins_N=self.origins_N, actual_NH=self.actual_NH, **arrays)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Heldout":
        """Return what `save` wrote. Raises MissingStep if the file is missing."""
        if not path.is_file():
            raise MissingStep(f"there is no {path}; run train first")
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                symbols_N=arrays["symbols_N"],
                origins_N=arrays["origins_N"],
                actual_NH=arrays["actual_NH"],
                quantiles={
                    name.removeprefix(_QUANTILES): arrays[name] for name in arrays.files if name.startswith(_QUANTILES)
                },
                event_N=arrays["event_N"] if "event_N" in arrays.files else None,  # not in files of an older version
            )
