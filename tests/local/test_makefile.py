"""When `make` installs and when it does not; with a Python that only notes what it was asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.place import REPO

# As the interpreter: makes .venv, whose own "python" notes its arguments and fails where they contain $BROKEN.
PYTHON = """#!/bin/sh
case "$1" in
-m) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
esac
case "$0" in
*.venv*) echo "$*" >> asked ;;
esac
if [ -n "$BROKEN" ]; then case "$*" in *"$BROKEN"*) echo "ERROR: no route to host" >&2; exit 1 ;; esac; fi
exit 0
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt", "pipeline/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(checkout: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "PYTHON=./python", *arguments],
        cwd=checkout,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def asked(checkout: Path) -> str:
    path = checkout / "asked"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return text


def test_installs_torch_first_then_the_lock_with_its_hashes_then_the_project(checkout: Path) -> None:
    assert make(checkout, "run").returncode == 0
    torch, lock, project, run = asked(checkout).splitlines()
    assert re.search(r"--no-index --no-deps torch==\d[^ ]*$", torch)
    assert "--require-hashes -r requirements.txt" in lock
    assert project.endswith("install --no-deps --no-build-isolation --editable .")
    assert run == "-m local run"


def test_takes_torch_from_the_index_where_there_is_no_wheel(checkout: Path) -> None:
    assert make(checkout, "install", "TORCH_INDEX=https://example.org/cpu", BROKEN="--no-index").returncode == 0
    assert "--no-deps --index-url https://example.org/cpu torch==" in asked(checkout)


def test_installs_once(checkout: Path) -> None:
    make(checkout, "run")
    asked(checkout)
    make(checkout, "run")
    assert asked(checkout) == "-m local run\n"


def test_installs_again_when_the_lock_has_changed(checkout: Path) -> None:
    make(checkout, "install")
    asked(checkout)
    lock = checkout / "requirements.txt"
    stamp = lock.stat()
    lock.write_text(lock.read_text().replace("a", "b", 1))
    os.utime(lock, (stamp.st_atime, stamp.st_mtime))
    make(checkout, "install")
    assert "-r requirements.txt" in asked(checkout)


def test_an_install_that_failed_is_done_again_and_says_why(checkout: Path) -> None:
    done = make(checkout, "run", BROKEN="requirements.txt")
    assert done.returncode != 0
    assert "no route to host" in done.stderr
    assert "-m local run" not in asked(checkout)
    assert make(checkout, "run").returncode == 0
    assert "-r requirements.txt" in asked(checkout)


@pytest.mark.parametrize("file", ["pyproject.toml", "pipeline/__init__.py"])
def test_a_new_version_or_new_metadata_installs_only_the_project_again(checkout: Path, file: str) -> None:
    make(checkout, "install")
    asked(checkout)
    (checkout / file).write_text((checkout / file).read_text() + "\n")
    make(checkout, "install")
    assert asked(checkout).splitlines() == [
        "-m pip --disable-pip-version-check -qq install --no-deps --no-build-isolation --editable ."
    ]


def test_tests_and_checks_install_their_tools_once(checkout: Path) -> None:
    make(checkout, "test", "ARGS=-k gate")
    installed, project, tested = asked(checkout).splitlines()[2:]
    assert installed.endswith("install --require-hashes -r requirements-dev.txt -c requirements-dev.txt")
    assert project.endswith("--editable .")
    assert tested == "-m pytest -n logical --dist worksteal -k gate"
    make(checkout, "test")
    assert asked(checkout) == "-m pytest -n logical --dist worksteal\n"


def test_names_the_variable_where_python_is_too_old(checkout: Path) -> None:
    done = make(checkout, "run", BROKEN="version_info")
    assert done.returncode != 0
    assert "older than Python 3.11" in done.stderr
    assert "make run PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_stop_installs_nothing(checkout: Path) -> None:
    done = make(checkout, "stop")
    assert (done.returncode, done.stdout) == (0, "nothing is installed, nothing is running\n")


def test_help_is_the_default_and_lists_every_target_in_aligned_columns(checkout: Path) -> None:
    listed = make(checkout).stdout
    assert listed == make(checkout, "help").stdout
    declared = re.findall(r"^([a-z.-]+):.*? ## (.*)$", (checkout / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "stop", "test", "check", "lock", "wheel", "test-distributed"} < {name for name, _ in declared}
    lines = {line for line in listed.splitlines() if line.startswith("  make ")}
    assert lines == {f"  make {name:16}  {text}" for name, text in declared}
    assert max(map(len, listed.splitlines())) <= 120


def test_every_target_is_phony_so_that_a_file_of_its_name_hides_none(checkout: Path) -> None:
    text = (checkout / "Makefile").read_text().replace("\\\n", "")
    phony = set(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)[0].split())
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) == phony
