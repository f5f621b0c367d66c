"""The published root: a folder for each session's standing edition, the other editions, and a pointer to the newest.

    latest.json                  {"as_of", "folder", "manifest_sha256"}: the newest session with a standing edition
    as_of=2013-03-01/            forecasts.{parquet,csv,json}, record.parquet, report.html, charts/*.png, manifest.json
    editions/as_of=2013-03-01/   trials and replaced editions of that session: see `archive`
    record/                      the track record over all editions: see `track_record_files`

Each edition is whole or not there. A run of the standing configuration becomes the standing edition of its session;
the one that it replaces is copied to `editions` first. A trial is put there at once and moves nothing. The pointer is
derived from the standing editions, so that it cannot name one that is not complete, and filling in an older session
never moves it back. In a bucket files are replaced one by one, the manifest last: who reads meanwhile may find a file
that is not the one of the manifest.
"""

import io
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from pydantic import JsonValue

from pipeline.errors import BucketFailed, CorruptFile, MissingStep, cause_of
from pipeline.forecast_schema import REPORT_DUE
from pipeline.publishing import archive
from pipeline.publishing.matured_forecasts import MaturedForecast, matured_forecasts
from pipeline.publishing.published_files import FileRecord, Manifest, PublishedForecasts
from pipeline.storage import Storage
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.documents import from_document

if TYPE_CHECKING:
    import pyarrow as pa


MANIFEST, POINTER = archive.MANIFEST, "latest.json"
_FOLDER = "as_of=????-??-??"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published folder, read back: its manifest.json and forecasts.json."""

    folder: Storage
    manifest: Manifest
    forecasts: PublishedForecasts


def folder_name(as_of: date) -> str:
    """Return the name of a session's folder below the root."""
    return f"as_of={as_of}"


def published_sessions(root: Storage) -> list[date]:
    """Return the sessions that have a folder, oldest first."""
    days = []
    for name in root.names(_FOLDER):
        with suppress(ValueError):  # a folder that only looks like ours
            days.append(date.fromisoformat(name.removeprefix("as_of=")))
    return days


def latest(root: Storage) -> Storage:
    """Return the folder of the newest standing edition; raises MissingStep where there is none."""
    for day in reversed(published_sessions(root)):
        if is_published(root, day):
            return root / folder_name(day)
    raise MissingStep(f"nothing is published in {root} yet; run `python -m pipeline run` first")


def is_published(root: Storage, as_of: date) -> bool:
    """Whether a session has a standing edition."""
    return root.exists(f"{folder_name(as_of)}/{MANIFEST}")


def newest(root: Storage) -> Storage:
    """Return the folder to show first: the newest standing edition, or the newest trial where nothing stands yet.

    Raises MissingStep where nothing is published.
    """
    try:
        return latest(root)
    except MissingStep:
        for day in reversed(archive.archived_sessions(root)):
            if there := archive.archived_editions(root, day):
                return root / there[-1].place
        raise


def edition_of(root: Storage, as_of: date, name: str | None = None) -> Storage:
    """Return the folder of a session's edition: by its name, else the standing one, else the newest trial.

    Raises MissingStep where there is no edition of that name; a session without any is left to the reader to refuse.
    """
    if name is not None:
        return root / archive.find(root, as_of, name).place
    if not is_published(root, as_of) and (there := archive.archived_editions(root, as_of)):
        return root / there[-1].place
    return root / folder_name(as_of)


def all_sessions(root: Storage) -> list[date]:
    """Return the sessions that have any edition, oldest first."""
    return sorted({*published_sessions(root), *archive.archived_sessions(root)})


def other_editions(root: Storage, as_of: date) -> list[archive.ArchivedEdition]:
    """Return the editions of a session next to the standing one, oldest first.

    A copy of the standing edition, left by a publication that was killed between copying and replacing, is not one.
    """
    standing = file_digest(root / folder_name(as_of), MANIFEST) or ""
    there = archive.archived_editions(root, as_of)
    return [one for one in there if not (standing and standing.startswith(one.content))]


def read_published(folder: Storage, *, verify: bool = False) -> Published:
    """Return what is published in a folder; with `verify`, only after every file has the SHA-256 of the manifest.

    Raises MissingStep if nothing is published there, CorruptFile if a file is missing or not what was written.
    """
    manifest = read_manifest(folder)
    damaged = damaged_files(folder, manifest.files) if verify else []
    if damaged:
        raise CorruptFile(f"{', '.join(damaged)} in {folder}: not what was published; publish that session again")
    return Published(folder=folder, manifest=manifest, forecasts=_read(PublishedForecasts, folder, "forecasts.json"))


def read_manifest(folder: Storage) -> Manifest:
    """Return what a published folder says of itself. Raises MissingStep, or CorruptFile if it cannot be read."""
    if not folder.exists(MANIFEST):
        raise MissingStep(f"nothing is published in {folder}; run `python -m pipeline run` for that session first")
    return _read(Manifest, folder, MANIFEST)


def read_record(folder: Storage, symbols: Collection[str]) -> list[MaturedForecast]:
    """Return the rows of record.parquet of some symbols: their recent forecasts of the next session, scored.

    Empty where an edition of an older version has no such file. Raises CorruptFile if it cannot be read.
    """
    return matured_forecasts(record_table(folder, symbols), where=str(folder / "record.parquet"))


def record_table(folder: Storage, symbols: Collection[str] | None = None) -> "pa.Table":
    """Return record.parquet of some symbols, or of all, as it lies there: the columns of `tables.RECORD_SCHEMA`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = None if symbols is None else pc.field("symbol").isin(pa.array(symbols, pa.string()))
    try:
        table = pq.read_table(io.BytesIO(folder.read("record.parquet")), filters=wanted)
    except FileNotFoundError:
        from pipeline.publishing.tables.daily_tables import RECORD_SCHEMA

        return RECORD_SCHEMA.empty_table()
    except pa.ArrowException as error:
        reason = cause_of(error)
        raise CorruptFile(
            f"{folder / 'record.parquet'} cannot be read ({reason}); publish that session again"
        ) from None
    if REPORT_DUE in table.column_names:
        return table
    return table.append_column(REPORT_DUE, pa.nulls(len(table), pa.bool_()))  # of an older version


def damaged_files(folder: Storage, recorded: Mapping[str, FileRecord]) -> list[str]:
    """Return the files of a folder that are missing or not as recorded."""
    return [name for name, record in recorded.items() if file_digest(folder, name) != record.sha256]


def file_digest(place: Storage, name: str) -> str | None:
    """Return the SHA-256 of a file, None where there is none."""
    try:
        return sha256_bytes(place.read(name))
    except FileNotFoundError:
        return None


def pointer_to(folder: Storage) -> bytes:
    from pipeline.publishing.tables.daily_tables import dump

    as_of = folder.name.removeprefix("as_of=")
    return dump({"as_of": as_of, "folder": folder.name, "manifest_sha256": file_digest(folder, MANIFEST)})


def _read(kind: type[T], folder: Storage, name: str) -> T:
    try:
        document: dict[str, JsonValue] = json.loads(folder.read(name))
    except BucketFailed:  # says nothing of the file
        raise
    except (OSError, ValueError) as error:
        raise CorruptFile(f"{folder / name} cannot be read ({error}); publish that session again") from None
    return from_document(kind, document, where=str(folder / name), remedy="publish that session again")
