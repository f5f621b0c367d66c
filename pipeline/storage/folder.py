"""Storage in a folder on a disk."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.storage import atomic_files
from pipeline.storage.base import Storage, not_found


@dataclass(frozen=True)
class Folder(Storage):
    """A folder on a disk, or on a volume that several machines share.

    In a `shared` one, files get the rights that the umask of the caller allows; see `atomic_files.private`.
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

    def local(self, name: str, sha256: str) -> Path:  # noqa: ARG002  the reader checks it
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
            atomic_files.remove_stale_files(self.path)
            yield

    def _rights(self) -> AbstractContextManager[None]:
        return atomic_files.shared() if self.shared else nullcontext()

    def _there(self, name: str) -> Path:
        if not (self.path / name).exists():
            raise not_found(self / name)
        return self.path / name
