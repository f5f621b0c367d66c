"""The snapshot as MLflow's dataset of a run: its digest, columns and extent; the prices themselves are not copied."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.prices.store.snapshot import Snapshot
from pipeline.tracking import mlflow_api

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import DatasetInput, Run

# The most that MLflow stores of a digest; the whole SHA-256 is the run's tag `data_sha256`.
DIGEST_LENGTH = 36
_COLUMN_TYPES = {"date32[day]": "datetime", "string": "string", "large_string": "string", "int64": "long"}


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much a dataset holds; what is not known is None."""

    rows: int | None = None
    symbol_count: int | None = None
    first: str | None = None  # first and last session
    last: str | None = None


def dataset_input(snapshot: Snapshot, settings: Settings) -> "DatasetInput":
    """Return the input to log for a run trained on a snapshot; only two columns of it are read."""
    dataset = mlflow_api.Dataset(
        name=f"{settings.source}-prices",
        digest=snapshot.digest[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": snapshot.address or str(snapshot.path)}),
        schema=json.dumps({"mlflow_colspec": _columns(snapshot.path)}),
        profile=json.dumps(asdict(_extent(snapshot.path))),
    )
    return mlflow_api.DatasetInput(dataset, [mlflow_api.InputTag("mlflow.data.context", "training")])


def dataset_extent(run: "Run") -> Extent:
    """Return the extent of the run's dataset."""
    for used in run.inputs.dataset_inputs if run.inputs else []:
        profile = json.loads(used.dataset.profile or "{}")
        return Extent(**{name: profile.get(name) for name in ("rows", "symbol_count", "first", "last")})
    return Extent()


def _extent(snapshot: Path) -> Extent:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(snapshot, columns=["symbol", "session"])
    bounds = pc.min_max(table["session"]).as_py()
    return Extent(
        rows=table.num_rows,
        symbol_count=len(pc.unique(table["symbol"])),
        first=str(bounds["min"]),
        last=str(bounds["max"]),
    )


def _columns(snapshot: Path) -> list[dict[str, str | bool]]:
    import pyarrow.parquet as pq

    return [
        {"name": field.name, "type": _COLUMN_TYPES.get(str(field.type), "double"), "required": True}
        for field in pq.read_schema(snapshot)
    ]
