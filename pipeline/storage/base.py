"""The interface of a storage: files by name, in a folder or a bucket."""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Self


class Storage(ABC):
    """Files by name. `str` gives the location for messages: a path, or a URL without its password."""

    # Whether `replace` is atomic: readers see the old files or the new, never some of each.
    swaps: ClassVar[bool]

    @abstractmethod
    def __truediv__(self, name: str) -> Self:
        """Return the storage at a path below this one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the path."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether a file of this name exists."""

    @abstractmethod
    def names(self, pattern: str) -> list[str]:
        """Return the names directly below this path that match a pattern such as `as_of=*`, sorted."""

    @abstractmethod
    def replace(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Replace what is below `name` by exactly these files, by relative name, written in this order."""

    @abstractmethod
    def local(self, name: str, sha256: str) -> Path:
        """Return where a file can be read on this machine's disk; what was fetched stays for the next time.

        Raises CorruptFile where a bucket holds another content. One on a disk is left to the reader to check.
        """

    @abstractmethod
    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to read a file or a folder from, in its current version: another worker may have replaced it."""

    @abstractmethod
    def making(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to write a file or a folder to; what is there when the `with` ends well is kept.

        The files of a folder are added to those that exist there, in the order in which they were written. Names
        that begin with a dot are not kept.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Hold an exclusive lock; a bucket has none."""


def not_found(place: Storage) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
