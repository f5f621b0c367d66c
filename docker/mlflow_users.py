"""Create MLflow's two users, `pipeline` (writes) and `reader`, and set their passwords; idempotent."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request

_SERVER = "http://mlflow:5000/api/2.0/mlflow/users"


def main() -> int:
    """Create or update both; return 1, with MLflow's response on stderr, if it refuses."""
    for name, variable in (("pipeline", "MLFLOW_WRITER_PASSWORD"), ("reader", "MLFLOW_READER_PASSWORD")):
        password = os.environ[variable]
        try:
            _ask("POST", "create", {"username": name, "password": password})
        except urllib.error.HTTPError as error:
            response = error.read().decode(errors="replace")
            if "RESOURCE_ALREADY_EXISTS" not in response:
                sys.stderr.write(f"MLflow refuses to create the user {name}: {response}\n")
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
