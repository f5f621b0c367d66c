"""What every test stands on: its own home, its own Airflow, no settings from outside and no host but this one."""

import gc
import logging
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_socket

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="closing-bell-airflow-"))

# Nothing in the environment of the tests may change what they see: settings, a proxy between this machine and itself,
# the size and colours of a terminal, how Python prints and warns.
SETTINGS = ("PIPELINE_", "MLFLOW_", "AIRFLOW_")
TERMINAL = {
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TTY_COMPATIBLE",
    "PYTHONWARNINGS",
}
for name in [
    name
    for name in os.environ
    if name.startswith(SETTINGS) or name in TERMINAL or name.lower().endswith("_proxy") or name == "PYTHONPATH"
]:
    del os.environ[name]
os.environ["TERM"] = "dumb"

# A shell that starts tests in the background (`&`, `nohup`) has them ignore signals, and so would every process that
# they start; tests send these signals and look at what comes of them.
for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)
os.umask(0o022)

# Airflow reads these once, when it is first imported; pytest reads this file before any test module.
os.environ |= {
    "AIRFLOW_HOME": str(AIRFLOW_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__API_AUTH__JWT_SECRET": "signs the tokens of the tests and of nobody else, sixty-four bytes",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}

# Workers share the cores: a pool of BLAS threads in each would have them wait for one another.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ |= {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

for folder in (ROOT / "plugins", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from tests.once import build_once  # noqa: E402


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Start no workers for one named file: its tests begin sooner in this process. Else, xdist counts the cores."""
    named = [argument for argument in config.args if ".py" in argument]
    return 0 if len(named) == len(config.args) == 1 else None


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage while the tests are imported: all of it stays, and the search takes a third of the time."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


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

    def migrate(folder: Path) -> None:
        from pipeline.config import Settings
        from pipeline.tracking.connection import ping

        ping(Settings.load(home=folder / "var"))

    return build_once(tmp_path_factory, "empty-home", migrate) / "var"


@pytest.fixture(scope="session")
def airflow_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty database of Airflow for this process: its migrations take seconds, so that one is made and copied."""
    database = AIRFLOW_HOME / "airflow.db"

    def migrate(folder: Path) -> None:
        from airflow.utils.db import initdb

        initdb()
        with closing(sqlite3.connect(database)) as made, closing(sqlite3.connect(folder / "airflow.db")) as copy:
            made.backup(copy)

    shared = build_once(tmp_path_factory, "airflow", migrate)
    if not database.exists():  # made by another worker
        shutil.copyfile(shared / "airflow.db", database)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server on this machine that speaks S3."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a place in an empty bucket; how to get there is in the environment, as it is in a worker's."""
    import requests
    from s3fs import S3FileSystem

    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "bell",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-bell",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    requests.post(f"{s3}/moto-api/reset", timeout=10).raise_for_status()
    S3FileSystem().mkdir("bell")
    return "s3://bell/kept"
