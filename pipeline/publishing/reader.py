"""The published root: a folder for each session's standing edition, the other editions, and a pointer to the newest.

    latest.json                  {"as_of", "folder", "manifest_sha256"}: the newest session with a standing edition
    as_of=2013-03-01/            forecasts.{parquet,csv,json}, record.parquet, report.html, charts/*.png, manifest.json
    editions/as_of=2013-03-01/   trials and replaced editions of that session: see `archive`
    record/                      the track record over all editions: see `track`

Each edition is whole or not there. A run of the standing configuration becomes the standing edition of its session;
the one that it replaces is copied to `editions` first. A trial is put there at once and moves nothing. The pointer is
derived from the standing editions, so that it cannot name one that is not complete, and filling in an older session
never moves it back. In a bucket files are replaced one by one, the manifest last: who reads meanwhile may find a file
that is not the one of the manifest.
"""

import io
import json
import string
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.errors import BucketFailed, CorruptFile, MissingStep, StoreError
from pipeline.publishing import archive, formatting
from pipeline.storage import Storage
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.causes import cause_of

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.publishing.edition import Edition

MANIFEST, POINTER = archive.MANIFEST, "latest.json"
_FOLDER = "as_of=????-??-??"
_PLAIN = frozenset(string.ascii_letters + string.digits + "-.")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What `publish` did."""

    folder: Storage
    place: str  # the folder, relative to the published root
    manifest_sha256: str
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published folder, read back: its manifest.json and forecasts.json."""

    folder: Storage
    manifest: dict[str, Any]
    forecasts: dict[str, Any]


def publish(edition: "Edition", root: Storage) -> Publication:
    """Publish an edition; doing it twice changes nothing, not even a time stamp.

    A trial is kept next to the standing edition, any other becomes it. Raises StoreError if it cannot be written: then
    everything published before stands as it was. Only in a bucket the same session's edition may be half replaced,
    which `read_published` tells by the manifest; the replaced one has been copied by then.
    """
    contents = render(edition)
    folder = root / folder_name(edition.as_of)
    try:
        with root.alone():
            if edition.standing:
                place, changed = folder.name, _replace(root, edition.as_of, contents)
            else:
                kept, changed = archive.keep(root, edition.as_of, edition.run_key, contents)
                place, folder = kept.place, root / kept.place
            _point(root)
    except OSError as error:
        untouched = "what was published before" if root.swaps else "what was published for other sessions"
        raise StoreError(
            f"cannot publish to {folder}: {error.strerror or error}; {untouched} is untouched; "
            "make room or rights there, or set PIPELINE_PUBLISH_URI, and publish again"
        ) from error
    return Publication(folder=folder, place=place, manifest_sha256=sha256_bytes(contents[MANIFEST]), changed=changed)


def _replace(root: Storage, as_of: date, contents: Mapping[str, bytes]) -> bool:
    """Make this the session's standing edition; the one before is kept. Return whether anything had to be written."""
    folder = root / folder_name(as_of)
    if _stands(folder, contents):
        return False
    before = _standing_files(folder)
    if before and before[MANIFEST] != contents[MANIFEST]:
        archive.keep(root, as_of, _run_key(before[MANIFEST]), before)
    root.replace(folder.name, contents)
    return True


def _standing_files(folder: Storage) -> dict[str, bytes]:
    """Return the files of a standing edition, the manifest last; nothing unless all are what was published.

    A damaged edition is not worth keeping, and one that is half overwritten has been kept before that began.
    """
    try:
        manifest = folder.read(MANIFEST)
        recorded = json.loads(manifest)["files"]
        files = {name: folder.read(name) for name in recorded}
    except BucketFailed:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    whole = all(sha256_bytes(data) == recorded[name]["sha256"] for name, data in files.items())
    return {**files, MANIFEST: manifest} if whole else {}


def _run_key(manifest: bytes) -> str:
    return str(json.loads(manifest).get("provenance", {}).get("run_key", ""))


def render(edition: "Edition") -> dict[str, bytes]:
    """Return every file of an edition by its relative name, the manifest last."""
    # Only here: who reads what is published needs neither Matplotlib nor pandas.
    from pipeline.publishing.charts.png import fan_pngs
    from pipeline.publishing.report.page import as_html
    from pipeline.publishing.tables.daily_tables import as_csv, as_json, as_parquet, record_as_parquet

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
        for day in reversed(archive.sessions_kept(root)):
            if there := archive.kept_editions(root, day):
                return root / there[-1].place
        raise


def edition_of(root: Storage, as_of: date, name: str | None = None) -> Storage:
    """Return the folder of a session's edition: by its name, else the standing one, else the newest trial.

    Raises MissingStep where there is no edition of that name; a session without any is left to the reader to refuse.
    """
    if name is not None:
        return root / archive.find(root, as_of, name).place
    if not is_published(root, as_of) and (there := archive.kept_editions(root, as_of)):
        return root / there[-1].place
    return root / folder_name(as_of)


def all_sessions(root: Storage) -> list[date]:
    """Return the sessions that have any edition, oldest first."""
    return sorted({*published_sessions(root), *archive.sessions_kept(root)})


def other_editions(root: Storage, as_of: date) -> list[archive.Kept]:
    """Return the editions of a session next to the standing one, oldest first.

    A copy of the standing edition, left by a publication that was killed between copying and replacing, is not one.
    """
    standing = _digest(root / folder_name(as_of), MANIFEST) or ""
    there = archive.kept_editions(root, as_of)
    return [one for one in there if not (standing and standing.startswith(one.content))]


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


def source_of(manifest: Mapping[str, Any]) -> str:
    """Return the source of the prices that an edition was made from; "" where its manifest does not say."""
    return str(manifest.get("provenance", {}).get("source", ""))


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
        from pipeline.publishing.tables.daily_tables import RECORD_SCHEMA

        return RECORD_SCHEMA.empty_table()
    except pa.ArrowException as error:
        reason = cause_of(error)
        raise CorruptFile(
            f"{folder / 'record.parquet'} cannot be read ({reason}); publish that session again"
        ) from None


def _manifest(edition: "Edition", contents: Mapping[str, bytes]) -> bytes:
    from pipeline.publishing.tables.daily_tables import dump

    return dump(
        {
            "as_of": edition.as_of.isoformat(),
            "exchange": edition.exchange,
            "headline": formatting.headline(edition),
            "verdict": formatting.verdict(edition).title,
            "symbols": len(edition.symbols),
            "withheld": len(edition.withheld),
            "rows": len(edition.table),
            "trial": list(edition.trial),
            "standing": edition.standing,
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
    """Have the pointer name the newest standing edition, if any. Looked at again after each move: where nobody can be
    alone, another publisher may have come between the look and the move.
    """
    if not any(is_published(root, day) for day in published_sessions(root)):
        return
    while _digest(root, POINTER) != sha256_bytes(pointer := _pointer(latest(root))):
        root.write(POINTER, pointer)


def _pointer(folder: Storage) -> bytes:
    from pipeline.publishing.tables.daily_tables import dump

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
