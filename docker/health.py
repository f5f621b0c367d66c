"""Health check of a service of docker-compose.yml: `python health.py SERVICE`, status 0 if it is healthy.

It runs every few seconds next to the service, so it imports as little as possible.
"""

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

_API = "http://api-server:8080/api/v2/monitor/health"
_MISSED = Path("/tmp/missed-pings")
_PATIENCE = 3


def main(service: str) -> int:
    """Return 0 if the service is healthy, else 1, with the reason on stderr."""
    try:
        reason = _CHECKS[service]()
    except (OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
    if reason:
        sys.stderr.write(f"{service}: {reason}\n")
    return int(bool(reason))


def _answers(url: str) -> str | None:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return None if answer.status == 200 else f"{url} answers {answer.status}"


def _reported(component: str) -> str | None:
    """Return what the API server reports of a component, from its heartbeat in the database."""
    with urllib.request.urlopen(_API, timeout=5) as answer:
        status = json.load(answer)[component]["status"]
    return None if status == "healthy" else f"the API server reports it as {status}"


def _worker() -> str | None:
    """Ping the worker through the broker. One that repeatedly does not respond is ended, and Docker restarts it.

    The worker itself is asked, not the process table: after a restart of the broker a worker can be alive and never
    receive a task again.
    """
    from celery import Celery
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    broker = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    name = f"celery@{socket.gethostname()}"
    try:
        heard = broker.control.ping(destination=[name], timeout=5)
    except (OSError, KombuError, RedisError) as error:  # the worker was not reached, so this is no reason to end it
        return f"the broker: {error}"
    if heard:
        _MISSED.unlink(missing_ok=True)
        return None
    missed = int(_MISSED.read_text()) + 1 if _MISSED.exists() else 1
    _MISSED.write_text(str(missed))
    if missed >= _PATIENCE:
        _MISSED.unlink()
        os.kill(1, signal.SIGTERM)
    return f"{name} did not respond, {missed} times"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "api-server": lambda: _answers(_API.replace("api-server", "127.0.0.1")),
    "scheduler": lambda: _answers("http://127.0.0.1:8974/health"),
    "dag-processor": lambda: _reported("dag_processor"),
    "triggerer": lambda: _reported("triggerer"),
    "worker": _worker,
    "mlflow": lambda: _answers("http://127.0.0.1:5000/health"),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
