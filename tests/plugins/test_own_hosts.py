"""Airflow's API server answers to the names that are listed, and to every name where none is."""

import pytest
from own_hosts import middlewares
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


def client() -> TestClient:
    app = Starlette(routes=[Route("/x", lambda request: PlainTextResponse("well"))])
    for each in middlewares():
        app.add_middleware(each["middleware"], *each["args"], **each["kwargs"])
    return TestClient(app)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("localhost:18080", 200),
        ("bell.example", 200),
        ("10.evil.example", 400),
        ("evil.example:8080", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example", 400),
        ("www.localhost", 400),
        ("10.0.0.7:8080", 400),
    ],
)
def test_another_name_is_refused(monkeypatch: pytest.MonkeyPatch, host: str, status: int) -> None:
    monkeypatch.setenv("CLOSING_BELL_AIRFLOW_HOSTS", "127.0.0.1,localhost,bell.example")
    assert client().get("/x", headers={"host": host}).status_code == status


def test_without_a_list_every_name_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOSING_BELL_AIRFLOW_HOSTS", raising=False)
    assert client().get("/x", headers={"host": "anything.example"}).status_code == 200
