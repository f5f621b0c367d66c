"""The API descriptions are not served without a sign-in."""

import asyncio
from typing import Any

import pytest
from no_api_descriptions import NoDescriptions


def status(path: str, kind: str = "http") -> int:
    """Return what a request is answered with, 200 where it gets through."""
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(NoDescriptions(inner)({"type": kind, "path": path}, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("before", ["", "/auth", "/execution"])
@pytest.mark.parametrize("name", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/docs/", "/changelog"])
def test_a_description_is_not_there(before: str, name: str) -> None:
    assert status(before + name) == 404


@pytest.mark.parametrize("path", ["/", "/api/v2/dags", "/dags/docs", "/auth/login", "/docsearch", "/static/redoc.js"])
def test_everything_else_passes(path: str) -> None:
    assert status(path) == 200


def test_only_requests_are_looked_at() -> None:
    assert status("/docs", "websocket") == 200
