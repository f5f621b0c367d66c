"""The wheel in an environment that has the locked packages and no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A virtual environment, and an empty folder to call its commands from."""

    venv: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "var"

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call a command of the environment."""
        command = [str(self.venv / "bin" / words[0]), *words[1:]]
        environment = {**os.environ, "PIPELINE_HOME": str(self.home), **self.environment}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    def printed(self, *words: str) -> str:
        """Return what a command prints; it must succeed."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


def with_locked_packages(folder: Path) -> Installation:
    """Return an environment that sees this one's packages, but not what is installed here as editable."""
    venv.create(folder / "venv", symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")}))
    (own / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "empty").mkdir()
    return Installation(venv=folder / "venv", folder=folder / "empty")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    into = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = into.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def without(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment without the package."""
    return with_locked_packages(tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the wheel installed."""
    made = with_locked_packages(tmp_path_factory.mktemp("installed"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(made.venv / "bin" / "python")]
    subprocess.run([*pip, "install", "-q", "--no-index", "--no-deps", "--ignore-installed", str(wheel)], check=True)
    return made
