"""Files and folders have the old content or the new, whichever process is killed at any moment."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.storage import atomic_files

resource = pytest.importorskip("resource")

OLD = {"a.txt": b"old", "charts/a.png": b"old picture", "gone.txt": b"old"}
NEW = {"a.txt": b"new", "charts/a.png": b"new picture", "charts/b.png": b"new picture"}

# A writer that ends itself, as `kill -9` would, at its nth call that changes the file system.
KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.storage import atomic_files as files

nth, folder, swaps = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
calls = 0

def count(event, args):
    global calls
    calls += event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)

new = eval(sys.argv[4])
sys.addaudithook(count)
files.replace_folder(folder, new, swap=swaps)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 10 bytes: the system itself refuses the rest, as it does on a full disk.

    Around a few lines only: the whole process is under the limit, the tests' own output too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    atomic_files.write_atomic(path, "first")
    atomic_files.write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["pointer.json"]


def test_a_file_keeps_its_content_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    atomic_files.write_atomic(path, "first")
    with full_disk(), pytest.raises(OSError, match="too large"):
        atomic_files.write_atomic(path, "much longer than ten bytes")
    assert contents(tmp_path) == {"pointer.json": b"first"}


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"prices")
    expected = hashlib.sha256(b"prices").hexdigest()
    assert atomic_files.sha256_file(tmp_path / "file") == atomic_files.sha256_bytes(b"prices") == expected


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_whole(tmp_path: Path, swaps: bool) -> None:
    folder = tmp_path / "deep" / "edition"
    atomic_files.replace_folder(folder, OLD, swap=swaps)
    assert contents(folder) == OLD
    atomic_files.replace_folder(folder, NEW, swap=swaps)
    assert contents(folder) == NEW
    assert names(folder.parent) == ["edition"]


def test_a_folder_stays_on_a_full_disk(tmp_path: Path) -> None:
    atomic_files.replace_folder(tmp_path / "edition", OLD)
    with full_disk(), pytest.raises(OSError, match="too large"):
        atomic_files.replace_folder(tmp_path / "edition", {"a.txt": b"new", "b.txt": b"much longer than ten bytes"})
    assert contents(tmp_path / "edition") == OLD
    assert names(tmp_path) == ["edition"]


def test_a_folder_comes_back_when_the_second_of_two_renames_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename, renamed = tmp_path / "edition", Path.rename, []
    atomic_files.replace_folder(folder, OLD)

    def failing(self: Path, target: Path) -> Path:
        renamed.append(self.name)
        if len(renamed) == 2:
            raise OSError("no second rename")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no second rename"):
        atomic_files.replace_folder(folder, NEW, swap=False)
    assert contents(tmp_path) == {f"edition/{name}": data for name, data in OLD.items()}


@pytest.mark.parametrize("swaps", [True, False])
def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new(tmp_path: Path, swaps: bool) -> None:
    folder = tmp_path / "edition"
    seen = set()
    for nth in range(1, 100):
        atomic_files.replace_folder(folder, OLD)
        command = [sys.executable, "-c", KILLED, str(nth), str(folder), str(swaps), repr(NEW)]
        done = subprocess.run(command, cwd=Path(atomic_files.__file__).parents[2], check=False)
        if swaps:  # not even between two calls is there anything else
            assert contents(folder) in (OLD, NEW)
        atomic_files.remove_stale_files(tmp_path)
        assert contents(folder) in (OLD, NEW)
        assert names(tmp_path) == ["edition"]
        seen.add("old" if contents(folder) == OLD else "new")
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert nth > 10
    assert seen == {"old", "new"}


def test_litter_is_only_what_a_writer_left(tmp_path: Path) -> None:
    (tmp_path / ".latest.json.0badcafe.aside").write_text("half")
    (tmp_path / ".edition.0badcafe.aside" / "charts").mkdir(parents=True)
    (tmp_path / "edition").mkdir()
    (tmp_path / ".keep").write_text("somebody's")
    atomic_files.remove_stale_files(tmp_path)
    assert names(tmp_path) == [".keep", "edition"]


def test_only_one_writer_is_inside_at_a_time(tmp_path: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with atomic_files.only_writer(tmp_path):
            entered.set()

    other = threading.Thread(target=second)
    with atomic_files.only_writer(tmp_path):
        other.start()
        assert not entered.wait(0.05)
    other.join(5)
    assert entered.is_set()
