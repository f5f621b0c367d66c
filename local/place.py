"""The place of the single-machine setup: its folders, its two ports, and the environment of its processes."""

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

# Every process started here, and every child of one, inherits this variable; `stop` ends those with this home in it.
MARKER = "CLOSING_BELL_HOME"

SCHEMES = ("http", "https")

# A Unix socket's path has about 104 bytes, and supervisord binds a longer, temporary name first.
LONGEST_SOCKET_PATH = 88


class Ports(BaseSettings):
    """The two ports on 127.0.0.1: variables AIRFLOW_PORT and MLFLOW_PORT."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    airflow_port: int = Field(8080, ge=1, le=65535)
    mlflow_port: int = Field(5000, ge=1, le=65535)

    @classmethod
    def load(cls) -> Self:
        """Return the ports of the environment; LocalError names the variable that is not a port."""
        try:
            ports = cls()
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]).upper()
            raise LocalError(f"{name}={problem['input']!r} is not a port: use a number from 1 to 65535") from None
        if ports.airflow_port == ports.mlflow_port:
            raise LocalError(f"AIRFLOW_PORT and MLFLOW_PORT are both {ports.airflow_port}: use two different ports")
        return ports


@dataclass(frozen=True, kw_only=True)
class Place:
    """One setup: a home folder and two ports."""

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
        """Airflow's folder: its database, configuration, task logs and password."""
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
        """The state of running services: process id, lock, fingerprint."""
        return self.home / "run"

    @property
    def socket(self) -> Path:
        """Supervisor's socket: in `run`, or in a private folder with a shorter path."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"closing-bell-{os.getuid()}-{name}" / "supervisor.sock"

    @property
    def airflow_url(self) -> str:
        """Airflow's address, without a trailing slash."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's address, without a trailing slash."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def prepare(self) -> None:
        """Create the folders and Airflow's password; everything is private to its owner, older files included."""
        with private():
            for folder in (self.home, *self._folders):
                folder.mkdir(parents=True, exist_ok=True)
            self._tighten()
            make_password(self.passwords)
        if self.socket.parent != self.run:
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
            if self.socket.parent.is_symlink() or self.socket.parent.stat().st_uid != os.getuid():
                raise LocalError(f"{self.socket.parent} belongs to another user: set PIPELINE_HOME to a shorter path")

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.airflow_home, self.mlflow_home, self.logs, self.run

    def _tighten(self) -> None:
        """Remove the permissions of others from files of an earlier version or umask.

        In a home with other content (a user's home, a folder around this checkout) only from the files of this setup.
        """
        ours = self.home.resolve() not in (Path.home().resolve(), REPO, *REPO.parents)
        paths = [self.home] if ours else [*self._folders, *self.home.glob("pipeline.db*"), self.home / "published"]
        for path in paths:
            make_tree_private(path)
        make_private(REPO / ".env")  # may hold passwords

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the services' environment: `base`, defaults for what it does not set, and fixed values.

        Variables of TUNING can be overridden. Addresses, folders, databases and the pickle setting cannot: a value left
        over from another Airflow on this machine must not lead tasks to its database.
        """
        return {**TUNING, **base, **self._fixed(base)}

    @staticmethod
    def unmarked(environment: Mapping[str, str]) -> dict[str, str]:
        """Return `environment` for a user's command, which `stop` must not end."""
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
            # Airflow renames its processes and would overwrite the environment that `stop` recognises them by.
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
            # Airflow sets the permissions of logs itself and ignores the umask.
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "PIPELINE_AIRFLOW_LINK": self.airflow_url,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
        }

    def _hosts(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the host names that the servers accept: local ones and those in AIRFLOW_HOSTS and MLFLOW_HOSTS."""
        own = ("127.0.0.1", "localhost")
        airflow, mlflow = (_names(base.get(name, "")) for name in ("AIRFLOW_HOSTS", "MLFLOW_HOSTS"))
        at_port = [f"{name}:{self.mlflow_port}" for name in own]
        origins = [f"http://{name}" for name in at_port] + [
            f"{scheme}://{name}" for name in mlflow for scheme in SCHEMES
        ]
        return {
            "CLOSING_BELL_AIRFLOW_HOSTS": ",".join((*own, *airflow)),
            "CLOSING_BELL_MLFLOW_HOSTS": ",".join((*at_port, *mlflow)),
            "CLOSING_BELL_MLFLOW_ORIGINS": ",".join(origins),
        }

    @property
    def passwords(self) -> Path:
        """The file with the password of Airflow's user."""
        return self.airflow_home / "simple_auth_manager_passwords.json.generated"


def make_password(path: Path) -> None:
    """Write a password for the user `admin` if there is none; one that Airflow generates would appear in its log."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):  # none yet, or half a file
        known = None
    if not (isinstance(known, dict) and known.get("admin")):
        write_atomic(path, json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n")


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


# Defaults that users may override in the environment.
TUNING = {
    # A daily run is a chain with little parallelism.
    "AIRFLOW__CORE__PARALLELISM": "4",
    # An idle scheduler's sleep is the pause between two tasks of a chain.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # How soon a new or changed DAG file is seen.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # While MLflow is unreachable a call blocks for minutes by default; the upload task has its own retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # A second torch thread on a machine with a busy core spins and makes a step ten times slower.
    "OMP_NUM_THREADS": "1",
}
