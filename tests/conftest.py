"""What every test stands on: its own home, its own Airflow, no settings from outside and no host but this one."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_socket

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="closing-bell-airflow-"))

# Nothing set by whoever starts the tests may change what they see.
for name in [name for name in os.environ if name.startswith(("PIPELINE_", "MLFLOW_", "AIRFLOW_"))]:
    del os.environ[name]

# Airflow reads these once, when it is first imported; pytest reads this file before any test module.
os.environ |= {
    "AIRFLOW_HOME": str(AIRFLOW_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}

for folder in (ROOT / "plugins", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _this_machine_only() -> None:
    """Refuse connections to other hosts; pytest-socket lifts it after each test."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh `PIPELINE_HOME`, worked from an empty folder, so that no `.env` of the checkout is read."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var"


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty MLflow database: making one takes seconds, copying it none."""
    from pipeline.config import Settings
    from pipeline.tracking.store import ping

    home = tmp_path_factory.mktemp("empty") / "var"
    ping(Settings.load(home=home))
    return home
