"""Storage in a bucket of an object store."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import BucketFailed, CorruptFile, cause_of
from pipeline.storage import atomic_files
from pipeline.storage.base import Storage, not_found
from pipeline.storage.urls import shown

if TYPE_CHECKING:
    from upath import UPath


@dataclass(frozen=True)
class Bucket(Storage):
    """A prefix of an object store, where a file is written completely or not at all.

    `cache` is a folder on this machine's disk for what is on its way; nothing in it is ever needed again.
    """

    url: "UPath"
    cache: Path
    swaps = False

    def __str__(self) -> str:
        return shown(str(self.url)).rstrip("/")

    def __truediv__(self, name: str) -> Self:
        return type(self)(self.url / name, self.cache)

    @property
    def name(self) -> str:
        return self.url.name

    def read(self, name: str) -> bytes:
        with self.request("read", name) as system:
            data: bytes = system.cat_file(self._key(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        with self.request("written", name) as system:
            system.pipe_file(self._key(name), data)

    def remove(self, name: str) -> None:
        try:
            with self.request("removed", name) as system:
                system.rm_file(self._key(name))
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        try:
            with self.request("read", name) as system:
                return bool(system.info(self._key(name))["type"] == "file")
        except FileNotFoundError:
            return False

    def names(self, pattern: str) -> list[str]:
        try:
            with self.request("listed") as system:
                keys = system.ls(self.url.path, detail=False)
        except FileNotFoundError:  # nothing was ever written here
            return []
        found = (str(key).rstrip("/").rpartition("/")[2] for key in keys)
        return sorted(name for name in found if fnmatchcase(name, pattern))

    def replace(self, name: str, contents: Mapping[str, bytes]) -> None:
        place = self / name
        *others, last = [(place._key(each), data) for each, data in contents.items()]
        with place.request("written") as system:
            system.pipe(dict(others))
            system.pipe_file(*last)  # after everything that it refers to
            for each, key in place._keys(system).items():
                if each not in contents:
                    system.rm_file(key)

    def local(self, name: str, sha256: str) -> Path:
        kept = self.cache / self._key(name).lstrip("/")
        if kept.is_file() and atomic_files.sha256_file(kept) == sha256:
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_files.name_aside(kept) as aside:
            with self.request("read", name) as system:
                system.get_file(self._key(name), str(aside))
            if atomic_files.sha256_file(aside) != sha256:
                raise CorruptFile(f"{self / name} is damaged (its SHA-256 differs); create it again")
            atomic_files.settle(aside, kept)
        return kept

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        place = self / name
        with self._aside(name) as copy:
            with place.request("read") as system:
                keys = place._keys(system)
                if not keys:
                    raise FileNotFoundError
                system.get(list(keys.values()), [str(copy / each) for each in keys])
            yield copy

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        with self._aside(name) as made:
            yield made
            with self.request("written", name) as system:
                for path in _in_order(made):
                    system.put_file(str(path), self._key(name) + str(path).removeprefix(str(made)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        yield

    @contextmanager
    def request(self, done: str, name: str = "") -> Iterator[Any]:
        """Give the file system; its errors become FileNotFoundError or BucketFailed, in one line."""
        try:
            system = self.url.fs
            system.invalidate_cache()  # other workers put files here too
            yield system
        except Exception as error:  # noqa: BLE001  each file system has errors of its own
            place = self / name if name else self
            if isinstance(error, FileNotFoundError) and done != "written" and not _without_bucket(error):
                raise not_found(place) from None
            # Without the original error: its text may contain secrets.
            raise BucketFailed(
                f"{place} cannot be {done}: {_cause(error)}; check that the bucket exists, and that the credentials in "
                "the environment are right and allow it"
            ) from None

    @contextmanager
    def _aside(self, name: str) -> Iterator[Path]:
        """Give a path that ends like the file's own, in a folder that is gone afterwards."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.cache, prefix=".", suffix=atomic_files.ASIDE) as folder:
            path = Path(folder) / self._key(name).lstrip("/")
            path.parent.mkdir(parents=True)
            yield path

    def _key(self, name: str) -> str:
        return str((self.url / name).path)

    def _keys(self, system: Any) -> dict[str, str]:
        """Return the files below this place by their relative names, or this one file by the name `""`."""
        return {str(key).removeprefix(self.url.path).lstrip("/"): key for key in system.find(self.url.path)}


def _without_bucket(error: FileNotFoundError) -> bool:
    """Whether S3 reports a missing bucket; s3fs raises the same error for it as for a missing file."""
    answer = getattr(error.__cause__, "response", None) or {}
    return bool(answer.get("Error", {}).get("Code") == "NoSuchBucket")


def _cause(error: Exception) -> str:
    return shown(str(getattr(error, "strerror", None) or "") or cause_of(error))


def _in_order(made: Path) -> list[Path]:
    """Return the files that were made, the one that was written last at the end."""
    if made.is_file():
        return [made]
    found = [path for path in made.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path))
