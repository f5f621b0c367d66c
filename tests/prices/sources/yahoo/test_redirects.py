"""Redirects are followed on the host that was asked, and never to another one."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from curl_cffi import requests

from pipeline.errors import BadUpstream
from pipeline.prices.sources.yahoo.session import ForeignRedirect, YahooSession
from tests.prices.sources.yahoo import faults
from tests.prices.sources.yahoo.conftest import MakeSource
from tests.prices.sources.yahoo.server import Yahoo

FIRST, LAST = date(2013, 2, 1), date(2013, 3, 1)


class Asked(BaseHTTPRequestHandler):
    """Redirects `/to?STATUS,ADDRESS`, and answers everything else with what it was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        self.asked.append(self.path)
        if self.path == "/circle":
            self.path = "/to?302,/circle"
        if self.path.startswith("/to?"):
            status, _, address = self.path.removeprefix("/to?").partition(",")
            self.send_response(int(status))
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = json.dumps({"method": self.command, "path": self.path, "body": body}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers() -> Iterator[list[tuple[str, list[str]]]]:
    """Two servers: the address of each, and what it was asked."""
    made = []
    for _ in range(2):
        asked: list[str] = []
        http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Asked,), {"asked": asked}))
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        made.append((http, asked))
    yield [(f"http://127.0.0.1:{http.server_address[1]}", asked) for http, asked in made]
    for http, _ in made:
        http.shutdown()
        http.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_is_not_asked(servers: list[tuple[str, list[str]]], status: int) -> None:
    (here, _), (there, asked_there) = servers
    with pytest.raises(ForeignRedirect, match=there):
        YahooSession(here).get(f"https://query1.finance.yahoo.com/to?{status},{there}/v8/finance/chart/IBM")
    assert asked_there == []


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example/x",
        "https://evil.example/x",
        "HTTP://EVIL.EXAMPLE/x",
        "http://127.0.0.1.evil.example/x",
        "http://localhost:{port}/x",
        "http://127.0.0.1:1/x",
        "http://127.0.0.1:{port}@evil.example/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/x",
        "gopher://127.0.0.1:{port}/x",
        "javascript:alert(1)",
        "http://evil.example\\@127.0.0.1:{port}/x",
        "http://127.0.0.1:{port}@127.0.0.1:{port}/x",
        "http://127.0.0.1:x/",
    ],
)
def test_no_way_of_writing_another_place_is_followed(servers: list[tuple[str, list[str]]], address: str) -> None:
    here, _ = servers[0]
    port = here.rpartition(":")[2]
    with pytest.raises(ForeignRedirect):
        YahooSession(here).get(f"https://query1.finance.yahoo.com/to?302,{address.format(port=port)}")


def test_redirects_on_the_same_host_are_followed(servers: list[tuple[str, list[str]]]) -> None:
    here, asked = servers[0]
    answer = YahooSession(here).get("https://query1.finance.yahoo.com/to?302,/to?301,/v8/x?a=b", params=None)
    assert answer.json()["path"] == "/v8/x?a=b"
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "method", "body"), [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "a=1")]
)
def test_a_redirected_post_is_what_browsers_make_of_it(
    servers: list[tuple[str, list[str]]], status: int, method: str, body: str
) -> None:
    here, _ = servers[0]
    answer = YahooSession(here).post(f"https://consent.yahoo.com/to?{status},/x", data={"a": "1"})
    assert (answer.json()["method"], answer.json()["body"]) == (method, body)


def test_a_circle_ends(servers: list[tuple[str, list[str]]]) -> None:
    from curl_cffi import requests

    here, asked = servers[0]
    with pytest.raises(requests.exceptions.TooManyRedirects):
        YahooSession(here).get("https://query1.finance.yahoo.com/circle")
    assert len(asked) < 20


@pytest.mark.parametrize(
    ("address", "followed"),
    [
        ("https://consent.yahoo.com/v2/collectConsent", True),
        ("https://yahoo.com/", True),
        ("http://finance.yahoo.com/", False),
        ("https://yahoo.com.evil.example/", False),
        ("https://evilyahoo.com/", False),
        ("https://evil.example/?https://yahoo.com/", False),
        ("https://yahoo.com@evil.example/", False),
    ],
)
def test_without_a_mirror_only_yahoo_itself_is_followed(
    monkeypatch: pytest.MonkeyPatch, address: str, followed: bool
) -> None:
    assert follows(monkeypatch, YahooSession(), "https://query1.finance.yahoo.com/x", address) is followed


@pytest.mark.parametrize(
    ("came_from", "address", "followed"),
    [
        ("http://mirror.example/a", "https://mirror.example/a", True),
        ("https://mirror.example/a", "http://mirror.example/a", False),
    ],
)
def test_a_mirror_may_move_to_https_and_not_back(
    monkeypatch: pytest.MonkeyPatch, came_from: str, address: str, followed: bool
) -> None:
    assert follows(monkeypatch, YahooSession("http://mirror.example/yahoo"), came_from, address) is followed


def follows(monkeypatch: pytest.MonkeyPatch, wire: YahooSession, came_from: str, address: str) -> bool:
    """Whether a redirect from one address to the other is followed, without a network: every host answers here."""
    asked: list[str] = []

    def answer(_self: Any, _method: str, url: str, **_: Any) -> SimpleNamespace:
        asked.append(url)
        redirects = len(asked) == 1
        return SimpleNamespace(status_code=302 if redirects else 200, text="", headers={"Location": address})

    monkeypatch.setattr(requests.Session, "request", answer)
    try:
        wire.get(came_from)
    except ForeignRedirect:
        return False
    assert asked == [came_from, address]
    return True


def test_a_redirect_elsewhere_is_one_line_and_not_asked_again(
    make_source: MakeSource, yahoo: Yahoo, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(handler: Any, text: str) -> None:
        handler.send(302, "", Location="http://evil.example/v8/finance/chart/IBM")

    monkeypatch.setitem(faults.TRANSPORT, "moved", moved)
    monkeypatch.setitem(faults.KINDS, "moved", moved)
    yahoo.fail("IBM", "moved")
    with pytest.raises(BadUpstream, match=r"IBM: .*redirect to http://evil\.example.*PIPELINE_YAHOO_URL") as caught:
        make_source().bars(("IBM",), LAST, FIRST)
    assert "\n" not in str(caught.value)
    assert slept == []


def test_the_answer_that_consent_leads_to_is_kept(servers: list[tuple[str, list[str]]]) -> None:
    here, _ = servers[0]
    session = YahooSession(here)
    session.watch("/calendar/")
    session.get("https://guce.yahoo.com/consent")
    assert session.last.failure == "nothing was asked"
    session.post("https://consent.yahoo.com/to?302,/calendar/earnings?symbol=IBM", data={"agree": "1"})
    assert json.loads(session.last.text)["path"] == "/calendar/earnings?symbol=IBM"
    session.get("https://guce.yahoo.com/consent")
    assert "calendar" in session.last.text
    session.watch("/v8/")
    assert session.last.failure == "nothing was asked"
