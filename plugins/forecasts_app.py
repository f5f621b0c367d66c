"""The application behind the navigation entry "Forecasts": the published forecasts, protected by Airflow's sign-in.

Users who may read the DAG `daily_forecast` may read these pages; Airflow checks its cookie or a bearer token. A browser
that is not signed in is redirected to the sign-in, other clients get 401.

Only the API server imports this file; `.airflowignore` keeps it from being loaded as a plugin. The pages are made by
`pipeline.publishing.site`, which is imported on the first request.
"""

import mimetypes
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from pipeline.storage import Storage

# Published files are served unchanged and may load nothing; the report adds a stricter policy of its own.
_FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
_SHOWN = {".html": "text/html; charset=utf-8", ".png": "image/png"}

app = FastAPI(
    title="Forecasts",
    openapi_url=None,  # not an API: programs read the published files
    dependencies=[Depends(requires_access_dag("GET", param_dag_id="daily_forecast"))],
)


@app.get("/")
def newest(request: Request) -> Response:
    """The newest report."""
    return _page(request, lambda site, root, base: site.report_page(root, base))


@app.get("/sessions")
def sessions(request: Request, before: Annotated[date | None, Query()] = None) -> Response:
    """Every session, newest first."""
    return _page(request, lambda site, root, base: site.sessions_page(root, base, before))


@app.get("/sessions/{as_of}")
def session(request: Request, as_of: date) -> Response:
    """The report of one session."""
    return _page(request, lambda site, root, base: site.report_page(root, base, as_of))


@app.get("/sessions/{as_of}/{edition}")
def one_edition(request: Request, as_of: date, edition: str) -> Response:
    """The report of another edition of a session: a trial, or a replaced edition."""
    return _page(request, lambda site, root, base: site.report_page(root, base, as_of, edition))


@app.get("/record")
def record(request: Request, source: str = "") -> Response:
    """The track record of one source of prices."""
    return _page(request, lambda site, root, base: site.record_page(root, base, source or None))


@app.get("/symbols")
def symbols(request: Request, symbol: str = "") -> Response:
    """All symbols, or a redirect to the symbol that was entered."""
    if name := symbol.strip().upper():
        return RedirectResponse(f"{_base(request)}/symbols/{quote(name, safe='')}", status.HTTP_303_SEE_OTHER)
    return _page(request, lambda site, root, base: site.symbols_page(root, base))


@app.get("/symbols/{symbol:path}")
def one_symbol(request: Request, symbol: str) -> Response:
    """The newest range of one symbol, and its track record."""
    return _page(request, lambda site, root, base: site.symbol_page(root, base, symbol))


@app.get("/files/{as_of}/editions/{edition}/{name:path}")
def file_of_edition(as_of: date, edition: str, name: str) -> Response:
    """One file of another edition of a session."""
    return _file(as_of, edition, name)


@app.get("/files/{as_of}/{name:path}")
def file(as_of: date, name: str) -> Response:
    """One published file."""
    return _file(as_of, None, name)


def _file(as_of: date, edition: str | None, name: str) -> Response:
    from pipeline.errors import PipelineError
    from pipeline.publishing import reader

    try:
        folder = reader.edition_of(_published(), as_of, edition)
        if name not in reader.read_manifest(folder).files:  # no other path can be read
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"{name} is not among the files of {as_of}")
        content = folder.read(name)
    except (PipelineError, OSError) as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None
    ending = f".{name.rpartition('.')[2]}"
    kind = _SHOWN.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Content-Security-Policy": _FILE_POLICY, "X-Content-Type-Options": "nosniff"}
    if ending not in _SHOWN:
        headers["Content-Disposition"] = f'attachment; filename="{as_of}-{name.rpartition("/")[2]}"'
    return Response(content, media_type=kind, headers=headers)


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Redirect a browser that is not signed in to the sign-in and back; answer other clients with the status."""
    if error.status_code == status.HTTP_401_UNAUTHORIZED and _is_browser(request):
        root = _base(request).rpartition("/")[0]
        back = quote(str(request.url), safe="")
        return RedirectResponse(f"{root}/api/v2/auth/login?next={back}", status.HTTP_303_SEE_OTHER)
    return _answer(request, error.status_code, str(error.detail))


@app.exception_handler(RequestValidationError)
def not_understood(request: Request, _error: RequestValidationError) -> Response:
    """Answer an address that names no valid date with 404."""
    return _answer(request, status.HTTP_404_NOT_FOUND, "There is no such page: a session is a date such as 2013-03-01.")


def _page(request: Request, make: "Callable[[Any, Storage, str], str]") -> Response:
    from pipeline.errors import MissingStep, PipelineError
    from pipeline.publishing.site import pages

    base = _base(request)
    try:
        html, code = make(pages, _published(), base), status.HTTP_200_OK
    except MissingStep as error:
        html, code = pages.message_page(base, "Nothing has been published yet", str(error)), status.HTTP_404_NOT_FOUND
    except (PipelineError, OSError) as error:
        html = pages.message_page(base, "The published forecasts cannot be read", str(error))
        code = status.HTTP_503_SERVICE_UNAVAILABLE
    return _html(html, code)


def _html(html: str, code: int) -> Response:
    from pipeline.publishing.site import pages

    headers = {
        "Content-Security-Policy": pages.POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    return HTMLResponse(html, code, headers=headers)


def _answer(request: Request, code: int, detail: str) -> Response:
    if not _is_browser(request):
        return JSONResponse({"detail": detail}, code)
    from pipeline.publishing.site import pages

    return _html(pages.message_page(_base(request), "Not found", detail), code)


def _published() -> "Storage":
    from pipeline.config import Settings

    return Settings.load().published


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "authorization" not in request.headers
