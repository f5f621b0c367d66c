"""An API server that does not describe itself to whoever asks: Airflow's descriptions want no sign-in.

They are the same for every Airflow and lie on its own site; what a stranger learns here is where to try.
Airflow's setting `[api] enable_swagger_ui` leaves `/openapi.json`, and those of the sign-in and of the tasks' API.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]

_DESCRIPTION = re.compile(r"(/auth|/execution)?/(docs|redoc|changelog|openapi\.json)(/.*)?")


class NoDescriptions:
    """Answers 404 where a description would be, and lets everything else pass."""

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
    """Registers it around all of the API server."""

    name = "no_api_descriptions"
    fastapi_root_middlewares: list[Any] = [{"name": "no descriptions", "middleware": NoDescriptions}]
