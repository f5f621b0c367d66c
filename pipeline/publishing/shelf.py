"""The published root: one folder per session, each whole or not there, and a pointer to the newest.

    latest.json                  {"as_of", "folder", "manifest_sha256"}: the newest session that is published
    as_of=2013-03-01/            forecasts.{parquet,csv,json}, record.parquet, report.html, charts/*.png, manifest.json

The pointer is derived from the folders, so that it cannot name one that is not complete, and filling in an older
session never moves it back. In a bucket files are replaced one by one, the manifest last: who reads meanwhile may find
a file that is not the one of the manifest.
"""

import io
import json
import string
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.causes import cause_of
from pipeline.errors import BucketFailed, CorruptFile, MissingStep, StoreError
from pipeline.files import sha256_bytes
from pipeline.publishing import words
from pipeline.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.publishing.edition import Edition

MANIFEST, POINTER = "manifest.json", "latest.json"
_FOLDER = "as_of=????-??-??"
_PLAIN = frozenset(string.ascii_letters + string.digits + "-.")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What `publish` did."""

    folder: Storage
    manifest_sha256: str
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published folder, read back: its manifest.json and forecasts.json."""

    folder: Storage
    manifest: dict[str, Any]
    forecasts: dict[str, Any]


def publish(edition: "Edition", root: Storage) -> Publication:
    """Put an edition on the shelf; doing it twice changes nothing, not even a time stamp.

    Raises StoreError if it cannot be written: then everything published before stands as it was. Only in a bucket the
    same session's edition may be half replaced, which `read_published` tells by the manifest.
    """
    contents = render(edition)
    folder = root / folder_name(edition.as_of)
    try:
        with root.alone():
            changed = not _stands(folder, contents)
            if changed:
                root.replace(folder.name, contents)
            _point(root)
    except OSError as error:
        untouched = "what was published before" if root.swaps else "what was published for other sessions"
        raise StoreError(
            f"cannot publish to {folder}: {error.strerror or error}; {untouched} is untouched; "
            "make room or rights there, or set PIPELINE_PUBLISH_URI, and publish again"
        ) from error
    return Publication(folder=folder, manifest_sha256=sha256_bytes(contents[MANIFEST]), changed=changed)


def render(edition: "Edition") -> dict[str, bytes]:
    """Return every file of an edition by its relative name, the manifest last."""
    # Only here: who reads what is published needs neither Matplotlib nor pandas.
    from pipeline.publishing.charts import fan_pngs
    from pipeline.publishing.report import as_html
    from pipeline.publishing.tables import as_csv, as_json, as_parquet, record_as_parquet

    contents = {
        "forecasts.parquet": as_parquet(edition),
        "forecasts.csv": as_csv(edition),
        "forecasts.json": as_json(edition),
        "record.parquet": record_as_parquet(edition),
        "report.html": as_html(edition),
    }
    contents |= {f"charts/{file_name(symbol)}.png": png for symbol, png in fan_pngs(edition.fans)}
    return contents | {MANIFEST: _manifest(edition, contents)}


def file_name(symbol: str) -> str:
    """Return a symbol as part of a file name, different for different symbols: ^GSPC becomes _5eGSPC."""
    safe = "".join(sign if sign in _PLAIN else "".join(f"_{byte:02x}" for byte in sign.encode()) for sign in symbol)
    return f"_2e{safe[1:]}" if safe.startswith(".") else safe


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
    """Return the folder of the newest published session; raises MissingStep where nothing is published."""
    for day in reversed(published_sessions(root)):
        if root.exists(f"{folder_name(day)}/{MANIFEST}"):
            return root / folder_name(day)
    raise MissingStep(f"nothing is published in {root} yet; run `python -m pipeline run` first")


def read_published(folder: Storage, *, verify: bool = False) -> Published:
    """Return what is published in a folder; with `verify`, only after every file has the SHA-256 of the manifest.

    Raises MissingStep if nothing is published there, CorruptFile if a file is missing or not what was written.
    """
    manifest = read_manifest(folder)
    damaged = _damaged(folder, manifest["files"]) if verify else []
    if damaged:
        raise CorruptFile(f"{', '.join(damaged)} in {folder}: not what was published; publish that session again")
    return Published(folder=folder, manifest=manifest, forecasts=_read_json(folder, "forecasts.json"))


def read_manifest(folder: Storage) -> dict[str, Any]:
    """Return what a published folder says of itself. Raises MissingStep, or CorruptFile if it cannot be read."""
    if not folder.exists(MANIFEST):
        raise MissingStep(f"nothing is published in {folder}; run `python -m pipeline run` for that session first")
    return _read_json(folder, MANIFEST)


def read_record(folder: Storage, symbols: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of record.parquet of some symbols: how their forecasts of the next session did lately.

    None where an edition of an older version has no such file. Raises CorruptFile if it cannot be read.
    """
    rows: list[dict[str, Any]] = record_table(folder, symbols).to_pylist()
    return rows


def record_table(folder: Storage, symbols: Collection[str] | None = None) -> "pa.Table":
    """Return record.parquet of some symbols, or of all, as it lies there: the columns of `tables.RECORD_SCHEMA`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = None if symbols is None else pc.field("symbol").isin(pa.array(symbols, pa.string()))
    try:
        return pq.read_table(io.BytesIO(folder.read("record.parquet")), filters=wanted)
    except FileNotFoundError:
        from pipeline.publishing.tables import RECORD_SCHEMA

        return RECORD_SCHEMA.empty_table()
    except pa.ArrowException as error:
        reason = cause_of(error)
        raise CorruptFile(
            f"{folder / 'record.parquet'} cannot be read ({reason}); publish that session again"
        ) from None


def _manifest(edition: "Edition", contents: Mapping[str, bytes]) -> bytes:
    from pipeline.publishing.tables import dump

    return dump(
        {
            "as_of": edition.as_of.isoformat(),
            "exchange": edition.exchange,
            "headline": words.headline(edition),
            "verdict": words.verdict(edition).title,
            "symbols": len(edition.symbols),
            "withheld": len(edition.withheld),
            "rows": len(edition.table),
            "decision": dict(edition.decision),
            "audit": {name: count for name, count in edition.audit.items() if name not in ("problems", "seams")},
            "provenance": dict(edition.provenance),
            "files": {name: {"sha256": sha256_bytes(data), "size": len(data)} for name, data in contents.items()},
        }
    )


def _stands(folder: Storage, contents: Mapping[str, bytes]) -> bool:
    """Whether the folder holds exactly this already, each file undamaged."""
    if _digest(folder, MANIFEST) != sha256_bytes(contents[MANIFEST]):
        return False
    return not _damaged(folder, json.loads(contents[MANIFEST])["files"])


def _damaged(folder: Storage, recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name, record in recorded.items() if _digest(folder, name) != record["sha256"]]


def _digest(place: Storage, name: str) -> str | None:
    """Return the SHA-256 of a file, None where there is none."""
    try:
        return sha256_bytes(place.read(name))
    except FileNotFoundError:
        return None


def _point(root: Storage) -> None:
    """Have the pointer name the newest folder. Looked at again after each move: where nobody can be alone, another
    publisher may have come between the look and the move.
    """
    while _digest(root, POINTER) != sha256_bytes(pointer := _pointer(latest(root))):
        root.write(POINTER, pointer)


def _pointer(folder: Storage) -> bytes:
    from pipeline.publishing.tables import dump

    as_of = folder.name.removeprefix("as_of=")
    return dump({"as_of": as_of, "folder": folder.name, "manifest_sha256": _digest(folder, MANIFEST)})


def _read_json(folder: Storage, name: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(folder.read(name))
    except BucketFailed:  # says nothing of the file
        raise
    except (OSError, ValueError) as error:
        raise CorruptFile(f"{folder / name} cannot be read ({error}); publish that session again") from None
    return document
