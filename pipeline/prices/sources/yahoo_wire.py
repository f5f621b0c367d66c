"""The wire to Yahoo: the session that yfinance is given, and the folder that it may write to.

yfinance tells an outage, a delisting and a typing error apart only in part, so the session keeps the last exchange
about prices for whoever has to judge. What it means is decided in `yahoo`.
"""

import atexit
import json
import os
import re
import shutil
import socket
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import requests

CHART_PATH = "/v8/finance/chart/"
TIMEOUT = 10.0  # seconds, for the connection and for the answer


@dataclass(frozen=True)
class Exchange:
    """One request about prices and what came back: a status and a text, or the failure in words."""

    status: int = 0
    text: str = ""
    retry_after: float = 0.0
    failure: str = ""

    @cached_property
    def chart(self) -> dict[str, Any]:
        """The answer's `chart` if it is Yahoo's JSON, else empty."""
        try:
            answer = json.loads(self.text)
        except ValueError:
            return {}
        chart = answer.get("chart") if isinstance(answer, dict) else None
        return chart if isinstance(chart, dict) else {}

    @property
    def complaint(self) -> tuple[str, str]:
        """Yahoo's own error, as code and description; both empty if it has none."""
        error = self.chart.get("error")
        if not isinstance(error, dict):
            return "", ""
        return str(error.get("code", "")), str(error.get("description", ""))

    @property
    def result(self) -> dict[str, Any]:
        """The one series that was asked for; empty if there is none."""
        results = self.chart.get("result")
        first = results[0] if isinstance(results, list) and results else None
        return first if isinstance(first, dict) else {}

    @property
    def meta(self) -> dict[str, Any]:
        """What Yahoo says about the series: symbol, currency, time zone."""
        meta = self.result.get("meta")
        return meta if isinstance(meta, dict) else {}


NOTHING = Exchange(failure="nothing was asked")


class Wire(requests.Session[requests.Response]):
    """A session as yfinance makes one, with a memory, a time limit, and `base_url` in place of Yahoo's hosts."""

    def __init__(self, base_url: str = "", *, timeout: float = TIMEOUT) -> None:
        super().__init__(impersonate="chrome")
        self.base_url = base_url.rstrip("/")
        self.limit = timeout
        self.last = NOTHING

    def forget(self) -> None:
        """Forget the last exchange, before the next question."""
        self.last = NOTHING

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request as the session would, and keep it if it was about prices."""
        given = kwargs.get("timeout")
        kwargs["timeout"] = min(given, self.limit) if isinstance(given, (int, float)) else self.limit
        about_prices = urlsplit(url).path.startswith(CHART_PATH)
        try:
            response = super().request(method, self._elsewhere(url), *args, **kwargs)
        except Exception as error:
            if about_prices:
                self.last = Exchange(failure=type(error).__name__)
            raise
        if about_prices:
            self.last = Exchange(response.status_code, response.text, _seconds_to_wait(response.headers))
        return response

    def _elsewhere(self, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self.base_url or not (host == "yahoo.com" or host.endswith(".yahoo.com")):
            return url
        return self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")


def _seconds_to_wait(headers: Any) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3: a number or a date), 0 where there is none."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isdigit():
        return float(text)
    try:
        until, sent = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date") or "")
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def own_cache(home: Path) -> Path:
    """Return this process's own folder for yfinance's files, which do not bear two writers; it goes when we do."""
    return _own_cache(home / "yfinance", os.getpid())  # the id is an argument: a forked child needs one of its own


@cache
def _own_cache(parent: Path, pid: int) -> Path:
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())  # a shared home is used by several machines
    for litter in parent.glob(f"worker-{host}-*"):
        number = litter.name.rpartition("-")[2]
        if number.isdigit() and (int(number) == pid or not _is_alive(int(number))):
            shutil.rmtree(litter, ignore_errors=True)
    folder = parent / f"worker-{host}-{pid}"
    atexit.register(_remove, folder, pid)
    return folder


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a child that inherited this must leave its parent's folder
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it lives
        return True
    return True
