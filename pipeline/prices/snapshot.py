"""The snapshot of a session: an immutable Parquet file of what was known then, named by its SHA-256.

Its bytes depend on the bars alone, so the same knowledge gives the same digest on any day and any machine.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import CorruptFile, MissingStep
from pipeline.files import sha256_bytes, sha256_file, write_atomic
from pipeline.prices.frames import COLUMNS, VALUES

_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("session", pa.date32()),
        *((name, pa.float64()) for name in VALUES),
        ("currency", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Where a snapshot lies and the SHA-256 of its bytes."""

    path: Path
    digest: str


def write_snapshot(bars: pd.DataFrame, as_of: date, folder: Path) -> Snapshot:
    """Write `bars` (as in `frames`) below `folder` and return where. The same bars a second time write nothing."""
    rows = bars[COLUMNS].assign(session=bars["session"].dt.date)
    table = pa.Table.from_pandas(rows, schema=_SCHEMA, preserve_index=False).replace_schema_metadata(None)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd", version="2.6")
    content = buffer.getvalue().to_pybytes()
    digest = sha256_bytes(content)
    path = folder / f"as_of={as_of}" / f"{digest}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    return Snapshot(path=path, digest=digest)


def read_snapshot(snapshot: Snapshot) -> pd.DataFrame:
    """Return the bars of a snapshot, as in `frames`.

    Raises MissingStep where the file is gone, CorruptFile where it is not what was written.
    """
    if not snapshot.path.is_file():
        raise MissingStep(f"the snapshot {snapshot.path} is gone; run ingest and snapshot for its session again")
    if sha256_file(snapshot.path) != snapshot.digest:
        raise CorruptFile(f"the snapshot {snapshot.path} is not what was written; delete it and run its session again")
    bars: pd.DataFrame = pq.read_table(snapshot.path).to_pandas()
    return bars.assign(session=pd.to_datetime(bars["session"]).astype("datetime64[s]"))
