"""Where the one-machine set-up lives: its folders, its two ports, and the environment of every process it starts."""

import hashlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from local.errors import LocalError
from pipeline.config import ENV_FILE, Settings
from pipeline.storage.atomic_files import make_private, make_tree_private, private, write_atomic

REPO = Path(__file__).resolve().parent.parent

# Each process we start, and each one those start, carries this variable; `stop` ends whoever carries our home in it.
MARKER = "CLOSING_BELL_HOME"

WAYS = ("http", "https")

# A Unix socket's path has about 104 bytes, and supervisord binds a longer, temporary name first.
LONGEST_SOCKET_PATH = 88


class Ports(BaseSettings):
    """The two ports on 127.0.0.1: variables AIRFLOW_PORT and MLFLOW_PORT."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    airflow_port: int = Field(8080, ge=1, le=65535)
    mlflow_port: int = Field(5000, ge=1, le=65535)

    @classmethod
    def load(cls) -> Self:
        """Return the ports of the environment; LocalError names the variable that is no port."""
        try:
            ports = cls()
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]).upper()
            raise LocalError(f"{name}={problem['input']!r} is not a port: use a number from 1 to 65535") from None
        if ports.airflow_port == ports.mlflow_port:
            raise LocalError(f"AIRFLOW_PORT and MLFLOW_PORT are both {ports.airflow_port}: give them two ports")
        return ports


@dataclass(frozen=True, kw_only=True)
class Place:
    """One set-up: everything under `home`, two ports."""

    home: Path
    airflow_port: int
    mlflow_port: int

    @classmethod
    def load(cls) -> Self:
        """Return the place that PIPELINE_HOME, AIRFLOW_PORT and MLFLOW_PORT name, from the environment or `.env`."""
        ports = Ports.load()
        return cls(home=Settings.load().home, airflow_port=ports.airflow_port, mlflow_port=ports.mlflow_port)

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder: its database, its configuration, its task logs, the password."""
        return self.home / "airflow"

    @property
    def mlflow_home(self) -> Path:
        """MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def logs(self) -> Path:
        """One log file for each service."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """What is true only while services run: process id, lock, fingerprint."""
        return self.home / "run"

    @property
    def socket(self) -> Path:
        """Supervisor's socket: in `run`, or in a short private folder where that path would be too long."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"closing-bell-{os.getuid()}-{name}" / "supervisor.sock"

    @property
    def airflow_url(self) -> str:
        """Airflow's address, no slash at the end."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's address, no slash at the end."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def prepare(self) -> None:
        """Make the folders and Airflow's password; everything is for its owner alone, older files included."""
        with private():
            for folder in (self.home, *self._folders):
                folder.mkdir(parents=True, exist_ok=True)
            self._tighten()
            make_password(self.passwords)
        if self.socket.parent != self.run:
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
            if self.socket.parent.is_symlink() or self.socket.parent.stat().st_uid != os.getuid():
                raise LocalError(f"{self.socket.parent} belongs to somebody else: set PIPELINE_HOME to a shorter path")

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.airflow_home, self.mlflow_home, self.logs, self.run

    def _tighten(self) -> None:
        """Take the rights of others from what an earlier version, or another umask, has left.

        Of a home that also holds other things (a user's own, a folder around this checkout) only what is ours.
        """
        ours = self.home.resolve() not in (Path.home().resolve(), REPO, *REPO.parents)
        paths = [self.home] if ours else [*self._folders, *self.home.glob("pipeline.db*"), self.home / "published"]
        for path in paths:
            make_tree_private(path)
        make_private(REPO / ".env")  # may hold passwords

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the services' environment: `base`, our defaults where it is silent, and what has to be so.

        Whoever sets a variable of TUNING keeps it. Addresses, folders, databases and what may open a pickle are
        ours: a value left over from another Airflow on the same machine must not lead our tasks to its database.
        """
        return {**TUNING, **base, **self._fixed(base)}

    @staticmethod
    def unmarked(environment: Mapping[str, str]) -> dict[str, str]:
        """Return `environment` for a command of the user's own, one that `stop` must not end."""
        return {name: value for name, value in environment.items() if name != MARKER}

    def _fixed(self, base: Mapping[str, str]) -> dict[str, str]:
        loopback = "127.0.0.1,localhost"
        no_proxy = ",".join(filter(None, (base.get("no_proxy") or base.get("NO_PROXY"), loopback)))
        return {
            MARKER: str(self.home),
            "CLOSING_BELL_PYTHON": sys.executable,
            "CLOSING_BELL_REPO": str(REPO),
            "CLOSING_BELL_SOCKET": str(self.socket),
            "CLOSING_BELL_MLFLOW_PORT": str(self.mlflow_port),
            **self._hosts(base),
            "PIPELINE_HOME": str(self.home),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), base.get("PATH", os.defpath))),
            "PYTHONPATH": str(REPO),
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            # Airflow renames its processes and would overwrite the environment that `stop` knows them by.
            "SPT_NOENV": "1",
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.airflow_home / 'airflow.db'}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "local.airflow_database.SYNC",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": "local.airflow_database.ASYNC",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.airflow_home / "logs"),
            # Airflow gives logs their rights itself, whatever the umask.
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "PIPELINE_AIRFLOW_LINK": self.airflow_url,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
        }

    def _hosts(self, base: Mapping[str, str]) -> dict[str, str]:
        """The names that both servers answer to: this machine's own, and those in AIRFLOW_HOSTS and MLFLOW_HOSTS."""
        own = ("127.0.0.1", "localhost")
        airflow, mlflow = (_names(base.get(name, "")) for name in ("AIRFLOW_HOSTS", "MLFLOW_HOSTS"))
        at_port = [f"{name}:{self.mlflow_port}" for name in own]
        origins = [f"http://{name}" for name in at_port] + [f"{way}://{name}" for name in mlflow for way in WAYS]
        return {
            "CLOSING_BELL_AIRFLOW_HOSTS": ",".join((*own, *airflow)),
            "CLOSING_BELL_MLFLOW_HOSTS": ",".join((*at_port, *mlflow)),
            "CLOSING_BELL_MLFLOW_ORIGINS": ",".join(origins),
        }

    @property
    def passwords(self) -> Path:
        """The file that holds the password of Airflow's user."""
        return self.airflow_home / "simple_auth_manager_passwords.json.generated"


def make_password(path: Path) -> None:
    """Write a password for the user `admin` where there is none; one that Airflow makes itself lands in its log."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):  # none yet, or half a file
        known = None
    if not (isinstance(known, dict) and known.get("admin")):
        write_atomic(path, json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n")


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


# Defaults that a person may change in the environment.
TUNING = {
    # A daily run is a chain with little beside it.
    "AIRFLOW__CORE__PARALLELISM": "4",
    # The pause of an idle scheduler is what passes between two tasks of a chain.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # How soon a new or changed DAG file is seen.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # With MLflow away a call blocks for minutes by default; the upload task has retries of its own.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # A second torch thread beside a busy core spins and makes a step ten times slower.
    "OMP_NUM_THREADS": "1",
}
