"""Where files are kept that several machines read: a folder that all of them see, or a bucket.

Names are relative and have slashes: `runs/x/scores.json`. A folder shows what was there before or what came after, at
every moment and after a crash. A bucket does so for each file by itself: of several files a reader may find some old
and some new, so what belongs together carries digests.

Errors are OSErrors: FileNotFoundError for a name that is not there, BucketFailed for whatever a bucket refuses.
"""

import errno
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipeline.errors import BadSetting, BucketFailed, CorruptFile
from pipeline.storage import atomic_files
from pipeline.storage.causes import cause_of

if TYPE_CHECKING:
    from upath import UPath

_ON_DISK = ("file", "local")
_PASSWORD, _QUERY = re.compile(r"(://[^/@:\s]*):\S*@"), re.compile(r"(://[^?\s]*)\?\S*")


class Storage(ABC):
    """Files by name. `str` gives the place as people write it: a path, or a URL without its password."""

    # Whether `replace` shows the old files or the new at every moment, never some of each.
    swaps: ClassVar[bool]

    @abstractmethod
    def __truediv__(self, name: str) -> Self:
        """Return the place below this one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the place's own name."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file, so that its name shows the old content or the new."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def names(self, pattern: str) -> list[str]:
        """Return the names directly in this place that fit a pattern such as `as_of=*`, sorted."""

    @abstractmethod
    def replace(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Have exactly these files below `name`: relative names and their content, put there in this order."""

    @abstractmethod
    def local(self, name: str, sha256: str) -> Path:
        """Return where a file can be read on this machine's disk; what was fetched stays for the next time.

        Raises CorruptFile where a bucket holds another content. One on a disk is left to the reader to check.
        """

    @abstractmethod
    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to read a file or a folder from, as it is now: another worker may have made it anew."""

    @abstractmethod
    def making(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to write a file or a folder to; what is there when the `with` ends well is kept.

        The files of a folder are put beside those that are kept there, in the order in which they were written. Names
        that begin with a dot are not kept.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Wait until nobody else is inside the same `with`; in a bucket nobody can know."""


@dataclass(frozen=True)
class Folder(Storage):
    """A folder on a disk, or on a volume that several machines share.

    In a `shared` one files get the rights that the umask of its caller allows; see `files.private`.
    """

    path: Path
    shared: bool = False
    swaps = True

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Self:
        return type(self)(self.path / name, self.shared)

    @property
    def name(self) -> str:
        return self.path.name

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        path = self.path / name
        with self._rights():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_files.write_atomic(path, data)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def names(self, pattern: str) -> list[str]:
        return sorted(path.name for path in self.path.glob(pattern))

    def replace(self, name: str, contents: Mapping[str, bytes]) -> None:
        with self._rights():
            atomic_files.replace_folder(self.path / name, contents)

    def local(self, name: str, sha256: str) -> Path:  # noqa: ARG002  whoever reads it checks it
        return self._there(name)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        yield self._there(name)

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        path = self.path / name
        with self._rights():
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._rights(), atomic_files.only_writer(self.path):
            atomic_files.clear_litter(self.path)
            yield

    def _rights(self) -> AbstractContextManager[None]:
        return atomic_files.shared() if self.shared else nullcontext()

    def _there(self, name: str) -> Path:
        if not (self.path / name).exists():
            raise _not_there(self / name)
        return self.path / name


@dataclass(frozen=True)
class Bucket(Storage):
    """A prefix of an object store, where a file that is put is whole or not there.

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
        with self._asked("read", name) as system:
            data: bytes = system.cat_file(self._key(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        with self._asked("written", name) as system:
            system.pipe_file(self._key(name), data)

    def remove(self, name: str) -> None:
        try:
            with self._asked("removed", name) as system:
                system.rm_file(self._key(name))
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        try:
            with self._asked("read", name) as system:
                return bool(system.info(self._key(name))["type"] == "file")
        except FileNotFoundError:
            return False

    def names(self, pattern: str) -> list[str]:
        try:
            with self._asked("listed") as system:
                keys = system.ls(self.url.path, detail=False)
        except FileNotFoundError:  # nothing was ever put here
            return []
        found = (str(key).rstrip("/").rpartition("/")[2] for key in keys)
        return sorted(name for name in found if fnmatchcase(name, pattern))

    def replace(self, name: str, contents: Mapping[str, bytes]) -> None:
        place = self / name
        *others, last = [(place._key(each), data) for each, data in contents.items()]
        with place._asked("written") as system:
            system.pipe(dict(others))
            system.pipe_file(*last)  # after all that it tells of
            for each, key in place._keys(system).items():
                if each not in contents:
                    system.rm_file(key)

    def local(self, name: str, sha256: str) -> Path:
        kept = self.cache / self._key(name).lstrip("/")
        if kept.is_file() and atomic_files.sha256_file(kept) == sha256:
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_files.name_aside(kept) as aside:
            with self._asked("read", name) as system:
                system.get_file(self._key(name), str(aside))
            if atomic_files.sha256_file(aside) != sha256:
                raise CorruptFile(f"{self / name} is not what was written (its SHA-256 differs); make it anew")
            atomic_files.settle(aside, kept)
        return kept

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        place = self / name
        with self._aside(name) as copy:
            with place._asked("read") as system:
                keys = place._keys(system)
                if not keys:
                    raise FileNotFoundError
                system.get(list(keys.values()), [str(copy / each) for each in keys])
            yield copy

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        with self._aside(name) as made:
            yield made
            with self._asked("written", name) as system:
                for path in _in_order(made):
                    system.put_file(str(path), self._key(name) + str(path).removeprefix(str(made)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        yield

    @contextmanager
    def _asked(self, done: str, name: str = "") -> Iterator[Any]:
        """Give the file system; what it raises becomes FileNotFoundError or BucketFailed, in one line."""
        try:
            system = self.url.fs
            system.invalidate_cache()  # other workers put files here too
            yield system
        except Exception as error:  # noqa: BLE001  each file system has errors of its own
            place = self / name if name else self
            if isinstance(error, FileNotFoundError) and done != "written" and not _without_bucket(error):
                raise _not_there(place) from None
            # Without the original error: its text may hold more than is fit for a log.
            raise BucketFailed(
                f"{place} cannot be {done}: {_cause(error)}; see that the bucket is there, and that the credentials in "
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


def open_storage(address: str | Path, cache: Path, *, shared: bool = False) -> Storage:
    """Return the storage at a path or URL; `cache` is a folder for what is fetched from a bucket.

    A folder is `shared` where other users may read it: see `Folder`.

    Raises BadSetting for a URL that no installed package can reach. Nothing is asked or made yet.
    """
    protocol, separator, rest = str(address).partition("://")
    if not separator or protocol in _ON_DISK:
        return Folder(Path(rest or address).expanduser().resolve(), shared)
    from upath import UPath

    return Bucket(UPath(check_address(str(address))), cache)


def check_address(address: str) -> str:
    """Return a path or URL as it came. Raises BadSetting for a URL that no installed package can reach."""
    protocol, separator, _ = address.partition("://")
    if separator and protocol not in _ON_DISK:
        from fsspec import get_filesystem_class

        try:
            get_filesystem_class(protocol)
        except ImportError as error:
            raise BadSetting(f"no package for {protocol}:// is installed: {error}") from None
        except ValueError:
            raise BadSetting(f"{protocol}:// is unknown; name a folder, or a bucket as in s3://BUCKET/FOLDER") from None
    return address


def shown(text: str) -> str:
    """Return a text without the passwords and queries of URLs in it, fit for a message."""
    return _PASSWORD.sub(r"\1:***@", _QUERY.sub(r"\1", text))


def _not_there(place: Storage) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))


def _without_bucket(error: FileNotFoundError) -> bool:
    """Whether S3 says that there is no such bucket; s3fs makes the same error of it as of a missing file."""
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
