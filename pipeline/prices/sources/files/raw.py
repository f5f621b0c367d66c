"""Uninterpreted columns of cells, with their names and the line of each row."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The line in the file of each row."""

    first: int = 1  # line of the first row
    skipped: tuple[int, ...] = ()  # lines that hold no row, ascending
    what: str = "line"

    def of(self, row: int) -> str:
        """Return where a row is, in words."""
        before = np.asarray(self.skipped) - self.first - np.arange(len(self.skipped))
        return f"{self.what} {self.first + row + int(np.searchsorted(before, row, side='right'))}"


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table with uninterpreted cells: text, or the types of Parquet."""

    name: str  # of the file, for messages
    header: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    lines: Lines = Lines()
    delimiter: str = ""  # empty: no text
    quoted: bool = False  # whether cells are in quotation marks
    vendor: str = ""  # from the shape of the header, not from its names
    constants: dict[str, str] = field(default_factory=dict)  # of a partition's path
    faults: tuple[str, ...] = ()  # lines that have another number of cells, quoted
    rows: NDArray[np.int64] | None = None  # of the table that this one is a part of

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def where(self, row: int) -> str:
        """Return the place of a row in the file, in words."""
        return self.lines.of(row if self.rows is None else int(self.rows[row]))

    def quote(self, row: int) -> str:
        """Return a row as one short text."""
        cells = ["" if (cell := column[row].as_py()) is None else str(cell) for column in self.columns]
        return shortened((self.delimiter or ",").join(cells))


def shortened(text: str, most: int = 80) -> str:
    """Return `text` in one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether the cells of a column are text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text without the space around it; what is missing is empty."""
    if not is_text(column):
        column = pc.cast(column, pa.string())
    return pc.utf8_trim_whitespace(pc.fill_null(column, ""))


def coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts of a column, and for each row the number of its text."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def any_filled(columns: Iterable[pa.ChunkedArray], rows: int) -> NDArray[np.bool_]:
    """Return which rows have anything in one of the columns."""
    filled = np.zeros(rows, bool)
    for column in columns:
        here = pc.not_equal(as_text(column), "") if is_text(column) else pc.is_valid(column)
        filled |= np.asarray(here.to_numpy(zero_copy_only=False), bool)
    return filled
