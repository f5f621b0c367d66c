"""Other processes: other time zones, several at once, and what they leave behind."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.market.sessions import Sessions
from pipeline.prices.sources.yahoo import session
from tests.prices.sources.yahoo.server import Yahoo

ROOT = Path(__file__).resolve().parents[4]

# Both changes of the clock in New York and in London.
WINDOWS = [("2012-03-05", "2012-04-05"), ("2012-10-22", "2012-11-16")]
MARKETS = {"IBM": "XNYS", "AIR.NZ": "XNZE", "BP.L": "XLON", "7203.T": "XTKS", "EURUSD=X": "24/5", "BTC-USD": "24/7"}

MIRROR = "http://127.0.0.1:1/mirror/"

CHILD = """
import json, sys
from datetime import date
from pipeline.config import Settings
from pipeline.prices.sources import open_source
from pipeline.prices.sources.yahoo.session import own_cache

settings = Settings.load()
source = open_source(settings)
windows, symbols = json.loads(sys.argv[1])
found = {}
for symbol in symbols:
    for first, last in windows:
        bars = source.bars((symbol,), date.fromisoformat(last), date.fromisoformat(first))
        found.setdefault(symbol, []).append([str(day.date()) for day in bars["session"]])
folder = own_cache(settings.home)
assert (folder / "tkr-tz.db").is_file()
print(json.dumps({"found": found, "folder": str(folder)}))
"""


Child = subprocess.Popen[str]
Windows = list[tuple[str, str]]


def start(
    yahoo: Yahoo, home: Path, symbols: list[str], windows: Windows, zone: str = "UTC", program: str = CHILD
) -> Child:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env = {**kept, "PIPELINE_HOME": str(home), "PIPELINE_SOURCE": "yahoo", "PIPELINE_YAHOO_URL": yahoo.url, "TZ": zone}
    command = [sys.executable, "-c", program, json.dumps([windows, symbols])]
    return subprocess.Popen(
        command,
        cwd=home.parent,
        env={**env, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(child: Child) -> tuple[dict[str, list[list[str]]], Path]:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert err == ""  # neither warnings nor yfinance's own log
    told = json.loads(out)
    return told["found"], Path(told["folder"])


@pytest.mark.parametrize(
    "zone",
    ["Pacific/Auckland", *(pytest.param(zone, marks=pytest.mark.slow) for zone in ("UTC", "America/Los_Angeles"))],
)
def test_a_session_is_the_exchanges_own_date(yahoo: Yahoo, home: Path, zone: str) -> None:
    found, _ = outcome(start(yahoo, home, list(MARKETS), WINDOWS, zone))
    for symbol, calendar in MARKETS.items():
        expected = [
            [str(day) for day in Sessions(calendar).between(date.fromisoformat(first), date.fromisoformat(last))]
            for first, last in WINDOWS
        ]
        assert found[symbol] == expected, symbol


@pytest.mark.slow
def test_four_at_once_do_not_disturb_one_another(yahoo: Yahoo, home: Path) -> None:
    children = [start(yahoo, home, ["IBM", "AAPL", "MSFT", "GOOG"], WINDOWS) for _ in range(4)]
    results = [outcome(child) for child in children]
    assert all(found == results[0][0] for found, _ in results)
    folders = {folder for _, folder in results}
    assert len(folders) == 4
    assert not any(folder.exists() for folder in folders)  # each took its own away
    assert list((home / "yfinance").iterdir()) == []


FORKED = """
import os, sys
from datetime import date
from pipeline.config import Settings
from pipeline.prices.sources import open_source

def fetch():
    open_source(settings).bars(("IBM",), date(2013, 3, 1), date(2013, 2, 1))
    return {folder.name for folder in (settings.home / "yfinance").iterdir()}

settings = Settings.load()
before = fetch()
child = os.fork()
if not child:
    after = fetch()
    sys.exit(0 if len(after) == 2 and after > before else 1)
assert os.waitpid(child, 0)[1] == 0
assert {folder.name for folder in (settings.home / "yfinance").iterdir()} == before
fetch()
"""


def test_a_forked_child_writes_to_a_folder_of_its_own(yahoo: Yahoo, home: Path) -> None:
    child = start(yahoo, home, [], [], program=FORKED)
    _, err = child.communicate(timeout=120)
    assert (child.returncode, err) == (0, "")


def test_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = session.own_cache(tmp_path / "other").name.removeprefix("worker-").rpartition("-")[0]
    names = {"dead": f"worker-{host}-{dead.pid}", "alive": f"worker-{host}-1", "elsewhere": f"worker-other-{dead.pid}"}
    for name in names.values():
        (tmp_path / "yfinance" / name).mkdir(parents=True)
    session.own_cache(tmp_path)
    assert {folder.name for folder in (tmp_path / "yfinance").iterdir()} == {names["alive"], names["elsewhere"]}


@pytest.mark.parametrize(
    ("base_url", "asked_for", "asked"),
    [
        (MIRROR, "https://query2.finance.yahoo.com/v8/finance/chart/IBM?a=1", f"{MIRROR}v8/finance/chart/IBM?a=1"),
        (MIRROR, "https://fc.yahoo.com", MIRROR.rstrip("/")),
        (MIRROR, "https://notyahoo.com/x", "https://notyahoo.com/x"),
        (MIRROR, "https://yahoo.com.example.org/x", "https://yahoo.com.example.org/x"),
        ("", "https://fc.yahoo.com", "https://fc.yahoo.com"),
    ],
)
def test_only_yahoos_hosts_are_replaced(
    monkeypatch: pytest.MonkeyPatch, base_url: str, asked_for: str, asked: str
) -> None:
    seen = answered_here(monkeypatch, {})
    session.YahooSession(base_url).get(asked_for)
    assert seen == [asked]


def answered_here(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> list[str]:
    """Answer every request without a network; return the list in which the addresses are noted."""
    seen: list[str] = []

    def answer(_self: Any, _method: str, url: str, **_: Any) -> SimpleNamespace:
        seen.append(url)
        return SimpleNamespace(status_code=429, text="", headers=headers)

    monkeypatch.setattr(session.requests.Session, "request", answer)
    return seen


@pytest.mark.parametrize(("given", "used"), [(30, 10.0), (3, 3), (None, 10.0)])
def test_no_request_may_take_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, given: float | None, used: float
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(session.requests.Session, "request", lambda *_, **kwargs: seen.append(kwargs["timeout"]))
    session.YahooSession().request("GET", "https://fc.yahoo.com", timeout=given)
    assert seen == [used]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "Fri, 01 Mar 2013 12:01:00 GMT", "Date": "Fri, 01 Mar 2013 12:00:00 GMT"}, 60),
        ({"Retry-After": "Fri, 01 Mar 2013 12:01:00 GMT"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "-5"}, 0),
    ],
)
def test_a_rest_is_a_number_or_a_date(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: float) -> None:
    answered_here(monkeypatch, headers)
    wire = session.YahooSession()
    wire.get("https://query2.finance.yahoo.com/v8/finance/chart/IBM")
    assert wire.last.retry_after == seconds


def test_the_server_runs_as_a_program(home: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "tests/prices/sources/yahoo/server.py"),
        "--ends",
        "2026-11-20",
        "--fail",
        "AAPL:500",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        from curl_cffi import requests

        chart = f"{url}/v8/finance/chart"
        meta = requests.get(f"{chart}/IBM?range=1d&interval=1d").json()["chart"]["result"][0]
        assert meta["meta"]["symbol"] == "IBM"
        assert requests.get(f"{chart}/AAPL?range=1d").status_code == 500
        requests.post(f"{url}/control", json={"heal": True, "today": "2026-11-18"})
        later = requests.get(f"{chart}/AAPL?range=1d").json()["chart"]["result"][0]
        assert meta["timestamp"][0] - later["timestamp"][0] == 2 * 24 * 3600
        assert [one["symbol"] for one in requests.get(f"{url}/requests").json()] == ["IBM", "AAPL", "AAPL"]
    finally:
        server.terminate()
        server.wait()
