"""Hides the API descriptions of the API server, which Airflow serves without a sign-in.

They are the same for every Airflow and published on its site; here they only help an attacker. Airflow's setting
`[api] enable_swagger_ui` does not cover `/openapi.json` and the descriptions of the sign-in and of the task API.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]

_DESCRIPTION = re.compile(r"(/auth|/execution)?/(docs|redoc|changelog|openapi\.json)(/.*)?")


class NoDescriptions:
    """Answers 404 for descriptions, and passes everything else on."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http" or not _DESCRIPTION.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class NoDescriptionsPlugin(AirflowPlugin):
    """Registers the middleware around the whole API server."""

    name = "no_api_descriptions"
    fastapi_root_middlewares: list[Any] = [{"name": "no descriptions", "middleware": NoDescriptions}]
