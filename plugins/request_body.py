"""Reading the body of an ASGI request before the application does, and giving it to the application afterwards."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


async def read_body(receive: Receive, *, most: int | None = None) -> tuple[list[Message], bytes | None]:
    """Return a request's messages and its body, up to the client's disconnection.

    With `most`, reading stops at a body of more bytes, and None is returned in its place.
    """
    messages, parts, size = list[Message](), list[bytes](), 0
    while True:
        messages.append(message := await receive())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if most is not None and size > most:
            return messages, None
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages, b"".join(parts)


def replay(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that gives these messages again, and then what the client sends after them."""
    waiting = iter(messages)

    async def next_message() -> Message:
        for message in waiting:
            return message
        return await receive()

    return next_message
