"""A server on loopback that answers as Yahoo does about prices, from real ones, and about events; it fails on demand.

The prices are the sample's. Each listing's last bar is put on the session `ends` of its own calendar, the one before
it on the session before, and so on; nothing after `today` exists yet, and only splits up to `today` are applied, as
Yahoo has it. With `ends=2013-03-01` the New York listings keep their true dates.

    python tests/prices/sources/yahoo/server.py --port 8765 --today 2026-11-20     prints its address, then serves
    PIPELINE_SOURCE=yahoo PIPELINE_YAHOO_URL=http://127.0.0.1:8765 …

While it runs, `POST /control` with JSON changes it: `{"today": "2026-11-23"}`, `{"fail": {"symbol": "AAPL", "kind":
"500", "times": 2}}`, `{"heal": true}`. `GET /requests` returns what was asked. The kinds of fault are in `faults.py`.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tests.prices.sources.yahoo import faults
from tests.prices.sources.yahoo.book import LISTINGS, Book
from tests.prices.sources.yahoo.event_answers import PATHS, EventAnswers

NOT_FOUND = {
    "chart": {
        "result": None,
        "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"},
    }
}


@dataclass(frozen=True)
class Asked:
    """One request about prices; the periods are seconds, None when a range was asked for."""

    symbol: str
    period1: int | None
    period2: int | None
    params: dict[str, str]


@dataclass
class Fault:
    """How one symbol (or `*`, each) fails, and for how many more requests; None is indefinitely."""

    symbol: str
    kind: str
    times: int | None
    where: str
    options: dict[str, Any]


class Yahoo:
    """The server: `url`, `requests`, `fail` and `heal`. Use `with yahoo_server(...)`."""

    def __init__(self, *, ends: date | None = None, today: date | None = None, port: int = 0) -> None:
        self.book = Book(ends)
        self.today = today or self.book.ends
        self.requests: list[Asked] = []
        self.events = EventAnswers()
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        handler = type("BoundHandler", (_Handler,), {"yahoo": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def fail(self, symbol: str, kind: str, times: int | None = None, where: str = "", **options: Any) -> None:
        """Let the next `times` requests about `symbol` fail (`*`: any symbol; no times: all of them).

        `where` is `zone` or `bars`: yfinance asks for a symbol's time zone first, once a process.
        """
        if kind not in faults.KINDS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(sorted(faults.KINDS))}")
        with self._lock:
            self._faults.append(Fault(symbol, kind, times, where, options))

    def heal(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def asked(self, symbol: str) -> list[Asked]:
        """Return the requests for bars of a symbol, without those that only look for its time zone."""
        return [one for one in self.requests if one.symbol == symbol and one.period1 is not None]

    def close(self) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def faults_of(self, asked: Asked) -> list[Fault]:
        """Return the faults that meet this request, and count it."""
        where = "zone" if asked.period1 is None else "bars"
        with self._lock:
            met = [fault for fault in self._faults if fault.symbol in (asked.symbol, "*") and fault.times != 0]
            met = [fault for fault in met if fault.where in ("", where)]
            for fault in met:
                if fault.times is not None:
                    fault.times -= 1
            return met

    def answer(self, asked: Asked, met: list[Fault]) -> dict[str, Any] | None:
        """Return the chart of a symbol, with its faults in it; None where Yahoo knows no such symbol."""
        if asked.symbol not in LISTINGS:
            return None
        chart = self.book.chart(asked.symbol, self.today)
        for fault in met:
            chart = faults.spoil(fault.kind, chart, self.book, asked.symbol, self.today, fault.options)
        period1 = asked.period1 if asked.period1 is not None else chart.last_stamp
        return chart.as_json(period1, asked.period2)


class _Handler(BaseHTTPRequestHandler):
    yahoo: Yahoo
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: else each answer waits for the client's delayed ACK

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/v1/test/getcrumb":
            self.send(200, "crumb", "text/plain")
        elif parts.path == "/requests":
            self.send(200, json.dumps([asdict(one) for one in self.yahoo.requests]))
        elif parts.path.startswith("/v8/finance/chart/"):
            self.chart(unquote(parts.path.rsplit("/", 1)[1]), parse_qs(parts.query))
        elif not self.events(b""):
            self.send(404, "<html>not found</html>", "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.events(body):
            return None
        if urlsplit(self.path).path != "/control":
            return self.send(404, "<html>not found</html>", "text/html")
        order = json.loads(body)
        if order.get("heal"):
            self.yahoo.heal()
        if "today" in order:
            self.yahoo.today = date.fromisoformat(order["today"])
        if "fail" in order:
            self.yahoo.fail(**order["fail"])
        return self.send(200, "{}")

    def chart(self, symbol: str, query: dict[str, list[str]]) -> None:
        params = {name: values[-1] for name, values in query.items()}
        period = [int(params[name]) if name in params else None for name in ("period1", "period2")]
        asked = Asked(symbol, period[0], period[1], params)
        self.yahoo.requests.append(asked)
        met = self.yahoo.faults_of(asked)
        answer = self.yahoo.answer(asked, met)
        text = json.dumps(answer or NOT_FOUND)
        for fault in met:
            if fault.kind in faults.TRANSPORT:
                return faults.TRANSPORT[fault.kind](self, text, **fault.options)
        return self.send(200 if answer else 404, text)

    def events(self, body: bytes) -> bool:
        """Answer a request for events; false for any other."""
        parts = urlsplit(self.path)
        kind = next((kind for path, kind in PATHS.items() if parts.path.startswith(path)), None)
        if kind is None:
            return False
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        events = self.yahoo.events
        status, text, content = events.answer(kind, unquote(parts.path), query, body)
        if fault := events.fault_of(kind):
            faults.TRANSPORT[fault[0]](self, text, **fault[1])
        else:
            self.send(status, text, content)
        return True

    def send(self, status: int, text: str, kind: str = "application/json", **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", headers.pop("Content_Length", str(len(data))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def yahoo_server(*, ends: date | None = None, today: date | None = None, port: int = 0) -> Iterator[Yahoo]:
    """Serve in a thread for as long as the block runs."""
    yahoo = Yahoo(ends=ends, today=today, port=port)
    thread = threading.Thread(target=yahoo.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield yahoo
    finally:
        yahoo.close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--ends", type=date.fromisoformat, help="where the sample's last bar falls; default: today")
    parser.add_argument("--today", type=date.fromisoformat, help="the last session that exists; default: `ends`")
    parser.add_argument("--fail", action="append", default=[], metavar="SYMBOL:KIND[:TIMES]")
    options = parser.parse_args()
    yahoo = Yahoo(ends=options.ends or datetime.now(UTC).date(), today=options.today, port=options.port)
    for text in options.fail:
        symbol, kind, *times = text.split(":")
        yahoo.fail(symbol, kind, int(times[0]) if times else None)
    print(yahoo.url, flush=True)
    try:
        yahoo.http.serve_forever()
    except KeyboardInterrupt:
        yahoo.http.server_close()


if __name__ == "__main__":
    main()
