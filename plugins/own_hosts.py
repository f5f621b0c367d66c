"""An API server that answers to its own names only, where `CLOSING_BELL_AIRFLOW_HOSTS` lists them.

Airflow accepts any Host header. A page whose name was bound to this machine's address (DNS rebinding) then counts as
the same origin to the browser. What it could read without signing in is little, and is nothing with this. Without the
variable (behind a proxy, in a cluster) every name is answered: the proxy knows which ones there are.
"""

import os
from typing import Any

from airflow.plugins_manager import AirflowPlugin

_VARIABLE = "CLOSING_BELL_AIRFLOW_HOSTS"


def middlewares() -> list[dict[str, Any]]:
    """Return the check around the API server; none where no name is listed."""
    names = [name.strip() for name in os.environ.get(_VARIABLE, "").split(",") if name.strip()]
    if not names:
        return []
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    options = {"allowed_hosts": names, "www_redirect": False}
    return [{"name": "own hosts", "middleware": TrustedHostMiddleware, "args": [], "kwargs": options}]


class OwnHostsPlugin(AirflowPlugin):
    """Registers the check around all of the API server."""

    name = "own_hosts"
    fastapi_root_middlewares: list[Any] = middlewares()
