"""The publisher: renders the files of an edition, writes them as one unit, and moves the pointer."""

import json
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from pipeline.errors import BucketFailed, StoreError
from pipeline.publishing import archive, verdict
from pipeline.storage import Storage
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.documents import to_document

if TYPE_CHECKING:
    from pipeline.publishing.edition import Edition
from pipeline.publishing.reader import (
    MANIFEST,
    POINTER,
    damaged_files,
    file_digest,
    folder_name,
    is_published,
    latest,
    pointer_to,
    published_sessions,
    read_manifest,
)

_PLAIN = frozenset(string.ascii_letters + string.digits + "-.")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What `publish` did."""

    folder: Storage
    place: str  # the folder, relative to the published root
    manifest_sha256: str
    changed: bool


def publish(edition: "Edition", root: Storage) -> Publication:
    """Publish an edition. Idempotent: a second time changes nothing, not even a time stamp.

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
                kept, changed = archive.add(root, edition.as_of, edition.run_key, contents)
                place, folder = kept.place, root / kept.place
            _point(root)
    except OSError as error:
        untouched = "what was published before" if root.swaps else "what was published for other sessions"
        raise StoreError(
            f"cannot publish to {folder}: {error.strerror or error}; {untouched} is untouched; "
            "free space or grant permissions there, or set PIPELINE_PUBLISH_URI, and publish again"
        ) from error
    return Publication(folder=folder, place=place, manifest_sha256=sha256_bytes(contents[MANIFEST]), changed=changed)


def _replace(root: Storage, as_of: date, contents: Mapping[str, bytes]) -> bool:
    """Make this the session's standing edition; the one before is kept. Return whether anything had to be written."""
    folder = root / folder_name(as_of)
    if _stands(folder, contents):
        return False
    before = _standing_files(folder)
    if before and before[MANIFEST] != contents[MANIFEST]:
        archive.add(root, as_of, _run_key(before[MANIFEST]), before)
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


def _manifest(edition: "Edition", contents: Mapping[str, bytes]) -> bytes:
    from pipeline.publishing.tables.daily_tables import dump

    return dump(
        {
            "as_of": edition.as_of.isoformat(),
            "exchange": edition.exchange,
            "headline": verdict.headline(edition),
            "verdict": verdict.verdict_on(edition).title,
            "symbols": len(edition.symbols),
            "withheld": len(edition.withheld),
            "rows": len(edition.table),
            "trial": list(edition.trial),
            "standing": edition.standing,
            "decision": {**to_document(edition.decision), "fallbacks": [asdict(each) for each in edition.fallbacks]},
            "audit": {name: v for name, v in to_document(edition.audit).items() if name not in ("problems", "seams")},
            "provenance": dict(edition.provenance),
            "files": {name: {"sha256": sha256_bytes(data), "size": len(data)} for name, data in contents.items()},
        }
    )


def _stands(folder: Storage, contents: Mapping[str, bytes]) -> bool:
    """Whether the folder holds exactly this already, each file undamaged."""
    if file_digest(folder, MANIFEST) != sha256_bytes(contents[MANIFEST]):
        return False
    return not damaged_files(folder, read_manifest(folder).files)


def _point(root: Storage) -> None:
    """Have the pointer name the newest standing edition, if any. Looked at again after each move: where nobody can be
    alone, another publisher may have come between the look and the move.
    """
    if not any(is_published(root, day) for day in published_sessions(root)):
        return
    while file_digest(root, POINTER) != sha256_bytes(pointer := pointer_to(latest(root))):
        root.write(POINTER, pointer)
