"""The pages about what is published, as Airflow's API server serves them: by its own sign-in, and nothing without."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient
from forecasts_app import app

from pipeline.publishing import publisher, track_record_files
from pipeline.storage import Folder
from tests.editions import edition, forecasts
from tests.publishing.conftest import recent

PATHS = [
    "/",
    "/sessions",
    "/sessions/2013-03-01",
    "/symbols",
    "/symbols/AAPL",
    "/record",
    "/files/2013-03-01/report.html",
]
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(airflow_database: None) -> Iterator[TestClient]:
    """Airflow's API server with our plugins; it follows no redirect and keeps no cookie."""
    with TestClient(create_app(apps="core"), base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.fixture
def token(server: TestClient) -> str:
    viewer = SimpleAuthManagerUser(username="somebody", role="viewer")
    return str(get_auth_manager().generate_jwt(viewer))


@pytest.fixture
def see(server: TestClient, token: str) -> Callable[..., Any]:
    """Return a function that asks for a page as a browser does that is signed in."""

    def get(path: str) -> Any:
        return server.get(f"/forecasts{path}", headers={**HTML, "cookie": f"_token={token}"})

    return get


@pytest.fixture(scope="module")
def two_sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shelf") / "published"
    for day in (date(2013, 2, 28), date(2013, 3, 1)):
        publisher.publish(edition(as_of=day), Folder(root))
    return root


@pytest.fixture
def published(home: Path, two_sessions: Path) -> Path:
    return Path(shutil.copytree(two_sessions, home / "published"))


def test_every_page_is_asked_for_below() -> None:
    asked = {path.split("/")[1] for path in PATHS}
    assert {route.path.split("/")[1] for route in app.routes} == asked


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_sees_nothing(server: TestClient, published: Path, path: str) -> None:
    answer = server.get(f"/forecasts{path}")
    assert answer.status_code == 401
    assert b"AAPL" not in answer.content


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_that_is_not_signed_in_is_sent_to_the_sign_in_and_back(server: TestClient, path: str) -> None:
    answer = server.get(f"/forecasts{path}", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/api/v2/auth/login?next=http%3A%2F%2F127.0.0.1%2Fforecasts")


@pytest.mark.parametrize("headers", [{"authorization": "Bearer x.y.z"}, {"cookie": "_token=x.y.z"}])
def test_a_made_up_token_is_refused(server: TestClient, published: Path, headers: dict[str, str]) -> None:
    assert server.get("/forecasts/record", headers=headers).status_code in (401, 403)


@pytest.mark.parametrize("path", PATHS)
def test_whoever_is_signed_in_sees_the_page(see: Callable[..., Any], published: Path, path: str) -> None:
    answer = see(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_program_may_ask_with_its_token(server: TestClient, published: Path, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    answer = server.get("/forecasts/files/2013-03-01/forecasts.csv", headers=headers)
    assert answer.content == (published / "as_of=2013-03-01/forecasts.csv").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]


def test_links_lead_to_pages_that_are_there(see: Callable[..., Any], published: Path) -> None:
    page = see("/").text
    for link in ("/forecasts/sessions/2013-02-28", "/forecasts/files/2013-03-01/report.html", "/forecasts/record"):
        assert f'"{link}"' in page
        assert see(link.removeprefix("/forecasts")).status_code == 200


def test_a_symbol_that_is_typed_in_leads_to_its_page(see: Callable[..., Any], published: Path) -> None:
    answer = see("/symbols?symbol=+eurusd%3Dx")
    assert (answer.status_code, answer.headers["location"]) == (303, "/forecasts/symbols/EURUSD%3DX")
    assert "EURUSD=X" in see("/symbols/EURUSD%3DX").text


@pytest.mark.parametrize(
    "path",
    [
        "/symbols/NONE",
        "/sessions/2013-02-27",
        "/sessions/yesterday",
        "/files/2013-03-01/..%2F..%2Fpipeline.db",
        "/files/2013-03-01/latest.json",
        "/files/2013-02-27/report.html",
        "/nothing",
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(see: Callable[..., Any], published: Path, path: str) -> None:
    answer = see(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_before_the_first_run_the_page_says_so(see: Callable[..., Any], home: Path) -> None:
    answer = see("/")
    assert answer.status_code == 404
    assert "nothing is published" in answer.text


def test_a_damaged_file_is_told_and_not_shown(see: Callable[..., Any], published: Path) -> None:
    (published / "as_of=2013-03-01/manifest.json").write_text("{")
    answer = see("/")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text


def test_a_setting_that_is_wrong_is_told(
    see: Callable[..., Any], published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_HORIZON", "0")
    assert "PIPELINE_HORIZON" in see("/").text


def test_the_navigation_has_the_entry(server: TestClient, token: str) -> None:
    answer = server.get("/api/v2/plugins", headers={"authorization": f"Bearer {token}"})
    views = [view for plugin in answer.json()["plugins"] for view in plugin["external_views"]]
    assert [(view["name"], view["href"], view["url_route"]) for view in views] == [
        ("Forecasts", "/forecasts/", "forecasts")
    ]


@pytest.fixture
def trial(published: Path) -> str:
    """The name of a trial's edition next to the standing one of 1 March."""
    made = edition(forecasts=forecasts(("MSFT",)), trial=("source yahoo instead of sample",))
    return publisher.publish(made, Folder(published)).folder.name


def test_a_trial_is_listed_labelled_and_served_next_to_the_standing_edition(
    see: Callable[..., Any], published: Path, trial: str
) -> None:
    assert f'"/forecasts/sessions/2013-03-01/{trial}"' in see("/sessions").text
    page = see(f"/sessions/2013-03-01/{trial}").text
    assert "Trial: source yahoo instead of sample" in page
    (address,) = set(re.findall(r'"/forecasts(/files/[^"]*report\.html)"', page))
    answer = see(address)
    assert (answer.status_code, "MSFT" in answer.text) == (200, True)
    assert "MSFT" not in see("/files/2013-03-01/report.html").text
    assert "Trial" not in see("/").text
    assert see("/symbols/AAPL").status_code == 200
    assert "Trial: source yahoo" in see("/symbols/MSFT").text


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/2013-03-01/7",
        "/sessions/2013-03-01/0001-00000000-00000000",
        "/sessions/2013-02-28/1",
        "/files/2013-03-01/editions/7/report.html",
        "/files/2013-03-01/editions/..%2F..%2Fas_of=2013-03-01/report.html",
        "/files/2013-03-01/editions/1/..%2F..%2F..%2F..%2Fpipeline.db",
        "/record?source=..",
    ],
)
def test_an_edition_that_is_not_there_is_said_to_be_not_there(
    see: Callable[..., Any], published: Path, trial: str, path: str
) -> None:
    answer = see(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_pages_need_no_right_to_write(see: Callable[..., Any], published: Path, trial: str) -> None:
    """On the compose stack the API server has the published files read-only, and no password of the database."""
    track_record_files.write(Folder(published), "sample", recent("AAPL").assign(series=""))
    folders = [published, *(path for path in published.rglob("*") if path.is_dir())]
    before = {path: path.stat().st_mtime_ns for path in folders}
    for path in (*PATHS, f"/sessions/2013-03-01/{trial}", "/symbols/MSFT", "/symbols/NONE"):
        see(path)
    assert {path: path.stat().st_mtime_ns for path in folders} == before
    assert "25 forecasts of the next session have matured" in see("/record").text
