"""The part of Airflow's REST API that a daily run needs, and the two health checks. Nothing here waits."""

import json
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from local.errors import LocalError

TIMEOUT = 10.0

Method = Literal["GET", "POST", "PATCH"]


class NotReachable(LocalError):
    """The server is unreachable."""


class Refused(LocalError):
    """The server refused the request; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def opener() -> OpenerDirector:
    """Return an opener that ignores the proxies of the environment: all requests stay on this machine."""
    return build_opener(ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with opener().open(url, timeout=TIMEOUT) as reply:
            return bool(reply.status == 200)
    except (OSError, HTTPException):
        return False


@dataclass
class Airflow:
    """A signed-in user of the Airflow at `url`; `passwords` is the file with the generated password."""

    url: str
    passwords: Path
    _token: str = field(default="", repr=False)

    def credentials(self) -> tuple[str, str]:
        """Return user and password; LocalError where Airflow has not written them."""
        try:
            (user, password), *_ = json.loads(self.passwords.read_text()).items()
        except (OSError, ValueError, AttributeError) as error:
            raise LocalError(
                f"{self.passwords} contains no password ({error}): delete it, then run `make stop` and `make run`"
            ) from None
        return user, password

    def token(self) -> str:
        """Return the token for this user's requests; sign in if there is none yet."""
        self._token = self._token or self._sign_in()
        return self._token

    def get(self, path: str) -> Any:
        """Return the JSON of /api/v2/`path`."""
        return self._signed_in("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send `body` to /api/v2/`path` and return the answer."""
        return self._signed_in("POST", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Update /api/v2/`path` and return the answer."""
        return self._signed_in("PATCH", path, body)

    def _signed_in(self, method: Method, path: str, body: dict[str, Any] | None = None) -> Any:
        self.token()
        try:
            return self._send(method, f"/api/v2/{path}", body)
        except Refused as refused:
            if refused.status != 401:
                raise
        self._token = ""  # the server was restarted with another key, or the token is a day old
        self.token()
        return self._send(method, f"/api/v2/{path}", body)

    def _sign_in(self) -> str:
        user, password = self.credentials()
        answer = self._send("POST", "/auth/token", {"username": user, "password": password})
        return str(answer["access_token"])

    def _send(self, method: Method, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with opener().open(request, timeout=TIMEOUT) as reply:
                return json.loads(reply.read() or b"null")
        except HTTPError as error:
            raise Refused(f"Airflow answered {method} {path} with {error.code}: {_detail(error)}", error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            raise NotReachable(f"Airflow at {self.url} is unreachable: {error}") from None


def _detail(error: HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = text or error.reason
    return detail if isinstance(detail, str) else json.dumps(detail)
