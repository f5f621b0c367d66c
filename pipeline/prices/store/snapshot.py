"""The snapshot of a session: an immutable Parquet file of what was known then, named by its SHA-256.

Its bytes depend on the bars alone, so the same knowledge gives the same digest on any day and any machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import CorruptFile, MissingStep, StoreError
from pipeline.prices.store.rows import SCHEMA
from pipeline.storage.atomic_files import name_aside, only_writer, remove_stale_files, settle, sha256_file

_ROWS_IN_GROUP = 1 << 20
# Prices almost never repeat, so a dictionary would not pay off; the bytes of many floats grouped by
# their place compress better, in half the time.
_FLOATS = ["open", "high", "low", "close", "volume"]
_ENCODING = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": [name for name in SCHEMA.names if name not in _FLOATS],
    "use_byte_stream_split": _FLOATS,
    "version": "2.6",
}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The location of a snapshot and its SHA-256."""

    path: Path
    digest: str
    address: str = ""  # where it is kept, where `path` may be a copy of that


def write_snapshot(tables: Iterable[pa.Table], as_of: date, folder: Path) -> Snapshot:
    """Write bars below `folder` and return where. Idempotent.

    `tables` have the columns of `frames`, sorted by symbol and session from the first to the last; each is let go
    before the next is taken. Raises StoreError where the disk does not take it; what was there stays.
    """
    place = folder / f"as_of={as_of}"
    try:
        with only_writer(place):
            remove_stale_files(place)
            return _write(tables, place)
    except OSError as error:
        raise StoreError(
            f"{place} cannot be written: {error.strerror or error}; free space, or check PIPELINE_HOME and "
            "PIPELINE_STORE_URI"
        ) from error


def _write(tables: Iterable[pa.Table], place: Path) -> Snapshot:
    with name_aside(place / "snapshot.parquet") as aside:
        with pq.ParquetWriter(aside, SCHEMA, **_ENCODING) as writer:
            for table in tables:
                writer.write_table(table.cast(SCHEMA), row_group_size=_ROWS_IN_GROUP)
        digest = sha256_file(aside)
        path = place / f"{digest}.parquet"
        if not path.exists():
            settle(aside, path)
    return Snapshot(path=path, digest=digest)


def read_snapshot(snapshot: Snapshot) -> pd.DataFrame:
    """Return the bars of a snapshot, columns as in `pipeline.prices.bars`.

    Raises MissingStep where the file is gone, CorruptFile where it is not what was written.
    """
    if not snapshot.path.is_file():
        raise MissingStep(f"the snapshot {snapshot.path} is gone; run ingest and snapshot for its session again")
    if sha256_file(snapshot.path) != snapshot.digest:
        raise CorruptFile(
            f"the snapshot {snapshot.path} is damaged (its SHA-256 differs); delete it and run its session again"
        )
    bars: pd.DataFrame = pq.read_table(snapshot.path).to_pandas()
    return bars.assign(session=pd.to_datetime(bars["session"]).astype("datetime64[s]"))
