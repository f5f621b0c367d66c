"""Write the passwords and keys of docker-compose.yml into `.env`: random ones, for those that are not there yet.

`python3 docker/make_secrets.py [FILE]`. What the file says already stays, the passwords of a running stack among it.
Only its owner can read it afterwards. Python's own library alone: it runs before anything is installed.
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

_HEADING = "# Made by `make secrets`: passwords and keys of docker-compose.yml. Keep them with your back-ups.\n"


def _password() -> str:
    return secrets.token_hex(24)  # letters and digits alone: it becomes part of addresses


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _long_key() -> str:
    return secrets.token_urlsafe(96)  # more than the 64 bytes that HMAC-SHA-512 wants


MADE: dict[str, Callable[[], str]] = {
    "POSTGRES_PASSWORD": _password,
    "AIRFLOW_DB_PASSWORD": _password,
    "MLFLOW_DB_PASSWORD": _password,
    "PIPELINE_DB_PASSWORD": _password,
    "REDIS_PASSWORD": _password,
    "AIRFLOW_ADMIN_PASSWORD": _password,
    "AIRFLOW_FERNET_KEY": _fernet_key,
    "AIRFLOW_SECRET_KEY": _long_key,
    "AIRFLOW_JWT_SECRET": _long_key,
    "MLFLOW_ADMIN_PASSWORD": _password,
    "MLFLOW_WRITER_PASSWORD": _password,
    "MLFLOW_READER_PASSWORD": _password,
    "MLFLOW_SECRET_KEY": _long_key,
}


def main(path: Path) -> None:
    """Add what is missing and say which names it was; the values are for the file alone."""
    before = path.read_text() if path.exists() else ""
    known = {line.partition("=")[0].strip() for line in before.splitlines() if line.partition("=")[2].strip()}
    missing = [name for name in MADE if name not in known]
    if missing:
        begun = before if not before or before.endswith("\n") else before + "\n"
        lines = "".join(f"{name}={MADE[name]()}\n" for name in missing)
        aside = path.with_name(f".{path.name}.aside")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{begun}{_HEADING}{lines}")
        aside.replace(path)
    path.chmod(0o600)
    sys.stdout.write(f"{path}: wrote {', '.join(missing)}\n" if missing else f"{path}: nothing was missing\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".env"))
