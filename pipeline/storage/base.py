"""What a storage is: files by name, in a folder or a bucket."""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Self


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


def not_found(place: Storage) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
