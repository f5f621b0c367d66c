"""One writing request at a time, in an API server whose database is SQLite.

Airflow writes its audit log on the server's event loop. If another request of the same server holds SQLite's write lock
at that moment, it cannot finish, because finishing needs the event loop: both wait until the database's timeout, the
whole server with them, and the first one is answered with 500. SQLite allows one writer anyway, so requests that may
write are serialized before they reach Airflow. With PostgreSQL nothing changes.
"""

import asyncio
from contextlib import ExitStack
from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from request_body import App, Message, Receive, Send, read_body, replay

_READING = {"GET", "HEAD", "OPTIONS"}


class OneWriter:
    """Serializes requests that may write, from the arrival of the body to the start of the response."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self.app(scope, receive, send)
            return
        messages, _ = await read_body(receive)
        await self._turn.acquire()
        with ExitStack() as turn:
            turn.callback(self._turn.release)

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    turn.close()  # everything is committed; a client that reads slowly delays no other request
                await send(message)

            await self.app(scope, replay(messages, receive), sending)


class OneWriterPlugin(AirflowPlugin):
    """Registers the middleware around the whole API server if the database is SQLite."""

    name = "one_writer"
    fastapi_root_middlewares: list[Any] = (
        [{"name": "one writer", "middleware": OneWriter}]
        if conf.get("database", "sql_alchemy_conn", fallback="").startswith("sqlite")
        else []
    )
