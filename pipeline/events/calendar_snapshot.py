"""The calendar of a session as an immutable Parquet file, named by its SHA-256, next to the snapshot of the prices.

Its bytes depend on the events alone, so the same knowledge gives the same digest on any day and any machine.
"""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import CorruptFile, MissingStep, StoreError
from pipeline.events.event import COLUMNS, Calendar, empty_calendar
from pipeline.prices.store.snapshot import Snapshot
from pipeline.storage.atomic_files import name_aside, only_writer, remove_stale_files, settle, sha256_file

FOLDER = "events"  # below that of the session
SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("kind", pa.string()),
        ("day", pa.date32()),
        ("time", pa.string()),
        ("confirmed", pa.bool_()),
        ("known_from", pa.timestamp("s", "UTC")),
        ("known_until", pa.timestamp("s", "UTC")),
    ]
)


def write_calendar(calendar: Calendar, as_of: date, folder: Path) -> Snapshot:
    """Write a calendar below `folder` and return where. Idempotent.

    Raises StoreError where the disk does not take it; what was there stays.
    """
    place = folder / f"as_of={as_of}" / FOLDER
    try:
        with only_writer(place), name_aside(place / "calendar.parquet") as aside:
            remove_stale_files(place)
            pq.write_table(_table(calendar.frame), aside, compression="zstd", compression_level=1, version="2.6")
            digest = sha256_file(aside)
            path = place / f"{digest}.parquet"
            if not path.exists():
                settle(aside, path)
    except OSError as error:
        raise StoreError(
            f"{place} cannot be written: {error.strerror or error}; free space, or check PIPELINE_HOME and "
            "PIPELINE_STORE_URI"
        ) from error
    return Snapshot(path=path, digest=digest)


def read_frozen_calendar(snapshot: Snapshot) -> Calendar:
    """Return the calendar of a snapshot.

    Raises MissingStep where the file is gone, CorruptFile where it is not what was written.
    """
    if not snapshot.path.is_file():
        raise MissingStep(f"the calendar {snapshot.path} is gone; run ingest and snapshot for its session again")
    if sha256_file(snapshot.path) != snapshot.digest:
        raise CorruptFile(
            f"the calendar {snapshot.path} is damaged (its SHA-256 differs); delete it and run its session again"
        )
    frame = pq.read_table(snapshot.path).to_pandas()
    for name in ("known_from", "known_until"):
        frame[name] = frame[name].dt.tz_convert(None)
    frame["day"] = pd.to_datetime(frame["day"])
    return Calendar(frame=frame[list(COLUMNS)].astype(empty_calendar().dtypes.to_dict()))


def _table(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as Arrow without the metadata of pandas, which names its version."""
    columns = {name: frame[name] for name in ("symbol", "kind", "time", "confirmed")}
    days = frame["day"].to_numpy("datetime64[D]")
    moments = {name: frame[name].to_numpy("datetime64[s]") for name in ("known_from", "known_until")}
    arrays = [pa.array({**columns, "day": days, **moments}[name], SCHEMA.field(name).type) for name in SCHEMA.names]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
