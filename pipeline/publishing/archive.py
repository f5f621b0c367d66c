"""Editions of a session next to its standing one: trials, and standing editions that a later one has replaced.

    editions/as_of=2013-03-01/0001-3f9c01ab-77d21e90/    the same files as in as_of=2013-03-01/

The name of an edition is its number in the order of publication, then the start of the SHA-256 of its run's key and of
its manifest: one run publishes the same edition once, however often it is repeated, and no edition takes the place of
another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.errors import MissingStep
from pipeline.storage import Storage
from pipeline.storage.atomic_files import sha256_bytes

MANIFEST = "manifest.json"
_ROOT, _SESSION = "editions", "as_of=????-??-??"
_NAME = re.compile(r"(\d{4,})-([0-9a-f]{8})-([0-9a-f]{8})")
_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class ArchivedEdition:
    """One edition next to the standing one."""

    as_of: date
    name: str
    place: str  # its folder, relative to the published root

    @property
    def content(self) -> str:
        """The start of its manifest's SHA-256."""
        return self.name.rpartition("-")[2]


def add(root: Storage, as_of: date, run_key: str, contents: Mapping[str, bytes]) -> tuple[ArchivedEdition, bool]:
    """Add an edition's files to the archive unless it has them; return the edition, and whether it wrote anything.

    Only the files of `contents` that the manifest lists are checked; one that is damaged is written again.
    """
    folder = _folder(as_of)
    with (root / folder).alone():
        label = f"{sha256_bytes(run_key.encode())[:_DIGITS]}-{sha256_bytes(contents[MANIFEST])[:_DIGITS]}"
        there = archived_editions(root, as_of, unfinished=True)
        found = next((one for one in there if one.name.endswith(label)), None)
        if found is not None and _is_whole(root / found.place, contents):
            return found, False
        number = max((int(one.name.partition("-")[0]) for one in there), default=0) + 1
        name = f"{number:04d}-{label}" if found is None else found.name
        (root / folder).replace(name, contents)
    return ArchivedEdition(as_of=as_of, name=name, place=f"{folder}/{name}"), True


def archived_editions(root: Storage, as_of: date, *, unfinished: bool = False) -> list[ArchivedEdition]:
    """Return the archived editions of a session in the order of publication.

    `unfinished` ones, which lack a manifest because a writer was killed, are left out unless asked for.
    """
    folder = _folder(as_of)
    names = [name for name in (root / folder).names("[0-9]*-*-*") if _NAME.fullmatch(name)]
    found = [ArchivedEdition(as_of=as_of, name=name, place=f"{folder}/{name}") for name in sorted(names, key=_number)]
    return [one for one in found if unfinished or root.exists(f"{one.place}/{MANIFEST}")]


def find(root: Storage, as_of: date, name: str) -> ArchivedEdition:
    """Return an archived edition by its name or number. Raises MissingStep, which lists the existing ones."""
    there = archived_editions(root, as_of)
    for one in there:
        if one.name == name or (name.isdigit() and _number(one.name) == int(name)):
            return one
    existing = ", ".join(one.name for one in there) or "none next to the standing one"
    raise MissingStep(f"there is no edition {name} of {as_of}; there are: {existing}")


def archived_sessions(root: Storage) -> list[date]:
    """Return the sessions that have archived editions, oldest first."""
    days = []
    for name in (root / _ROOT).names(_SESSION):
        try:
            days.append(date.fromisoformat(name.removeprefix("as_of=")))
        except ValueError:  # a folder that only looks like ours
            continue
    return days


def _folder(as_of: date) -> str:
    return f"{_ROOT}/as_of={as_of}"


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def _is_whole(folder: Storage, contents: Mapping[str, bytes]) -> bool:
    try:
        return all(folder.read(name) == data for name, data in contents.items())
    except FileNotFoundError:
        return False
