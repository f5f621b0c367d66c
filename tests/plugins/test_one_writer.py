"""Requests that write pass one after the other; requests that read do not wait."""

import asyncio
from typing import Any

import pytest
from one_writer import OneWriter, OneWriterPlugin


class Inner:
    """An application whose requests say when they begin and end, and end when they are told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.bodies: list[bytes] = []
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.said.append(f"begin {scope['path']}")
        if scope["type"] == "http":
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            self.bodies.append(body)
        await self.may_end.wait()
        self.said.append(f"end {scope['path']}")


def receiver(*bodies: bytes) -> Any:
    messages = [
        {"type": "http.request", "body": body, "more_body": at < len(bodies) - 1} for at, body in enumerate(bodies)
    ]
    waiting = iter(messages)

    async def receive() -> Any:
        return next(waiting)

    return receive


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def both(first: str, second: str, kind: str = "http") -> list[str]:
    """Return what is said by two requests until the first may end, and after it."""
    inner = Inner()
    app = OneWriter(inner)
    tasks = [
        asyncio.create_task(app({"type": kind, "method": method, "path": path}, receiver(b""), None))
        for method, path in ((first, "a"), (second, "b"))
    ]
    await settle()
    so_far = list(inner.said)
    inner.may_end.set()
    await asyncio.gather(*tasks)
    assert len(inner.said) == 4
    return so_far


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_of_two_that_write_the_second_begins_when_the_first_has_ended(method: str) -> None:
    assert asyncio.run(both("POST", method)) == ["begin a"]


@pytest.mark.parametrize(("first", "second"), [("POST", "GET"), ("GET", "PATCH"), ("GET", "GET"), ("PUT", "HEAD")])
def test_one_that_reads_neither_waits_nor_lets_wait(first: str, second: str) -> None:
    assert asyncio.run(both(first, second)) == ["begin a", "begin b"]


def test_what_is_no_request_passes() -> None:
    assert asyncio.run(both("POST", "POST", "websocket")) == ["begin a", "begin b"]


def test_a_body_arrives_as_it_was_sent() -> None:
    async def send_one() -> list[bytes]:
        inner = Inner()
        inner.may_end.set()
        await OneWriter(inner)({"type": "http", "method": "POST", "path": "a"}, receiver(b"one ", b"two"), None)
        return inner.bodies

    assert asyncio.run(send_one()) == [b"one two"]


def test_one_whose_body_is_late_keeps_nobody_waiting() -> None:
    async def late() -> list[str]:
        inner = Inner()
        inner.may_end.set()
        app = OneWriter(inner)
        never = asyncio.Event()

        async def slow() -> Any:
            await never.wait()

        stuck = asyncio.create_task(app({"type": "http", "method": "POST", "path": "slow"}, slow, None))
        await settle()
        await app({"type": "http", "method": "POST", "path": "quick"}, receiver(b""), None)
        stuck.cancel()
        return inner.said

    assert asyncio.run(late()) == ["begin quick", "end quick"]


def test_a_client_that_reads_its_answer_slowly_keeps_nobody_waiting() -> None:
    async def slow_reader() -> list[str]:
        said: list[str] = []
        never = asyncio.Event()

        async def answering(scope: Any, receive: Any, send: Any) -> None:
            said.append(scope["path"])
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b""})

        async def slow(message: Any) -> None:
            if message["type"] == "http.response.body":
                await never.wait()

        async def quick(_: Any) -> None:
            pass

        app = OneWriter(answering)
        stuck = asyncio.create_task(app({"type": "http", "method": "POST", "path": "a"}, receiver(b""), slow))
        await settle()
        await app({"type": "http", "method": "POST", "path": "b"}, receiver(b""), quick)
        stuck.cancel()
        return said

    assert asyncio.run(slow_reader()) == ["a", "b"]


def test_a_request_that_fails_does_not_keep_the_turn() -> None:
    async def fail_then_pass() -> int:
        calls = 0

        async def failing(scope: Any, receive: Any, send: Any) -> None:
            nonlocal calls
            calls += 1
            raise ZeroDivisionError

        app = OneWriter(failing)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await app({"type": "http", "method": "POST", "path": "a"}, receiver(b""), None)
        return calls

    assert asyncio.run(fail_then_pass()) == 2


def test_it_is_there_for_sqlite() -> None:
    assert [one["middleware"] for one in OneWriterPlugin.fastapi_root_middlewares] == [OneWriter]
