"""Whom a run may tell, on this machine: a mail server and a web server that keep what they are sent."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    """What a server was sent, and where it is."""

    port: int = 0
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Heard]:
    """A server that speaks enough of SMTP to take a mail."""
    heard, loop = Heard(), asyncio.new_event_loop()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receivers: list[str] = []
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line.upper()
            if word.startswith("RCPT TO:"):
                receivers.append(line[8:].split(">")[0].strip(" <"))
            if word == "DATA":
                writer.write(b"354 go on\r\n")
                mail = (await reader.readuntil(b"\r\n.\r\n"))[:-5]
                parsed = message_from_bytes(mail, policy=policy.default)
                assert isinstance(parsed, EmailMessage)
                heard.mails.append((receivers, parsed))
            writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 fine\r\n")
            if word == "QUIT":
                break
        await writer.drain()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(take, "127.0.0.1", 0))
    heard.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield heard
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@contextmanager
def web_server(status: int = 200) -> Iterator[Heard]:
    """A server that keeps what is posted and answers with one status."""
    heard = Heard()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.posts.append((self.path, json.loads(body)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    heard.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()
