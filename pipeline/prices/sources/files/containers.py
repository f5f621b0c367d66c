"""The tables at a path: files are decompressed, archives and folders opened, other content is refused.

The type of a file follows from its first bytes, not from its name.
"""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

import pyarrow as pa

from pipeline.errors import BadFile
from pipeline.prices.sources.files import columnar, delimited
from pipeline.prices.sources.files.limits import check_rows, most_bytes, too_large
from pipeline.prices.sources.files.raw import RawTable
from pipeline.prices.sources.files.wide import melted_pairs

_TEXTS = (".csv", ".tsv", ".txt", ".tab", ".psv")
_TABLES = (".parquet", ".pq", ".parq", ".feather", ".arrow", ".ipc")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_CHUNK = 1 << 20
# Text takes about this many times its size in memory while it is parsed.
_TEXT_FACTOR = 4


def tables(path: Path, names: frozenset[str] = frozenset()) -> list[RawTable]:
    """Return the tables of a file or folder. Raises BadFile if there is none, or it does not fit into memory.

    `names` are those by which the header of a text is known besides those of prices (`headers.key_of`).
    """
    found: list[RawTable] = []
    rows = 0
    for file in _files(path):
        try:
            new = _of_file(path, file, rows, names)
        except OSError as error:
            raise BadFile(f"{file.name} cannot be read: {error.strerror or error}") from None
        rows += len(new)
        found.append(new)
    return found


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Return a stamp that changes whenever the file, or one in a folder, changes."""
    stats = [file.stat() for file in _files(path)]
    return max(stat.st_mtime_ns for stat in stats), sum(stat.st_size for stat in stats), len(stats)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(path).parts) and _is_table(file)
    ]
    if not inside:
        raise BadFile(f"{path.name} is a folder without CSV or Parquet files")
    return inside


def _is_table(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (*_TEXTS, *_TABLES)


def _of_file(root: Path, file: Path, rows_before: int, names: frozenset[str]) -> RawTable:
    constants = _partitions(file.relative_to(root).parts[:-1]) if root != file else {}
    with file.open("rb") as stream:
        magic = stream.read(8)
    if columnar.is_parquet(magic) or columnar.is_arrow(magic):
        return melted_pairs(columnar.read(file, magic, rows_before, constants))
    if _packer(magic) is None:
        if not file.stat().st_size:
            raise BadFile(f"{file.name} has no rows: it is empty")
        with pa.memory_map(str(file)) as mapped:
            return _of_text(file.name, mapped.read_buffer(), rows_before, constants, names)
    name, content = file.name, _unpacked(file, magic)
    return _of_bytes(name, content, rows_before, constants, names)


def _of_bytes(
    name: str, content: bytes, rows_before: int, constants: dict[str, str], names: frozenset[str]
) -> RawTable:
    if columnar.is_parquet(content[:8]) or columnar.is_arrow(content[:8]):
        return melted_pairs(columnar.read(pa.BufferReader(content), content[:8], rows_before, constants, name))
    return _of_text(name, pa.py_buffer(content), rows_before, constants, names)


def _of_text(
    name: str, buffer: pa.Buffer, rows_before: int, constants: dict[str, str], names: frozenset[str]
) -> RawTable:
    _refuse_other_things(name, bytes(buffer[: min(2048, buffer.size)]))
    most = most_bytes() // _TEXT_FACTOR
    if buffer.size > most:
        raise too_large(name, most)
    if buffer.size > 16 * _CHUNK:  # smaller ones have no such number of rows
        check_rows(name, rows_before + _lines(buffer))
    return delimited.read(name, buffer, constants, names)


def _lines(buffer: pa.Buffer) -> int:
    view = memoryview(buffer)
    return sum(bytes(view[at : at + _CHUNK]).count(b"\n") for at in range(0, len(view), _CHUNK))


def _partitions(folders: tuple[str, ...]) -> dict[str, str]:
    """Return the keys of a partitioned table from its folders, such as `symbol=AAPL`, as text."""
    pairs = [folder.partition("=") for folder in folders if "=" in folder]
    return {name: unquote(value) for name, _, value in pairs}


def _packer(magic: bytes) -> str | None:
    if magic.startswith(b"\x1f\x8b"):
        return "gz"
    if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if magic.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return "zst"
    return "bz2" if magic.startswith(b"BZh") else None


def _unpacked(file: Path, magic: bytes) -> bytes:
    """Return the content of a compressed file, up to the size that fits into memory."""
    packer = _packer(magic)
    try:
        if packer == "zip":
            return _unzipped(file)
        with _stream(file, packer) as stream:
            return _bounded(file.name, stream)
    except (EOFError, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{file.name} cannot be decompressed: {str(error).splitlines()[0]}; copy it again") from None


def _stream(file: Path, packer: str | None) -> Any:
    if packer == "gz":
        return gzip.open(file, "rb")
    if packer == "xz":
        return lzma.open(file, "rb")
    if packer == "bz2":
        return bz2.open(file, "rb")
    return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(file)), "zstd"))


def _unzipped(file: Path) -> bytes:
    with zipfile.ZipFile(file) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        if any(name.endswith("workbook.xml") for name in names):
            raise _workbook(file.name)
        inside = [name for name in names if not PurePosixPath(name).name.startswith(".") and "__MACOSX" not in name]
        if len(inside) != 1:
            raise BadFile(f"{file.name} holds {len(inside)} files, not one: unpack it and name the folder instead")
        with archive.open(inside[0]) as stream:
            return _bounded(file.name, stream)


def _bounded(name: str, stream: IO[bytes]) -> bytes:
    most = most_bytes() // _TEXT_FACTOR
    parts: list[bytes] = []
    size = 0
    for chunk in _chunks(stream):
        size += len(chunk)
        if size > most:
            raise too_large(name, most)
        parts.append(chunk)
    return b"".join(parts)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _workbook(name: str) -> BadFile:
    return BadFile(f"{name} is an Excel workbook; export the sheet as CSV (Save As, CSV UTF-8) and name that file")


def _refuse_other_things(name: str, head: bytes) -> None:
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise _workbook(name)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise BadFile(f"{name} is a web page, not a price table: the download failed, or asks for a login")
    if text.startswith((b"{", b"[")):
        raise BadFile(f"{name} is JSON, not a price table; write it as CSV or Parquet")
