"""Airflow's REST API, played by a small server on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.errors import LocalError
from local.rest import Airflow, NotReachable, Refused, answers


class Server(ThreadingHTTPServer):
    """Signs in anyone with the password; only the latest token is valid."""

    tokens = 0
    expired = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            if body != {"username": "admin", "password": "secret"}:
                return self.answer(401, {"detail": "Invalid credentials"})
            self.server.tokens += 1
            self.server.expired = False
            return self.answer(201, {"access_token": f"token {self.server.tokens}"})
        return self.answer(400, {"detail": [{"msg": "no such symbol"}]})

    def do_GET(self) -> None:
        if self.server.expired or self.headers["Authorization"] != f"Bearer token {self.server.tokens}":
            return self.answer(401, {"detail": "expired"})
        return self.answer(200, {"path": self.path})

    def answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def airflow(server: Server, tmp_path: Path) -> Airflow:
    passwords = tmp_path / "passwords.json"
    passwords.write_text('{"admin": "secret"}')
    return Airflow(f"http://127.0.0.1:{server.server_port}", passwords)


def test_signs_in_once_with_the_generated_password(airflow: Airflow, server: Server) -> None:
    assert airflow.token() == "token 1"
    assert [airflow.get("dags/a")["path"], airflow.get("dags/b")["path"]] == ["/api/v2/dags/a", "/api/v2/dags/b"]
    assert server.tokens == 1


def test_signs_in_again_when_the_token_is_no_longer_good(airflow: Airflow, server: Server) -> None:
    airflow.get("dags/a")
    server.expired = True
    assert airflow.get("dags/b")["path"] == "/api/v2/dags/b"
    assert server.tokens == 2


def test_passes_on_why_it_was_refused(airflow: Airflow) -> None:
    with pytest.raises(Refused, match="no such symbol") as caught:
        airflow.post("dags/a/dagRuns", {})
    assert caught.value.status == 400


def test_goes_past_the_users_proxy(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert airflow.get("dags/a")["path"] == "/api/v2/dags/a"


def test_an_unreachable_server_is_reported(tmp_path: Path, airflow: Airflow) -> None:
    silent = Airflow("http://127.0.0.1:9", airflow.passwords)
    with pytest.raises(NotReachable, match=r"http://127\.0\.0\.1:9 is unreachable"):
        silent.get("dags")
    assert not answers("http://127.0.0.1:9/health")


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_a_file_without_a_password_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "passwords.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LocalError, match=r"passwords\.json contains no password"):
        Airflow("http://127.0.0.1:9", path).credentials()
