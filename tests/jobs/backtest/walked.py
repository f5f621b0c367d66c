"""A backtest that has been done once for all tests that only look at it, and what they look with."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.evaluation.backtest_results import FoldPlan
from pipeline.forecast_schema import LEVELS, quantile_column
from pipeline.jobs.results import BacktestPlan, BacktestResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import SNAPSHOT, SnapshotReference
from pipeline.prices.store.snapshot import write_snapshot
from pipeline.storage.documents import to_document

SMALL = {
    "training_steps": 5,
    "hidden_size": 8,
    "context_length": 20,
    "batch_size": 32,
    "validation_sessions": 40,
    "refit_every": 5,
    "horizon": 3,
    "network": "mlp",
    "symbols": "FB,IBM",
}
NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
FIRST, LAST = date(2012, 12, 3), date(2012, 12, 19)  # 13 sessions: folds of 5, 5 and 3
PRICES = [quantile_column(level) for level in LEVELS]
COLUMNS = ["symbol", "as_of", "step", "target_session", "last_close", "model", "model_version", *PRICES, "report_due"]


@dataclass(frozen=True)
class Done:
    """A backtest that has been run, and where."""

    home: Path
    planned: BacktestPlan
    outcome: BacktestResult

    @property
    def result(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return to_document(self.outcome)

    @property
    def key(self) -> str:
        return self.planned.run.key

    @property
    def folder(self) -> Path:
        return self.home / "runs" / self.key

    @property
    def frame(self) -> pd.DataFrame:
        return pd.read_parquet(self.home.parent / "out.parquet")

    @property
    def bars(self) -> pd.DataFrame:
        return pd.read_parquet(self.snapshot)

    @property
    def snapshot(self) -> Path:
        return self.home / json.loads((self.folder / "snapshot.json").read_text())["name"]


def plan(first: date = FIRST, last: date = LAST, **overrides: Any) -> BacktestPlan:
    given = {**SMALL, **overrides}
    return jobs.plan_backtest(key=None, now=NOW, first=first, last=last, overrides=Overrides(given), provenance={})


def folder_of(run: Run) -> Path:
    """Where a run's results lie while there is no bucket."""
    return run.settings.home / "runs" / run.key


def part(folder: Path, fold: FoldPlan) -> bytes:
    return (folder / "folds" / fold.first / "part.parquet").read_bytes()


def weights(folder: Path, fold: FoldPlan) -> bytes:
    return (folder / "folds" / fold.first / "model" / "weights.safetensors").read_bytes()


def poison(run: Run, bars: pd.DataFrame, first: pd.Timestamp) -> None:
    """Make the run's snapshot one in which nothing from `first` on is as it was."""
    bad = bars.copy()
    after = pd.to_datetime(bad["session"]) >= first
    wild = np.random.default_rng(1).uniform(0.2, 5.0, int(after.sum()))
    for name in ("open", "high", "low", "close", "volume"):
        bad.loc[after, name] *= wild
    bad.loc[after, "split_ratio"] = 3.0
    bad.loc[after, "dividend"] = 1.0
    assert after.any()
    table = pa.Table.from_pandas(bad, preserve_index=False)
    with run.settings.store.making("poisoned") as folder:
        frozen = write_snapshot([table], run.as_of, folder)
    name = f"poisoned/{frozen.path.relative_to(folder)}"
    run.save(SNAPSHOT, SnapshotReference(name=name, digest=frozen.digest, rows=len(bad)))
