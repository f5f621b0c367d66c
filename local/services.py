"""Airflow and MLflow as services of this machine: start, check and stop them.

supervisord (configured in supervisord.conf) starts the programs, restarts one that dies and writes their logs.
Processes that outlive a killed supervisord are ended by `local.processes`.
"""

import fcntl
import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from local import moved, processes
from local.errors import LocalError, PortInUse, ServiceFailed
from local.place import REPO, Place
from pipeline.storage.atomic_files import private

Say = Callable[[str], None]

CONFIGURATION = Path(__file__).with_name("supervisord.conf")
LOG_LINES = 12
HEALTHY = {"RUNNING", "STARTING"}
# Files that a service reads only at its start: if one has changed, the services are restarted.
READ_AT_START = (
    "pipeline/**/*.py",
    "pipeline/**/*.js",
    "plugins/**/*.py",
    "local/place.py",
    "local/airflow_database.py",
    "local/supervisord.conf",
    "requirements.txt",
)
SETTINGS = ("PIPELINE_", "AIRFLOW_", "MLFLOW_")


@private()
def start(place: Place, environment: Mapping[str, str], say: Say) -> bool:
    """Ensure that all services of `place` run; return whether this call started them.

    Services that run with the same settings and code are left running. Raises PortInUse, ServiceFailed or LocalError;
    then, and when interrupted, nothing that it started is left running.
    """
    place.prepare()
    with alone(place):
        if _reusable(place, environment):
            return False
        if stop(place):
            say("restarting the services: settings or code have changed, or they are left over from a crash")
        require_free(place)
        try:
            migrate(place, environment, say)
            moved.follow(place, say)
            _launch(place, environment)
            _remember(place, environment)
        except BaseException:
            stop(place)
            raise
    return True


def stop(place: Place) -> int:
    """End every process of `place`, with or without a working supervisor; return how many there were."""
    count = len(processes.ours(place.home))
    with suppress(OSError, HTTPException, Fault):
        supervisor(place).shutdown()
        processes.await_end(place.home)
    processes.end(place.home)
    for name in ("fingerprint", "supervisord.pid"):
        (place.run / name).unlink(missing_ok=True)
    place.socket.unlink(missing_ok=True)
    return count


def states(place: Place) -> dict[str, str]:
    """Return each service's state as supervisor names it; empty if no supervisor runs."""
    try:
        return {str(info["name"]): str(info["statename"]) for info in supervisor(place).getAllProcessInfo()}
    except (OSError, HTTPException, Fault):
        return {}


def require_running(place: Place) -> None:
    """Raise ServiceFailed, with the end of its log, for a service that supervisor no longer restarts."""
    known = states(place)
    if not known:
        raise ServiceFailed(f"the services have been stopped; their logs are in {place.logs}")
    for name, state in known.items():
        if state not in HEALTHY and state != "BACKOFF":
            raise ServiceFailed(f"{name} does not stay up ({state.lower()}){_see(place, name)}")


def require_free(place: Place) -> None:
    """Raise PortInUse, naming the variable that selects another port, if a port is taken."""
    for variable, port in (("AIRFLOW_PORT", place.airflow_port), ("MLFLOW_PORT", place.mlflow_port)):
        if _taken(port):
            who = processes.listener(port)
            raise PortInUse(
                f"port {port} is in use by another program{f' ({who})' if who else ''}: "
                f"choose a free one, such as `make run {variable}={_free_port()}`"
            )


def fingerprint(environment: Mapping[str, str]) -> str:
    """Return a digest of the settings in `environment` and of the code that services hold in memory."""
    digest = hashlib.sha256()
    for name in sorted(name for name in environment if name.startswith(SETTINGS)):
        digest.update(f"{name}={environment[name]}\0".encode())
    for pattern in READ_AT_START:
        for path in sorted(REPO.glob(pattern)):
            digest.update(f"{path.relative_to(REPO)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Hold the place's lock; the operating system releases it when this process ends in any way."""
    with (place.run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(f"another `make run` is starting the services of {place.home}: wait for it") from None
        yield


def migrate(place: Place, environment: Mapping[str, str], say: Say) -> None:
    """Migrate both databases to the installed versions, in parallel, before any service opens them."""
    stamp = place.run / "migrated"
    versions = f"airflow {version('apache-airflow-core')}, mlflow {version('mlflow')}"
    made = (place.airflow_home / "airflow.db", place.airflow_home / "airflow.cfg", place.mlflow_home / "mlflow.db")
    if stamp.exists() and stamp.read_text() == versions and all(path.exists() for path in made):
        return
    stamp.unlink(missing_ok=True)
    say("preparing the databases of Airflow and MLflow")
    commands = {
        "airflow-migrate": ["airflow", "db", "migrate"],
        "mlflow-migrate": ["mlflow", "db", "upgrade", f"sqlite:///{place.mlflow_home / 'mlflow.db'}"],
    }
    running = {name: _run_logged(place, environment, name, command) for name, command in commands.items()}
    codes = {name: process.wait() for name, process in running.items()}
    for name, code in codes.items():
        if code:
            raise ServiceFailed(f"{name} failed with exit status {code}{_see(place, name)}")
    stamp.write_text(versions)


def supervisor(place: Place) -> Any:
    """Return supervisord's XML-RPC interface; its calls raise OSError if none runs."""
    transport = SupervisorTransport(None, None, f"unix://{place.socket}")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _reusable(place: Place, environment: Mapping[str, str]) -> bool:
    known = states(place)
    if not known or not set(known.values()) <= HEALTHY:
        return False
    with suppress(OSError):
        return (place.run / "fingerprint").read_text() == fingerprint(environment)
    return False


def _see(place: Place, name: str) -> str:
    log = place.logs / f"{name}.log"
    with suppress(OSError):
        last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join((f"; the end of {log}:", *last))
    return f"; its log is {log}"


def _run_logged(place: Place, environment: Mapping[str, str], name: str, command: list[str]) -> subprocess.Popen[bytes]:
    with (place.logs / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=dict(environment),
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _launch(place: Place, environment: Mapping[str, str]) -> None:
    """Start supervisord; it leaves the terminal's process group, so that Ctrl-C reaches only the caller."""
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIGURATION)]
    done = subprocess.run(command, env=dict(environment), cwd=place.home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceFailed(f"supervisord did not start: {(done.stderr or done.stdout).strip()}")


def _remember(place: Place, environment: Mapping[str, str]) -> None:
    (place.run / "fingerprint").write_text(fingerprint(environment))


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise LocalError(f"port {port} is reserved for system services: use one above 1023") from None
        except OSError:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
