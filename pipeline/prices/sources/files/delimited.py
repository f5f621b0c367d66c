"""Delimited text as a table: encoding, delimiter, header, and rows with another number of cells."""

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from pipeline.errors import BadFile
from pipeline.prices.sources.files.headers import known_names, looks_wide
from pipeline.prices.sources.files.raw import Lines, RawTable, shortened
from pipeline.prices.sources.files.wide import melted

_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 18
_CHUNK = 1 << 20
_BEGIN = 1000  # characters of a line that is quoted
_HEADER_WITHIN = 30  # lines; anything above it is a title
_FEWEST_NAMES = 3  # that make a line a header
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, kw_only=True)
class _Layout:
    delimiter: str
    records: list[list[str]]  # of the head, blank lines included
    ends: list[int]  # the line on which each of them ends
    header: int  # the record with the names
    names: int  # how many of them are known


def read(name: str, buffer: pa.Buffer, constants: dict[str, str], names: frozenset[str] = frozenset()) -> RawTable:
    """Return the table of a text, as a long one if the symbols are side by side.

    `names` are those by which its header is known besides those of prices.
    Raises BadFile where there is no header, no row, or no way to read it.
    """
    if not buffer.size:
        raise BadFile(f"{name} has no rows: it is empty")
    text = _utf8(name, buffer)
    layout = _layout(name, text, names)
    header = layout.records[layout.header]
    depth = looks_wide(layout.records[layout.header :])
    body = layout.header + max(depth, 1)
    sample = [record for record in layout.records[body:] if any(cell.strip() for cell in record)]
    header, width = _fitted(header, sample)
    start = layout.ends[body - 1]
    try:
        columns, odd = _parsed(text, start, width, layout.delimiter)
    except pa.ArrowInvalid as error:
        raise BadFile(f"{name} cannot be read as CSV: {str(error).splitlines()[0]}") from None
    raw = RawTable(
        name=name,
        header=tuple(cell.strip() for cell in header),
        columns=columns,
        lines=Lines(first=start + 1, skipped=tuple(line for line, _ in odd)),
        delimiter=layout.delimiter,
        quoted=b'"' in bytes(text[start : min(text.size, start + _HEAD_BYTES)]),
        constants=constants,
        faults=tuple(
            f"line {line} has another number of cells than the header: {shortened(begin)!r}" for line, begin in odd
        ),
    )
    if len(raw) + len(odd) < _line_count(text) - start:
        raise BadFile(
            f"{name} cannot be read as CSV: {_first_break(raw, odd)} has a quotation mark that is not closed on it, so "
            "the lines after it would be lost; close it"
        )
    if len(odd) > max(len(raw), 1):
        raise BadFile(
            f"{name} cannot be read as CSV: most lines have another number of cells than the header ({raw.faults[0]}); "
            "cells with a comma in them must be in quotation marks"
        )
    return melted(raw, layout.records[layout.header : body]) if depth else raw


def _utf8(name: str, buffer: pa.Buffer) -> pa.Buffer:
    head = bytes(buffer[: min(4096, buffer.size)])
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            rest = buffer[len(mark) :]
            if encoding != "utf-8":
                return _recoded(name, rest, encoding)
            buffer = rest
            break
    if b"\0" in head:
        even, odd = head[::2].count(b"\0"), head[1::2].count(b"\0")
        if not even and odd > len(head) // 4:
            return _recoded(name, buffer, "utf-16-le")
        if not odd and even > len(head) // 4:
            return _recoded(name, buffer, "utf-16-be")
        raise BadFile(f"{name} cannot be read as CSV: it is not text; name a CSV or Parquet file")
    if b"\r" in head and b"\n" not in head:  # line ends of old Macs
        buffer = pa.py_buffer(buffer.to_pybytes().replace(b"\r", b"\n"))
    return buffer if _is_utf8(buffer) else _from_windows(buffer)


def _is_utf8(buffer: pa.Buffer) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(buffer)
    try:
        for at in range(0, len(view), _CHUNK):
            decoder.decode(bytes(view[at : at + _CHUNK]))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _recoded(name: str, buffer: pa.Buffer, encoding: str) -> pa.Buffer:
    try:
        return pa.py_buffer(buffer.to_pybytes().decode(encoding).encode())
    except UnicodeDecodeError:
        raise BadFile(f"{name} cannot be read as {encoding}: it is damaged; copy it again") from None


def _from_windows(buffer: pa.Buffer) -> pa.Buffer:
    """Return text of the encoding that Windows programs write in Western Europe as UTF-8."""
    return pa.py_buffer(buffer.to_pybytes().decode("cp1252", errors="replace").encode())


def _layout(name: str, text: pa.Buffer, names: frozenset[str]) -> _Layout:
    """Return the interpretation of the head whose header has the most known names."""
    head = bytes(text[: min(_HEAD_BYTES, text.size)]).decode("utf-8", errors="replace")
    if text.size > _HEAD_BYTES:
        head = head[: head.rfind("\n") + 1] or head
    layouts = [_split(head, delimiter, names) for delimiter in _DELIMITERS]
    best = max(layouts, key=lambda layout: layout.names)
    if best.names:
        return best
    first = next((line for line in head.splitlines() if line.strip()), "")
    if not first:
        raise BadFile(f"{name} has no rows: it is blank")
    raise BadFile(
        f"{name} cannot be read as a price table: no line names columns such as date, open and close; "
        f"it begins with {shortened(first)!r}"
    )


def _split(head: str, delimiter: str, names: frozenset[str]) -> _Layout:
    reader = csv.reader(re.split(r"(?<=\n)", head), delimiter=delimiter)
    records: list[list[str]] = []
    ends: list[int] = []
    try:
        for record in reader:
            records.append(record)
            ends.append(reader.line_num)
    except csv.Error:  # an unterminated field: the records before it may still suffice
        pass
    scores = [known_names(record, names) for record in records[:_HEADER_WITHIN]]
    enough = [place for place, score in enumerate(scores) if score >= _FEWEST_NAMES]
    header = enough[0] if enough else max(range(len(scores)), key=scores.__getitem__, default=0)
    if header and looks_wide(records[header - 1 :]):  # the symbols are above the fields
        header -= 1
    return _Layout(delimiter=delimiter, records=records, ends=ends, header=header, names=max(scores, default=0))


def _fitted(header: list[str], sample: list[list[str]]) -> tuple[list[str], int]:
    """Return the header with as many cells as the rows have, and how many those are."""
    width = Counter(map(len, sample)).most_common(1)[0][0] if sample else len(header)
    trailing = all(not record[-1].strip() for record in sample if len(record) == width) if sample else False
    if width == len(header) + 1:  # a delimiter too many at the end, or row names without a heading in front
        return ([*header, ""] if trailing else ["", *header]), width
    if width == len(header) - 1 and not header[-1].strip():
        return header[:-1], width
    return header, len(header)


def _parsed(
    text: pa.Buffer, start: int, width: int, delimiter: str
) -> tuple[tuple[pa.ChunkedArray, ...], list[tuple[int, str]]]:
    """Return the cells below line `start` as text, and line and beginning of each row with another number of them."""
    odd: list[tuple[int, str]] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        odd.append((int(row.number), row.text[:_BEGIN]))
        return "skip"

    names = [f"c{place}" for place in range(width)]
    if not _has_lines_after(text, start):
        return tuple(pa.chunked_array([pa.array([], pa.string())]) for _ in names), odd
    table = arrow_csv.read_csv(
        pa.BufferReader(text),
        read_options=arrow_csv.ReadOptions(skip_rows=start, column_names=names, use_threads=False, block_size=1 << 22),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=skip, newlines_in_values=False
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
        ),
    )
    return tuple(table.columns), odd


def _line_count(text: pa.Buffer) -> int:
    """Return the number of lines, one without a line break at the end of the text included."""
    view = memoryview(text)
    breaks = sum(bytes(view[at : at + _CHUNK]).count(b"\n") for at in range(0, len(view), _CHUNK))
    return breaks + (bytes(view[-1:]) not in (b"", b"\n"))


def _first_break(raw: RawTable, odd: list[tuple[int, str]]) -> str:
    """Return in words the first line with a cell that goes on in the next line."""
    if lines := [line for line, begin in odd if "\n" in begin]:
        return f"line {lines[0]}"
    rows = [int(rows[0].as_py()) for column in raw.columns if len(rows := _rows_with_breaks(column))]
    return raw.where(min(rows)) if rows else "a line"


def _rows_with_breaks(column: pa.ChunkedArray) -> pa.Array:
    return pc.indices_nonzero(pc.match_substring(column, "\n"))


def _has_lines_after(text: pa.Buffer, count: int) -> bool:
    at, view = 0, text.to_pybytes() if text.size < _HEAD_BYTES else bytes(text[:_HEAD_BYTES])
    for _ in range(count):
        at = view.find(b"\n", at) + 1
        if not at:
            return False
    return at < int(text.size)
