"""Files are for their owner alone, but for those in folders that are shared on purpose."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import Settings
from pipeline.storage import Folder, atomic_files

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _usual_umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(atomic_files.CALLERS_UMASK, raising=False)
    before = os.umask(0o022)
    yield
    assert os.umask(before) == 0o022, "the caller's own stays as it was"


def rights(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def fill(place: Folder) -> list[str]:
    """Write in every way that a folder knows, and return the permissions of all that came of it."""
    place.write("a/b.json", b"{}")
    place.replace("c", {"d.txt": b"", "e/f.txt": b""})
    with place.making("g/h.txt") as path:
        path.write_text("")
    with place.alone():
        pass
    found = [place.path, *place.path.rglob("*")]
    return sorted({("d" if path.is_dir() else "f") + rights(path) for path in found})


def test_a_private_process_shares_what_is_shared_on_purpose(tmp_path: Path) -> None:
    with atomic_files.private():
        assert fill(Folder(tmp_path / "home")) == ["d700", "f600"]
        assert fill(Folder(tmp_path / "public", shared=True)) == ["d755", "f644"]
        assert fill(Folder(tmp_path / "public2", shared=True) / "below") == ["d755", "f644"]
    assert fill(Folder(tmp_path / "after")) == ["d755", "f644"]


def test_the_outermost_caller_counts(tmp_path: Path) -> None:
    os.umask(0o027)
    try:
        with atomic_files.private(), atomic_files.private():
            assert os.environ[atomic_files.CALLERS_UMASK] == "027"
            assert fill(Folder(tmp_path / "public", shared=True)) == ["d750", "f640"]
        assert atomic_files.CALLERS_UMASK not in os.environ
    finally:
        os.umask(0o022)


@pytest.mark.parametrize("text", ["", "x", "999", "0x22", "-1", "77777"])
def test_an_umask_that_is_none_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    with atomic_files.private():
        monkeypatch.setenv(atomic_files.CALLERS_UMASK, text)
        assert fill(Folder(tmp_path / "public", shared=True)) == ["d700", "f600"]


def test_only_places_that_were_named_are_shared(home: Path, tmp_path: Path) -> None:
    plain = Settings.load()
    named = Settings.load(publish_uri=str(tmp_path / "public"), store_uri=str(tmp_path / "store"))
    assert [place.shared for place in (plain.store, plain.published) if isinstance(place, Folder)] == [False, False]
    assert [place.shared for place in (named.store, named.published) if isinstance(place, Folder)] == [True, True]


def test_a_tree_is_closed_without_following_links(tmp_path: Path) -> None:
    (inside := tmp_path / "home" / "deep").mkdir(parents=True)
    (outside := tmp_path / "outside").touch()
    (inside / "file").touch()
    (inside / "program").touch(mode=0o755)
    (inside / "link").symlink_to(outside)
    (inside / "broken").symlink_to(tmp_path / "nowhere")
    atomic_files.make_tree_private(tmp_path / "home")
    assert [rights(path) for path in (inside, inside / "file", inside / "program")] == ["700", "600", "700"]
    assert rights(outside) == "644"
    atomic_files.make_tree_private(tmp_path / "never was")


def test_the_command_line_makes_a_private_home(tmp_path: Path) -> None:
    home = tmp_path / "above" / "home"
    environment = {**os.environ, "PIPELINE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline", "ingest", "--symbols", "IBM", "--as-of", "2013-02-28", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [home, *home.rglob("*")]
    assert any(path.name == "pipeline.db" for path in found)
    assert {str(path): rights(path) for path in found if path.stat().st_mode & 0o077} == {}
