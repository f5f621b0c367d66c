"""Asking the two servers as anybody may, and which routes there are to ask for."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from benchmarks.stack.compose import Stack

# Every route of the API server, those that no document names among them.
_ROUTES = """
import json
from airflow.api_fastapi.app import create_app
def of(routes, before=""):
    for route in routes:
        if hasattr(route, "routes") and getattr(route, "routes"):
            yield from of(route.routes, before + getattr(route, "path", ""))
        elif getattr(route, "methods", None):
            yield from ((method, before + route.path) for method in sorted(route.methods) if method != "HEAD")
app = create_app(apps="all")
print("ROUTES" + json.dumps(sorted(set(of(app.routes)))))
"""


def routes_of(stack: Stack) -> list[tuple[str, str]]:
    """Return method and path of every route of Airflow's API server."""
    told = stack.compose("exec", "-T", "api-server", "python", "-c", _ROUTES)
    routes: list[tuple[str, str]] = json.loads(told.partition("ROUTES")[2].splitlines()[0])
    assert len(routes) > 150
    return routes


class _Stay(HTTPRedirectHandler):
    """A redirect is an answer: where to, is what is asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


def asked(url: str, headers: dict[str, str] | None = None, body: bytes | None = None, method: str = "GET") -> Any:
    """Return status, headers and body of one request, with nothing but these headers."""
    opener = build_opener(ProxyHandler({}), _Stay())
    try:
        with opener.open(Request(url, body, headers or {}, method=method), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        return error.code, error.headers, error.read()
