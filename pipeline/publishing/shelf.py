"""The published root: one folder per session, each whole or not there, and a pointer to the newest.

    latest.json                  {"as_of", "folder", "manifest_sha256"}: the newest session that is published
    as_of=2013-03-01/            forecasts.{parquet,csv,json}, report.html, charts/*.png, manifest.json

The pointer is derived from the folders, so that it cannot name one that is not complete, and filling in an older
session never moves it back.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import CorruptFile, MissingStep, StoreError
from pipeline.publishing import words
from pipeline.publishing.charts import fan_pngs
from pipeline.publishing.edition import Edition
from pipeline.publishing.report import as_html
from pipeline.publishing.tables import as_csv, as_json, as_parquet, dump

MANIFEST, POINTER = "manifest.json", "latest.json"
_FOLDER = "as_of=????-??-??"
_PLAIN = frozenset(string.ascii_letters + string.digits + "-.")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What `publish` did."""

    folder: Path
    manifest_sha256: str
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published folder, read back: its manifest.json and forecasts.json."""

    folder: Path
    manifest: dict[str, Any]
    forecasts: dict[str, Any]


def publish(edition: Edition, root: Path) -> Publication:
    """Put an edition on the shelf; doing it twice changes nothing, not even a time stamp.

    Raises StoreError if it cannot be written: then everything published before stands as it was.
    """
    contents = render(edition)
    folder = root / f"as_of={edition.as_of}"
    try:
        with files.only_writer(root):
            files.clear_litter(root)
            changed = not _stands(folder, contents)
            if changed:
                files.replace_folder(folder, contents)
            _point(root)
    except OSError as error:
        raise StoreError(
            f"cannot publish to {folder}: {error.strerror or error}; what was published before is untouched; "
            "make room or rights there, or set PIPELINE_PUBLISH_URI, and publish again"
        ) from error
    return Publication(folder=folder, manifest_sha256=files.sha256_bytes(contents[MANIFEST]), changed=changed)


def render(edition: Edition) -> dict[str, bytes]:
    """Return every file of an edition by its relative name, the manifest last."""
    contents = {
        "forecasts.parquet": as_parquet(edition),
        "forecasts.csv": as_csv(edition),
        "forecasts.json": as_json(edition),
        "report.html": as_html(edition),
    }
    contents |= {f"charts/{file_name(symbol)}.png": png for symbol, png in fan_pngs(edition.fans())}
    return contents | {MANIFEST: _manifest(edition, contents)}


def file_name(symbol: str) -> str:
    """Return a symbol as part of a file name, different for different symbols: ^GSPC becomes _5eGSPC."""
    safe = "".join(sign if sign in _PLAIN else "".join(f"_{byte:02x}" for byte in sign.encode()) for sign in symbol)
    return f"_2e{safe[1:]}" if safe.startswith(".") else safe


def latest(root: Path) -> Path:
    """Return the folder of the newest published session; raises MissingStep where nothing is published."""
    folder = _newest(root)
    if folder is None:
        raise MissingStep(f"nothing is published in {root} yet; run `python -m pipeline run` first")
    return folder


def read_published(folder: Path, *, verify: bool = False) -> Published:
    """Return what is published in a folder; with `verify`, only after every file has the SHA-256 of the manifest.

    Raises MissingStep if nothing is published there, CorruptFile if a file is missing or not what was written.
    """
    if not (folder / MANIFEST).is_file():
        raise MissingStep(f"nothing is published in {folder}; run `python -m pipeline run` for that session first")
    manifest = _read_json(folder / MANIFEST)
    damaged = _damaged(folder, manifest["files"]) if verify else []
    if damaged:
        raise CorruptFile(f"{', '.join(damaged)} in {folder}: not what was published; publish that session again")
    return Published(folder=folder, manifest=manifest, forecasts=_read_json(folder / "forecasts.json"))


def _manifest(edition: Edition, contents: Mapping[str, bytes]) -> bytes:
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
            "files": {name: {"sha256": files.sha256_bytes(data), "size": len(data)} for name, data in contents.items()},
        }
    )


def _stands(folder: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether the folder holds exactly this already, each file undamaged."""
    if not (folder / MANIFEST).is_file() or (folder / MANIFEST).read_bytes() != contents[MANIFEST]:
        return False
    return not _damaged(folder, json.loads(contents[MANIFEST])["files"])


def _damaged(folder: Path, recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        name
        for name, record in recorded.items()
        if not (folder / name).is_file() or files.sha256_file(folder / name) != record["sha256"]
    ]


def _newest(root: Path) -> Path | None:
    return max((folder for folder in root.glob(_FOLDER) if (folder / MANIFEST).is_file()), default=None)


def _point(root: Path) -> None:
    folder = latest(root)
    pointer = dump(
        {
            "as_of": folder.name.removeprefix("as_of="),
            "folder": folder.name,
            "manifest_sha256": files.sha256_file(folder / MANIFEST),
        }
    )
    path = root / POINTER
    if not path.is_file() or path.read_bytes() != pointer:
        files.write_atomic(path, pointer)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptFile(f"{path} cannot be read ({error}); publish that session again") from None
    return document
