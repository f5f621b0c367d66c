"""Start MLflow's server with users and passwords from the environment: no secret is a process argument."""

import os
from pathlib import Path
from urllib.parse import quote

_SETTINGS = Path("/tmp/basic_auth.ini")


def main() -> None:
    """Write MLflow's authentication settings, migrate its database, then become the server."""
    password = quote(os.environ["MLFLOW_DB_PASSWORD"], safe="")
    host = os.environ.get("MLFLOW_DB_HOST", "postgres")
    server = f"postgresql+psycopg://mlflow:{password}@{host}:5432"
    _SETTINGS.touch(mode=0o600)
    _SETTINGS.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {server}/mlflow_users\n"
        "admin_username = admin\n"
        f"admin_password = {os.environ['MLFLOW_ADMIN_PASSWORD']}\n"
        # Checking a password takes a quarter of a second of CPU: once a minute, not with each request.
        "auth_cache_ttl_seconds = 60\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    os.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(_SETTINGS),
        "MLFLOW_BACKEND_STORE_URI": f"{server}/mlflow",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": origins(os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"]),
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    }
    # The server refuses a database of an older version. Done in this process: an argument would expose the password.
    from mlflow.cli import cli

    cli(["db", "upgrade", os.environ["MLFLOW_BACKEND_STORE_URI"]], standalone_mode=False)
    os.execvp(
        "mlflow",
        ["mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0", "--port", "5000", "--workers", "2"],
    )


def origins(hosts: str) -> str:
    """Return the origins of MLflow's own pages: its hosts with http and https, without patterns."""
    names = [name for name in (part.strip() for part in hosts.split(",")) if name and "*" not in name]
    return ",".join(f"{scheme}://{name}" for name in names for scheme in ("http", "https"))


if __name__ == "__main__":
    main()
