"""The stack of docker-compose.yml under its own name, ports and secrets: commands and queries."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from urllib.request import Request

from local.errors import LocalError
from local.rest import Airflow, opener

ROOT = Path(__file__).resolve().parents[2]
DAG = "daily_forecast"
RUNNING = {"queued", "running"}
_Found = TypeVar("_Found")


def engine() -> str | None:
    """Return why no stack can be started here, or None."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"`{' '.join(command)}`: {error}"
        if done.returncode:
            return f"`{' '.join(command)}`: {done.stderr.strip()[-200:]}"
    return None


def until(wanted: Callable[[], _Found], *, within_s: float, what: str, every_s: float = 0.5) -> _Found:
    """Poll until the result is true, and return it. Raises AssertionError after `within_s`."""
    last: Any = None
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if last := wanted():
                return last
        except (LocalError, subprocess.CalledProcessError) as error:  # the service is being restarted
            last = error
        time.sleep(every_s)
    raise AssertionError(f"no {what} within {within_s:.0f} s; the last answer was {last!r}")


class Stack:
    """One instance of docker-compose.yml: its own containers, networks and volumes."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], workers: int = 2, overlays: Sequence[str] = ()
    ) -> None:
        """Write the secrets and `settings` into `folder`; `overlays` are further compose files."""
        self.name = f"closing-bell-test-{secrets.token_hex(3)}"
        self.workers = workers
        self.files = [word for file in ("docker-compose.yml", *overlays) for word in ("--file", file)]
        self.airflow_port, self.mlflow_port = _free_ports(2)
        self.env_file = folder / "stack.env"
        values = {"AIRFLOW_PORT": str(self.airflow_port), "MLFLOW_PORT": str(self.mlflow_port), **settings}
        self.env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        subprocess.run(
            [sys.executable, "docker/make_secrets.py", str(self.env_file)], cwd=ROOT, check=True, capture_output=True
        )
        lines = (line.partition("=") for line in self.env_file.read_text().splitlines() if not line.startswith("#"))
        self.values = {name: value for name, _, value in lines}
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps({"admin": self.values["AIRFLOW_ADMIN_PASSWORD"]}))
        self.airflow = Airflow(url=f"http://127.0.0.1:{self.airflow_port}", passwords=passwords)

    def compose(self, *words: str, check: bool = True, stdin: Path | None = None) -> str:
        """Run `docker compose` on this stack and return its output. Raises AssertionError with its error output."""
        done = self.run(*words, stdin=stdin)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def run(self, *words: str, stdin: Path | None = None, timeout_s: float = 1200) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on this stack, with the file `stdin` as input if given; return the finished process."""
        project = ["--project-name", self.name, "--env-file", str(self.env_file)]
        command = ["docker", "compose", *self.files, *project, *words]
        # Other variables of the test environment must not affect the stack: only the env file counts.
        environment = {name: value for name, value in os.environ.items() if name in _PASSED}
        with nullcontext() if stdin is None else stdin.open("rb") as given:
            return subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdin=given,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout_s,
            )

    def up(self) -> None:
        """Start everything and wait until it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "900", "--scale", f"worker={self.workers}")

    def down(self, *, volumes: bool) -> None:
        """Remove everything, optionally with its volumes."""
        self.compose("down", "--timeout", "10", *(["--volumes"] if volumes else []))

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def copy_in(self, service: str, file: Path, place: str) -> None:
        """Write a file into a volume of a service: `docker cp` cannot, with a read-only root file system."""
        self.compose("exec", "-T", service, "sh", "-c", f"cat > {place}", stdin=file)

    def crash(self, container: str) -> None:
        """Kill a container as a power cut would, from outside: Docker treats `docker kill` as intended."""
        inspected = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        os.kill(int(inspected.stdout), signal.SIGKILL)

    def psql(self, database: str, query: str) -> list[list[str]]:
        """Return the rows of a query, every value as text."""
        words = ["psql", "-U", "postgres", "-d", database, "-At", "-F", "\t", "-c", query]
        out = self.compose("exec", "-T", "postgres", *words)
        return [line.split("\t") for line in out.splitlines()]

    def mlflow(
        self, path: str, body: Mapping[str, Any] | None = None, *, user: str = "reader", method: str | None = None
    ) -> Any:
        """Return the JSON answer of MLflow's REST API to one of its users."""
        password = {"reader": "MLFLOW_READER_PASSWORD", "pipeline": "MLFLOW_WRITER_PASSWORD"}[user]
        signed = base64.b64encode(f"{user}:{self.values[password]}".encode()).decode()
        request = Request(
            f"http://127.0.0.1:{self.mlflow_port}/api/2.0/mlflow/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Basic {signed}", "Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        with opener().open(request, timeout=30) as answer:
            return json.load(answer)

    def trigger(self, conf: Mapping[str, Any], dag: str = DAG) -> str:
        """Trigger a run and return its id."""
        run = self.airflow.post(f"dags/{dag}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        return str(run["dag_run_id"])

    def state(self, run_id: str, dag: str = DAG) -> str:
        """Return a run's state."""
        return str(self.airflow.get(f"dags/{dag}/dagRuns/{quote(run_id, safe='')}")["state"])

    def tasks(self, run_id: str, dag: str = DAG) -> list[dict[str, Any]]:
        """Return a run's task instances."""
        found: list[dict[str, Any]] = self.airflow.get(
            f"dags/{dag}/dagRuns/{quote(run_id, safe='')}/taskInstances?limit=1000"
        )["task_instances"]
        return found

    def at_work(self, run_id: str, task_id: str, within_s: float = 240) -> dict[str, Any]:
        """Wait until a worker runs this task, and return the task instance."""

        def found() -> dict[str, Any] | None:
            mine = [one for one in self.tasks(run_id) if one["task_id"] == task_id and one["state"] == "running"]
            return mine[0] if mine and mine[0]["hostname"] else None

        return until(found, within_s=within_s, what=f"{task_id} at work", every_s=0.1) or {}

    def finish(self, run_id: str, within_s: float = 900, dag: str = DAG) -> str:
        """Wait until a run has ended, and return its state."""
        until(lambda: self.state(run_id, dag) not in RUNNING, within_s=within_s, what=f"end of {run_id}", every_s=1)
        return self.state(run_id, dag)

    def published(self, as_of: str) -> dict[str, Any]:
        """Return the manifest of a published session, after checking every file against it.

        It is that of the standing edition, or of the newest trial where there is none.
        """
        words = [
            "import sys; from datetime import date; from pipeline.config import Settings",
            "from pipeline.publishing.reader import MANIFEST, edition_of, read_published",
            f"folder = edition_of(Settings.load().published, date.fromisoformat('{as_of}'))",
            "read_published(folder, verify=True)",
            "sys.stdout.buffer.write(folder.read(MANIFEST))",
        ]
        manifest: dict[str, Any] = json.loads(self.compose("exec", "-T", "worker", "python", "-c", "; ".join(words)))
        return manifest


_PASSED = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


def _free_ports(count: int) -> Sequence[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
