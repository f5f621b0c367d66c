"""Restore of a backup: the stack is deleted, volumes included, and resumes where it was."""

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.stack.compose import ROOT, Stack
from tests.distributed.whole import champion, require_whole, versions_of

pytestmark = pytest.mark.distributed


def script(stack: Stack, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COMPOSE_PROJECT": stack.name, "COMPOSE_ENV": str(stack.env_file)}
    return subprocess.run(
        [ROOT / "docker" / name, folder], env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def test_a_restored_stack_goes_on(stack: Stack, tmp_path: Path) -> None:
    before = stack.trigger({"as_of": "2013-02-11"})
    assert stack.finish(before) == "success"
    old = require_whole(stack, before, "2013-02-11")
    old_champion = champion(stack)

    made = script(stack, "backup.sh", tmp_path / "kept")
    assert made.returncode == 0, made.stderr
    refused = script(stack, "restore.sh", tmp_path / "kept")
    assert refused.returncode == 1
    assert "exist already" in refused.stderr
    stack.down(volumes=True)
    done = script(stack, "restore.sh", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    stack.up()

    assert stack.published("2013-02-11") == old
    assert champion(stack) == old_champion
    after = stack.trigger({"as_of": "2013-02-12"})
    assert stack.finish(after) == "success"
    require_whole(stack, after, "2013-02-12")
    assert len(versions_of(stack, "2013-02-11")) == 1


def test_a_damaged_back_up_is_refused(stack: Stack, tmp_path: Path) -> None:
    made = script(stack, "backup.sh", tmp_path / "kept")
    assert made.returncode == 0, made.stderr
    dump = tmp_path / "kept" / "pipeline.dump"
    dump.write_bytes(dump.read_bytes()[:-1])
    refused = script(stack, "restore.sh", tmp_path / "kept")
    assert refused.returncode != 0
    assert "pipeline.dump: FAILED" in refused.stdout
