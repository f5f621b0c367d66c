"""The data of a run as MLflow's datasets: the snapshot of its prices, and the calendar of its events.

Each has its digest, columns and extent; the data themselves are not copied.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.events.calendar_snapshot import SCHEMA
from pipeline.prices.store.snapshot import Snapshot
from pipeline.tracking import mlflow_api

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import DatasetInput, Run

# The most that MLflow stores of a digest; the whole SHA-256 is the run's tag `data_sha256`.
DIGEST_LENGTH = 36
_EVENTS = "-events"  # ends the name of the calendar's dataset
_EVENT_TYPES = {"bool": "boolean", "date32[day]": "datetime", "timestamp[s, tz=UTC]": "datetime"}
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


@dataclass(frozen=True, kw_only=True)
class EventData:
    """The calendar of events that a run was frozen on."""

    source: str
    digest: str  # SHA-256
    address: str
    events: int
    reconstructed: int  # events of which it is not known when they were announced

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a run with this calendar."""
        known = f"{self.events:,} of {self.source}, {self.reconstructed:,} reconstructed"
        return {"events": known, "events_sha256": self.digest}


def calendar_input(calendar: EventData) -> "DatasetInput":
    """Return the input to log for a run that knows a calendar of events."""
    columns = [{"name": f.name, "type": _EVENT_TYPES.get(str(f.type), "string"), "required": True} for f in SCHEMA]
    dataset = mlflow_api.Dataset(
        name=f"{calendar.source}{_EVENTS}",
        digest=calendar.digest[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": calendar.address}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"events": calendar.events, "reconstructed": calendar.reconstructed}),
    )
    return mlflow_api.DatasetInput(dataset, [mlflow_api.InputTag("mlflow.data.context", "events")])


def dataset_extent(run: "Run") -> Extent:
    """Return the extent of the run's prices."""
    for used in run.inputs.dataset_inputs if run.inputs else []:
        if used.dataset.name.endswith(_EVENTS):
            continue
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
