"""The track record over all editions, as files next to them: every scored forecast of the next session.

    record/source=yahoo/2013Q1.parquet    by the quarter of the target session; `SCHEMA`

Each publication writes it from the database, for every symbol of its source, so that it does not depend on which
edition was published last, and so that pages that can read nothing but the published files have all of it.
"""

import io
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import CorruptFile
from pipeline.forecast_schema import RANGES, REPORT_DUE, inside_column
from pipeline.publishing.tables.daily_tables import RECORD_SCHEMA
from pipeline.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

# `series` is "" for the standing configuration, and tells trials apart (`pipeline.jobs.trials.series_of`).
SCHEMA = RECORD_SCHEMA.append(pa.field("series", pa.string()))
# Five quarters and the one that has begun, so that a year is whole.
QUARTERS = 6
_ROOT, _SOURCE, _FILE = "record", "source=", "????Q?.parquet"


def first_day(as_of: date) -> date:
    """Return the first target session, at the earliest, of what a publication as of a session writes."""
    quarter = as_of.year * 4 + (as_of.month - 1) // 3 - (QUARTERS - 1)
    return date(quarter // 4, quarter % 4 * 3 + 1, 1)


def write(root: Storage, source: str, rows: "pd.DataFrame") -> None:
    """Write the quarters that the rows (columns of `SCHEMA`) lie in; what has not changed is left alone.

    The rows must be all that there are from `first_day` on.
    """
    table = _table(rows)
    folder = _folder(root, source)
    with root.alone():
        for name, part in _by_quarter(table):
            data = _parquet(part)
            if not folder.exists(name) or folder.read(name) != data:
                folder.write(name, data)


def sources(root: Storage) -> list[str]:
    """Return the sources that have a track record."""
    return [name.removeprefix(_SOURCE) for name in (root / _ROOT).names(f"{_SOURCE}*")]


def read(root: Storage, source: str, symbol: str | None = None) -> pa.Table:
    """Return the last `QUARTERS` quarters of a source, of one symbol or of all: the columns of `SCHEMA`.

    Raises CorruptFile where a file cannot be read.
    """
    folder = _folder(root, source)
    wanted = None if symbol is None else pc.field("symbol") == symbol
    parts = [SCHEMA.empty_table()]
    for name in folder.names(_FILE)[-QUARTERS:]:
        try:
            parts.append(_with_flag(pq.read_table(io.BytesIO(folder.read(name)), filters=wanted)))
        except pa.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise CorruptFile(f"{folder / name} cannot be read ({reason}); publish any session again") from None
    order = [(name, "ascending") for name in ("target_session", "symbol", "as_of", "series")]
    return pa.concat_tables(parts).sort_by(order)


def _with_flag(table: pa.Table) -> pa.Table:
    """Return a table with the column `report_due`, which files of an older version lack."""
    if REPORT_DUE in table.column_names:
        return table
    at = SCHEMA.get_field_index(REPORT_DUE)
    return table.add_column(at, SCHEMA.field(at), pa.nulls(len(table), pa.bool_()))


def _folder(root: Storage, source: str) -> Storage:
    return root / _ROOT / f"{_SOURCE}{source}"


def _table(rows: "pd.DataFrame") -> pa.Table:
    import pandas as pd

    frame = rows[SCHEMA.names].sort_values(["target_session", "symbol", "as_of", "series"], ignore_index=True)
    for name in ("as_of", "target_session"):
        frame[name] = pd.to_datetime(frame[name]).dt.date
    flags = ["in_time", *map(inside_column, RANGES)]
    frame = frame.astype(dict.fromkeys(flags, bool))
    return pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)


def _by_quarter(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    numbers = pc.add(pc.multiply(pc.year(table["target_session"]), 4), pc.quarter(table["target_session"]))
    for number in pc.unique(numbers).to_pylist():
        year, quarter = divmod(number - 1, 4)
        yield f"{year:04d}Q{quarter + 1}.parquet", table.filter(pc.equal(numbers, number))


def _parquet(table: pa.Table) -> Any:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=3, version="2.6", use_dictionary=True)
    return buffer.getvalue()
