"""Make MLflow's two users, the pipeline that writes and a reader, and set their passwords. Twice is once."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request

_SERVER = "http://mlflow:5000/api/2.0/mlflow/users"


def main() -> int:
    """Make or renew both; status 1 with MLflow's answer where it refuses."""
    for name, variable in (("pipeline", "MLFLOW_WRITER_PASSWORD"), ("reader", "MLFLOW_READER_PASSWORD")):
        password = os.environ[variable]
        try:
            _ask("POST", "create", {"username": name, "password": password})
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if "RESOURCE_ALREADY_EXISTS" not in said:
                sys.stderr.write(f"MLflow refuses to make the user {name}: {said}\n")
                return 1
            _ask("PATCH", "update-password", {"username": name, "password": password})
    return 0


def _ask(method: str, what: str, body: dict[str, str]) -> None:
    admin = base64.b64encode(f"admin:{os.environ['MLFLOW_ADMIN_PASSWORD']}".encode()).decode()
    request = urllib.request.Request(
        f"{_SERVER}/{what}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Basic {admin}"},
        method=method,
    )
    urllib.request.urlopen(request, timeout=20).close()


if __name__ == "__main__":
    sys.exit(main())
