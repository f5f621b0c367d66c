"""The snapshot as MLflow's dataset of a run: its digest, columns and extent; the prices themselves are not copied."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Settings

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

# What MLflow stores of a digest at most; the whole SHA-256 is the run's tag `data_sha256`.
DIGEST_LENGTH = 36
_COLUMN_TYPES = {"date32[day]": "datetime", "string": "string", "large_string": "string", "int64": "long"}


def dataset_input(snapshot: Path, data_digest: str, settings: Settings, address: str = "") -> "DatasetInput":
    """Return the input to log for a run trained on the Parquet file `snapshot`; only two columns of it are read.

    `address` is where it is kept, if `snapshot` may be a copy of that.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=f"{settings.source}-prices",
        digest=data_digest[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": address or str(snapshot)}),
        schema=json.dumps({"mlflow_colspec": _columns(snapshot)}),
        profile=json.dumps(_extent(snapshot)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def dataset_profile(run: "Run") -> dict[str, Any]:
    """Return the extent of the run's dataset: rows, symbol_count, first and last session; empty if it has none yet."""
    for used in run.inputs.dataset_inputs if run.inputs else []:
        return dict(json.loads(used.dataset.profile or "{}"))
    return {}


def _extent(snapshot: Path) -> dict[str, Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(snapshot, columns=["symbol", "session"])
    bounds = pc.min_max(table["session"]).as_py()
    return {
        "rows": table.num_rows,
        "symbol_count": len(pc.unique(table["symbol"])),
        "first": str(bounds["min"]),
        "last": str(bounds["max"]),
    }


def _columns(snapshot: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [
        {"name": field.name, "type": _COLUMN_TYPES.get(str(field.type), "double"), "required": True}
        for field in pq.read_schema(snapshot)
    ]
