"""CI's stages are defined once, in .ci/run: what it runs when asked for some, and that the workflow asks for all."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

MAKE = """#!/bin/sh
echo "$*" >> made
if [ "$*" = "$BROKEN" ]; then exit 3; fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with .ci/run, and a `make` that only notes what it was asked."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").write_text(MAKE)
    (tmp_path / "bin" / "make").chmod(0o755)
    return tmp_path


def ci(checkout: Path, *stages: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(checkout / "bin"), os.environ["PATH"]))
    return subprocess.run(
        ["bash", str(checkout / ".ci" / "run"), *stages],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def made(checkout: Path) -> list[str]:
    return (checkout / "made").read_text().splitlines() if (checkout / "made").exists() else []


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_only_the_named_stages_run_in_the_order_given(checkout: Path) -> None:
    done = ci(checkout, "check", "wheel")
    assert (done.returncode, made(checkout)) == (0, ["check", "test-wheel"])
    assert "== check took" in done.stdout


def test_a_stage_that_fails_ends_the_run_and_the_services(checkout: Path) -> None:
    done = ci(checkout, "check", "test", BROKEN="check")
    assert (done.returncode, made(checkout)) == (3, ["check", "stop"])
    assert "failed with status 3" in done.stdout


def test_a_stage_with_an_ampersand_runs_next_to_the_others_and_is_shown_at_the_end(checkout: Path) -> None:
    done = ci(checkout, "wheel&", "check")
    assert (done.returncode, sorted(made(checkout))) == (0, ["check", "test-wheel"])
    lines = done.stdout.splitlines()
    assert lines.index("== check") < lines.index("== wheel"), "not in the middle of what another stage prints"


def test_a_stage_next_to_the_others_that_fails_fails_the_run(checkout: Path) -> None:
    done = ci(checkout, "wheel&", "check", BROKEN="test-wheel")
    assert done.returncode == 3
    assert "check" in made(checkout)
    assert "failed with status 3" in done.stdout


def test_a_stage_that_fails_ends_the_one_next_to_it(checkout: Path) -> None:
    os.mkfifo(checkout / "endless")  # nobody writes to it, so reading it ends only by a signal
    with (checkout / "bin" / "make").open("a") as file:
        file.write('[ "$*" != test-wheel ] || exec cat endless\n')
        file.write('[ "$*" != check ] || { until grep -q test-wheel made; do :; done; exit 3; }\n')
    done = ci(checkout, "wheel&", "check")
    assert done.returncode == 3
    assert done.stdout.index("failed with status 130") < done.stdout.index("failed with status 3\n")


def test_all_stages_run_where_none_is_named() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    stages, in_order = (next(line for line in lines if line.startswith(f"{name}=(")) for name in ("STAGES", "ALL"))
    assert sorted(re.findall(r"[\w-]+", stages)[1:]) == sorted(re.findall(r"[\w-]+", in_order)[1:])


def test_an_unknown_stage_is_refused_before_any_runs(checkout: Path) -> None:
    done = ci(checkout, "check", "tests")
    assert (done.returncode, made(checkout)) == (2, [])
    assert "there is no stage tests; there are: install check test" in done.stderr


def test_the_workflow_runs_every_stage(checkout: Path) -> None:
    jobs = read(".github/workflows/ci.yml")["jobs"]
    installs = [step["run"] for step in jobs["install"]["steps"] if "run" in step]
    assert [command.split()[-1] for command in installs] == ["install"]
    asked = {"install", *jobs["stage"]["strategy"]["matrix"]["stage"]}
    assert asked == set(ci(checkout, "--list").stdout.split())


def test_every_target_of_tests_belongs_to_a_stage() -> None:
    targets = set(re.findall(r"^(test[a-z-]*|check):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"make ([a-z-]+)", (ROOT / ".ci" / "run").read_text()))
    assert targets - used == set()


def test_what_a_plain_pytest_leaves_out_has_a_target() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    makefile = (ROOT / "Makefile").read_text()
    left_out = re.findall(r"not (\w+)", options["addopts"])
    assert len(left_out) >= 4
    assert [name for name in left_out if not re.search(rf"-m {name}\b", makefile)] == []


def test_hooks_are_local_so_that_a_commit_needs_no_network() -> None:
    repositories = read(".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for each in repositories for hook in each["hooks"]}
    assert [each["repo"] for each in repositories] == ["local"]
    assert set(hooks) == {"ruff", "ruff-format", "mypy", "lint-imports"}
    checks = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert hook["entry"].split()[0].removeprefix(".venv/bin/") in checks


def test_dependabot_looks_where_there_are_dependencies() -> None:
    updates = read(".github/dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} >= {"pip", "docker", "github-actions"}
    for each in updates:
        for folder in each.get("directories", [each.get("directory")]):
            assert (ROOT / folder.lstrip("/")).is_dir()
