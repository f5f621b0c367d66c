"""Saved forecasts: Parquet files in the benchmark's folder, each with a note on what it was made from.

A file from elsewhere, in the same columns, is scored like the others.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pyarrow.parquet as pq

from pipeline.forecast_schema import BASELINES as BASELINE_NAMES
from pipeline.forecast_schema import REPORT_DUE, NetworkName
from pipeline.storage.atomic_files import write_atomic

BASELINES = "baselines"  # the file of the baselines that the product's backtest forecasts
NETWORKS: tuple[str, ...] = get_args(NetworkName)


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """One model with one seed, and the files that hold its forecasts."""

    model: str
    seed: int | None
    paths: tuple[Path, ...]
    steps: frozenset[int]
    seconds: float | None  # of training, over all folds and files

    @property
    def name(self) -> str:
        """The model and its seed in words."""
        return self.model if self.seed is None else f"{self.model}, seed {self.seed}"

    def read(self, columns: Sequence[str], steps: Sequence[int]) -> pd.DataFrame:
        """Return its forecasts over `steps`: the named columns, days as datetime64[s]."""
        wanted = [("model", "==", self.model), ("step", "in", list(steps))]
        frame = pd.concat(
            [pd.read_parquet(path, columns=list(columns), filters=wanted) for path in self.paths], ignore_index=True
        )
        days = [name for name in ("as_of", "target_session") if name in frame]
        return frame.assign(**{name: pd.to_datetime(frame[name]).astype("datetime64[s]") for name in days})

    def reports(self) -> pd.DataFrame | None:
        """Return symbol, as_of and `report_due` of its windows, as far as it is known; None if no file says so."""
        parts = []
        for path in self.paths:
            if REPORT_DUE in pq.read_schema(path).names:
                wanted = [("model", "==", self.model), ("step", "==", 1)]
                parts.append(pd.read_parquet(path, columns=["symbol", "as_of", REPORT_DUE], filters=wanted))
        known = pd.concat(parts, ignore_index=True).dropna(subset=[REPORT_DUE]) if parts else pd.DataFrame()
        return None if known.empty else known.astype({REPORT_DUE: bool})


class Saved:
    """The folder of forecasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def about(self, name: str) -> dict[str, Any]:
        """Return the note of a file: parameters, seed, seconds …; empty if either is missing."""
        note = self._note(name)
        if not note.is_file() or not self._path(name).is_file():
            return {}
        content: dict[str, Any] = json.loads(note.read_text())
        return content

    def has(self, name: str, parameters: Mapping[str, Any]) -> bool:
        """Whether a file was made from exactly these parameters."""
        return bool(self.about(name).get("parameters") == json.loads(json.dumps(parameters)))

    def keep(
        self, name: str, forecasts: pd.DataFrame, parameters: Mapping[str, Any], *, seed: int | None, **more: Any
    ) -> None:
        """Save forecasts and their note. The note comes last: without it the file does not count."""
        self._note(name).unlink(missing_ok=True)
        buffer = io.BytesIO()
        forecasts.to_parquet(buffer, index=False, compression="zstd")
        write_atomic(self._path(name), buffer.getvalue())
        note = {"parameters": dict(parameters), "seed": seed, **more}
        write_atomic(self._note(name), json.dumps(note, indent=1, sort_keys=True) + "\n")

    def names(self) -> list[str]:
        """Return the names of all files."""
        return sorted(path.stem for path in self.folder.glob("*.parquet"))

    def forecasters(self, names: Sequence[str]) -> list[Forecaster]:
        """Return the models of the files named, each seed by itself: the baselines, the networks, then all others."""
        found: dict[tuple[str, int | None], list[tuple[Path, set[int], float | None]]] = {}
        for name in names:
            about = self.about(name)
            table = pd.read_parquet(self._path(name), columns=["model", "step"]).drop_duplicates()
            for model, rows in table.groupby("model"):
                part = (self._path(name), set(rows["step"]), about.get("seconds"))
                found.setdefault((str(model), about.get("seed")), []).append(part)
        made = [_forecaster(model, seed, parts) for (model, seed), parts in found.items()]
        return sorted(made, key=_rank)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _note(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _rank(one: Forecaster) -> tuple[int, str, int]:
    known = [*BASELINE_NAMES, *NETWORKS]
    return known.index(one.model) if one.model in known else len(known), one.model, one.seed or 0


def _forecaster(model: str, seed: int | None, parts: Sequence[tuple[Path, set[int], float | None]]) -> Forecaster:
    seconds = [spent for _, _, spent in parts if spent is not None]
    return Forecaster(
        model=model,
        seed=seed,
        paths=tuple(path for path, _, _ in parts),
        steps=frozenset(step for _, steps, _ in parts for step in steps),
        seconds=sum(seconds) if seconds else None,
    )
