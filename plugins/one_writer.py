"""One request at a time that writes, in an API server whose database is SQLite.

Airflow writes its audit log on the server's event loop. If another request of the same server holds SQLite's write lock
at that moment, it cannot finish, because finishing needs the event loop: both wait until the database's timeout, the
whole server with them, and the first one is answered with 500. SQLite has one writer anyway, so requests that may write
take turns before they reach Airflow. With PostgreSQL nothing is changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from typing import Any, ClassVar

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[..., Awaitable[None]]

_READING = {"GET", "HEAD", "OPTIONS"}


class OneWriter:
    """Lets requests that may write pass one after the other, from the arrival of a body to the start of an answer."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self.app(scope, receive, send)
            return
        messages = await _body(receive)
        await self._turn.acquire()
        with ExitStack() as turn:
            turn.callback(self._turn.release)

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    turn.close()  # all is committed; how slowly the client reads the answer is nobody else's matter
                await send(message)

            await self.app(scope, _replayed(messages, receive), sending)


async def _body(receive: Receive) -> list[Message]:
    """Return the messages of a request's body, all of them, or up to the client's disconnection."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """Return what gives the messages again, and then whatever the client sends after them."""
    waiting = iter(messages)

    async def next_message() -> Message:
        for message in waiting:
            return message
        return await receive()

    return next_message


class OneWriterPlugin(AirflowPlugin):
    """Registers it around all of the API server where the database is SQLite."""

    name = "one_writer"
    fastapi_root_middlewares: ClassVar[list[Any]] = (
        [{"name": "one writer", "middleware": OneWriter}]
        if conf.get("database", "sql_alchemy_conn", fallback="").startswith("sqlite")
        else []
    )
