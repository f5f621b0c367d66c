"""The HTTP session that yfinance is given, and the folder that it may write to.

yfinance only partly distinguishes an outage, a delisting and a misspelt symbol, so the session keeps the last exchange
with the path that it is told to watch. `yahoo_client` and the sources decide what it means.
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
from urllib.parse import urljoin, urlsplit

from curl_cffi import requests
from pydantic import JsonValue

from pipeline.prices.sources.yahoo.chart_answer import SeriesMeta, series_meta
from pipeline.prices.sources.yahoo.yahoo_client import CHART_PATH

TIMEOUT = 10.0  # seconds, for the connection and for the answer
MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_BODY = ("data", "json", "content", "files")
_PORTS = {"http": "80", "https": "443"}
_ODD = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class Exchange:
    """One request for data and its outcome: a status and a text, a failure in words, or a refused redirect."""

    status: int = 0
    text: str = ""
    retry_after: float = 0.0
    failure: str = ""
    redirect: str = ""  # its target, on a host that is not trusted

    @cached_property
    def envelope(self) -> dict[str, JsonValue]:
        """What Yahoo's JSON wraps in a name such as `chart`: `result` and `error`; empty if it is not of that form."""
        try:
            answer = json.loads(self.text)
        except ValueError:
            return {}
        wrapped = answer.values() if isinstance(answer, dict) else ()
        return next((one for one in wrapped if isinstance(one, dict) and one.keys() & {"result", "error"}), {})

    @property
    def complaint(self) -> tuple[str, str]:
        """Yahoo's own error, as code and description; both empty if it has none."""
        error = self.envelope.get("error")
        if not isinstance(error, dict):
            return "", ""
        return str(error.get("code", "")), str(error.get("description", ""))

    @property
    def result(self) -> dict[str, JsonValue]:
        """The requested series; empty if there is none."""
        results = self.envelope.get("result")
        first = results[0] if isinstance(results, list) and results else None
        return first if isinstance(first, dict) else {}

    @property
    def meta(self) -> SeriesMeta:
        """The metadata of the series: symbol, interval, currency, time zone."""
        return series_meta(self.result)


class ForeignRedirect(Exception):
    """A redirect to a host that is not trusted for data; it was not followed."""


NOTHING = Exchange(failure="nothing was asked")


class YahooSession(requests.Session[requests.Response]):
    """A session as yfinance makes one, with a memory, a time limit, and `base_url` in place of Yahoo's hosts.

    Redirects are followed within the origin of `base_url`, or within yahoo.com over HTTPS where there is none. `last`
    is the last exchange whose address began or ended at the path that `watch` named: not one about cookies or consent.
    """

    def __init__(self, base_url: str = "", *, timeout: float = TIMEOUT) -> None:
        super().__init__(impersonate="chrome")
        self.base_url = base_url.rstrip("/")
        self.limit = timeout
        self.watched = CHART_PATH
        self.last = NOTHING

    def watch(self, path: str) -> None:
        """Forget the last exchange, and keep the next ones whose path begins with `path`.

        One question of yfinance may be several requests: after a failure it asks other addresses for a reason.
        """
        self.watched, self.last = path, NOTHING

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, and keep the exchange if its address is watched."""
        given = kwargs.get("timeout")
        kwargs["timeout"] = min(given, self.limit) if isinstance(given, (int, float)) else self.limit
        asks = self._is_watched(urlsplit(url).path)
        try:
            response = self._follow(method, self._elsewhere(url), *args, **kwargs)
        except ForeignRedirect as error:
            self.last = Exchange(redirect=str(error))
            raise
        except Exception as error:
            if asks:
                self.last = Exchange(failure=type(error).__name__)
            raise
        if asks or self._answers(response):
            self.last = Exchange(response.status_code, response.text, _seconds_to_wait(response.headers))
        return response

    def _is_watched(self, path: str) -> bool:
        return path.startswith(self.watched)

    def _answers(self, response: Any) -> bool:
        """Whether a request that asked for something else, as consent, was redirected to a watched address."""
        address = str(getattr(response, "url", ""))
        return self._is_watched(urlsplit(address.removeprefix(self.base_url or "")).path)

    def _follow(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request and follow its redirects; raises ForeignRedirect."""
        follows = kwargs.get("allow_redirects") is not False
        kwargs["allow_redirects"] = False
        for _ in range(MOST_REDIRECTS + 1):
            response = super().request(method, url, *args, **kwargs)
            if not follows or getattr(response, "status_code", 0) not in _REDIRECTS:
                return response
            if not (location := response.headers.get("Location")):
                return response
            came_from, url = url, urljoin(url, location)
            if not self._is_ours(came_from, url):
                raise ForeignRedirect(_origin(url))
            args, kwargs["params"] = (), None  # the new address is complete
            if response.status_code == 303 or (response.status_code < 303 and method == "POST"):
                method, kwargs = "GET", {name: value for name, value in kwargs.items() if name not in _BODY}
        raise requests.exceptions.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")

    def _is_ours(self, came_from: str, url: str) -> bool:
        """Whether a redirect stays on the trusted host; an upgrade to HTTPS does."""
        if _ODD.search(url) or "@" in urlsplit(url).netloc:  # which two parsers may read as two hosts
            return False
        if not self.base_url:
            return urlsplit(url).scheme == "https" and _is_yahoo(url)
        upgraded = _origin(came_from).replace("http://", "https://", 1)
        return _origin(url) in (_origin(came_from), upgraded)

    def _elsewhere(self, url: str) -> str:
        if not self.base_url or not _is_yahoo(url):
            return url
        parts = urlsplit(url)
        return self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")


def _is_yahoo(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "yahoo.com" or host.endswith(".yahoo.com")


def _origin(url: str) -> str:
    """Return scheme, host and port as text, the port only where it is not the scheme's own."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.lower().rpartition("@")[2].partition(":")
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _PORTS.get(parts.scheme) else "")


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
    """Return a folder of this process for the files of yfinance, which allow one writer; it is removed at exit."""
    return _own_cache(home / "yfinance", os.getpid())  # the id is an argument: a forked child needs another folder


@cache
def _own_cache(parent: Path, pid: int) -> Path:
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())  # a shared home is used by several machines
    for stale in parent.glob(f"worker-{host}-*"):
        number = stale.name.rpartition("-")[2]
        if number.isdigit() and (int(number) == pid or not _is_alive(int(number))):
            shutil.rmtree(stale, ignore_errors=True)
    folder = parent / f"worker-{host}-{pid}"
    atexit.register(_remove, folder, pid)
    return folder


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must not remove the folder of its parent
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a process of another user, so it is alive
        return True
    return True
