"""Write random passwords and keys for docker-compose.yml into `.env`, for those that it does not contain yet.

`python3 docker/make_secrets.py [FILE]`. Existing lines stay, passwords of a running stack included. Afterwards only
its owner can read the file. Only the standard library is used: it runs before anything is installed.
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

_HEADING = "# Made by `make secrets`: passwords and keys of docker-compose.yml. Store them with your backups.\n"


def _password() -> str:
    return secrets.token_hex(24)  # only letters and digits: it becomes part of URLs


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _long_key() -> str:
    return secrets.token_urlsafe(96)  # HMAC-SHA-512 needs at least 64 bytes


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
    """Add what is missing and print its names; values are written to the file only."""
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
