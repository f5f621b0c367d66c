"""Calls of `docker compose`, recorded by a stand-in for docker."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.stack.compose import Stack

DOCKER = """#!{python}
import json, os, sys
said = sys.stdin.buffer.read() if "exec" in sys.argv else b""
print(json.dumps({{"words": sys.argv[1:], "said": said.hex(), "source": os.environ.get("PIPELINE_SOURCE")}}))
sys.exit("fails" in sys.argv)
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER.format(python=sys.executable))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    monkeypatch.setenv("PIPELINE_SOURCE", "yahoo")
    return Stack(tmp_path, {}, overlays=["more.yml"])


def test_a_command_reads_the_file_it_is_given_and_knows_nothing_of_the_tests_own_settings(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "prices"
    file.write_bytes(b"PAR1\x00\xff\n")
    told = json.loads(stack.run("exec", "-T", "worker", "cat", stdin=file).stdout)
    files = ["--file", "docker-compose.yml", "--file", "more.yml"]
    project = ["--project-name", stack.name, "--env-file", str(stack.env_file)]
    assert told["words"] == ["compose", *files, *project, "exec", "-T", "worker", "cat"]
    assert bytes.fromhex(told["said"]) == file.read_bytes()
    assert told["source"] is None


def test_a_file_that_cannot_be_copied_in_is_an_error(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "prices"
    file.write_bytes(b"x")
    stack.copy_in("worker", file, "/there")
    with pytest.raises(AssertionError, match="cat > /there"):
        stack.copy_in("fails", file, "/there")
