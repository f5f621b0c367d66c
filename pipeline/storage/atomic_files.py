"""Atomic files: written under a temporary name, forced to the disk, then moved into place in one step.

What is being written carries a name that begins with a dot and ends with `ASIDE`. A process that is killed leaves
such a name behind and nothing else; `remove_stale_files` removes it. Errors of the file system pass through as OSError.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ASIDE = ".aside"
_REPLACED = ".replaced"
PRIVATE = 0o077
# The umask that this program was started with, for folders that are shared on purpose; child processes inherit it.
CALLERS_UMASK = "CLOSING_BELL_UMASK"
# The kernel's names for "swap these two names in one step", and what it answers where that is unknown.
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2
_CANNOT_SWAP = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def private() -> Iterator[None]:
    """Create files and folders for their owner alone, in this process and in those that it starts.

    The caller's umask is remembered for `shared`. The outermost `with` counts, across processes.
    """
    before = os.umask(PRIVATE)
    outermost = CALLERS_UMASK not in os.environ
    if outermost:
        os.environ[CALLERS_UMASK] = f"{before:03o}"
    try:
        yield
    finally:
        os.umask(before)
        if outermost:
            os.environ.pop(CALLERS_UMASK, None)


@contextmanager
def shared() -> Iterator[None]:
    """Create files and folders with the umask that this program was started with."""
    text = os.environ.get(CALLERS_UMASK, "")
    if re.fullmatch("0?[0-7]{1,3}", text) is None:
        yield
        return
    before = os.umask(int(text, 8))
    try:
        yield
    finally:
        os.umask(before)


def make_private(path: Path) -> None:
    """Remove all rights of group and others from a file or folder; links and files of other users are skipped."""
    with suppress(FileNotFoundError, PermissionError):
        status = path.lstat()
        if status.st_mode & PRIVATE and not stat.S_ISLNK(status.st_mode):
            path.chmod(stat.S_IMODE(status.st_mode) & ~PRIVATE)


def make_tree_private(path: Path) -> None:
    """Apply `make_private` to a folder and all of its content; files that vanish are skipped, links not followed."""
    make_private(path)
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            make_private(Path(folder, name))


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file atomically: at every moment and after a crash it has the old content or the new."""
    with name_aside(path) as aside:
        write_new(aside, data.encode() if isinstance(data, str) else data)
        settle(aside, path)


@contextmanager
def name_aside(path: Path) -> Iterator[Path]:
    """Give a temporary name next to `path` to write to before `settle`; it is removed if it still exists at the end."""
    aside = _name_aside(path)
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def settle(aside: Path, path: Path) -> None:
    """Move a temporary file into place once all of it is on the disk."""
    sync(aside)
    aside.replace(path)
    sync(path.parent)


def replace_folder(folder: Path, contents: Mapping[str, bytes], *, swap: bool = True) -> None:
    """Replace or create `folder` with exactly these files.

    `contents` maps relative names to bytes. The old folder stays whole until the new one stands in its place.
    Without `swap`, or where the file system cannot swap two names, there is a moment with neither between two renames.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = _name_aside(folder)
    try:
        _write_all(aside, contents)
        move_into_place(aside, folder, swap)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)  # after a swap it holds what was there before


def remove_stale_files(parent: Path) -> None:
    """Remove stale temporary files of killed writers from `parent`; the caller must be the only writer there."""
    for replaced in parent.glob(f".*{_REPLACED}"):
        folder = parent / replaced.name.removeprefix(".").removesuffix(_REPLACED)
        if folder.exists():
            shutil.rmtree(replaced)
        else:  # killed between two renames: restore the old state
            replaced.rename(folder)
    for aside in parent.glob(f".*{ASIDE}"):
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock for `folder` across processes; it is released if its holder is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _name_aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{ASIDE}")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet; `sync` forces it to the disk."""
    with path.open("xb") as file:
        file.write(data)


def _write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write and sync a tree. Every file is written before the first sync, so that the disk takes them in one batch."""
    paths = {folder / name: data for name, data in contents.items()}
    folders = {folder} | {parent for path in paths for parent in path.parents if folder in parent.parents}
    for each in sorted(folders):
        each.mkdir()
    for path, data in paths.items():
        write_new(path, data)
    for each in [*paths, *sorted(folders, reverse=True)]:
        sync(each)


def sync(path: Path) -> None:
    """Force a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_into_place(aside: Path, folder: Path, swap: bool) -> None:
    """Move a complete folder to its name: in one step, or with `swap` false after moving the old one away."""
    if not folder.exists():
        aside.rename(folder)
    elif not (swap and _swap(aside, folder)):
        replaced = folder.with_name(f".{folder.name}{_REPLACED}")
        folder.rename(replaced)
        try:
            aside.rename(folder)
        except BaseException:
            replaced.rename(folder)
            raise
        shutil.rmtree(replaced, ignore_errors=True)


def _swap(first: Path, second: Path) -> bool:
    """Swap two names in one step; False where the system or the file system has no such call."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, _RENAME_SWAP)
    elif hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    else:
        return False
    if not failed:
        return True
    if ctypes.get_errno() in _CANNOT_SWAP:
        return False
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
