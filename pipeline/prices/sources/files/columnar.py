"""Parquet and Arrow files: first the size from their metadata, then the columns with their types."""

import ast
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import BadFile
from pipeline.prices.sources.files.limits import check_rows
from pipeline.prices.sources.files.raw import Lines, RawTable


def is_parquet(magic: bytes) -> bool:
    """Whether a file with this beginning is Parquet."""
    return magic.startswith(b"PAR1")


def is_arrow(magic: bytes) -> bool:
    """Whether a file with this beginning is Arrow (Feather version 2)."""
    return magic.startswith(b"ARROW1")


def read(
    source: Path | pa.NativeFile, magic: bytes, rows_before: int, constants: dict[str, str], name: str = ""
) -> RawTable:
    """Return the table of a Parquet or Arrow file. Raises BadFile if it is damaged or does not fit into memory."""
    name = name or getattr(source, "name", "the file")
    try:
        table = _parquet(source, name, rows_before) if is_parquet(magic) else _arrow(source, name, rows_before)
    except (pa.ArrowException, OSError) as error:
        kind = "Parquet" if is_parquet(magic) else "Arrow"
        raise BadFile(f"{name} cannot be read as {kind}: {str(error).splitlines()[0]}; write it again") from None
    names = {column: _flat(column) for column in table.column_names}
    return RawTable(
        name=name,
        header=tuple(names.values()),
        columns=tuple(_plain(column) for column in table.columns),
        lines=Lines(what="row"),
        constants=constants,
    )


def _parquet(source: Any, name: str, rows_before: int) -> pa.Table:
    with pq.ParquetFile(source) as file:
        check_rows(name, rows_before + file.metadata.num_rows)
        flat = [
            column for column in file.schema_arrow.names if not pa.types.is_nested(file.schema_arrow.field(column).type)
        ]
        return file.read(columns=flat)


def _arrow(source: Any, name: str, rows_before: int) -> pa.Table:
    opened = pa.memory_map(str(source)) if isinstance(source, Path) else source
    reader = pa.ipc.open_file(opened)
    rows, batches = 0, []
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        rows += len(batch)
        check_rows(name, rows_before + rows)
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionaries, views and decimals, so that few types are left to handle."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(pc.cast(column, kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return pc.cast(column, pa.float64())
    return column


def _flat(name: str) -> str:
    """Return the name of a column, empty for an unnamed index of pandas."""
    return "" if name.startswith("__index_level_") else name


def pair_of(name: str) -> tuple[str, str] | None:
    """Return field and symbol (in either order) of a name that pandas made from two levels."""
    if not name.startswith("("):
        return None
    try:
        pair = ast.literal_eval(name)
    except (ValueError, SyntaxError):
        return None
    return (str(pair[0]), str(pair[1])) if isinstance(pair, tuple) and len(pair) == 2 else None
