"""Restricts the API server to the host names in `CLOSING_BELL_AIRFLOW_HOSTS`.

Airflow accepts any Host header. With DNS rebinding, a page of another site that resolves to this machine's address is
the same origin to the browser, and can read what needs no sign-in. Without the variable (behind a proxy, in a cluster)
every name is accepted: the proxy checks it.
"""

import os
from typing import Any

from airflow.plugins_manager import AirflowPlugin

_VARIABLE = "CLOSING_BELL_AIRFLOW_HOSTS"


def middlewares() -> list[dict[str, Any]]:
    """Return the middleware that checks host names; none if the variable is empty."""
    names = [name.strip() for name in os.environ.get(_VARIABLE, "").split(",") if name.strip()]
    if not names:
        return []
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    options = {"allowed_hosts": names, "www_redirect": False}
    return [{"name": "own hosts", "middleware": TrustedHostMiddleware, "args": [], "kwargs": options}]


class OwnHostsPlugin(AirflowPlugin):
    """Registers the middleware around the whole API server."""

    name = "own_hosts"
    fastapi_root_middlewares: list[Any] = middlewares()
