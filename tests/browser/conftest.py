"""`make run` on ports of its own, and a browser that is signed in and listened to."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 30_000
MLFLOWS_OWN = (
    "/ajax-api/2.0/mlflow/users/current",  # its pages ask who is signed in; a server without users has no such address
    "ResizeObserver loop",  # its charts take more than one frame to find their place; nothing is lost
)


@dataclass(frozen=True)
class Site:
    """The two UIs, and how to sign in to Airflow's."""

    airflow: str
    mlflow: str
    password: str


@dataclass
class Heard:
    """What went wrong in any page since the sign-in."""

    problems: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("response", lambda answer: answer.status >= 400 and self._note(f"{answer.status} {answer.url}"))
        page.on(
            "console",
            lambda said: said.type == "error" and self._note(f"{said.text} {said.location.get('url', '')}"),
        )

    def _note(self, text: str) -> None:
        if not any(known in text for known in MLFLOWS_OWN):
            self.problems.append(text)


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A set-up as `make run` leaves it, with one run of the sample behind it."""
    home = tmp_path_factory.mktemp("live") / "var"
    airflow_port, mlflow_port = free_ports()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")} | {
        "PIPELINE_HOME": str(home),
        "AIRFLOW_PORT": str(airflow_port),
        "MLFLOW_PORT": str(mlflow_port),
        "PIPELINE_TRAINING_STEPS": "60",
    }

    def local(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "local", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    try:
        started = local("run")
        assert started.returncode == 0, started.stderr + started.stdout
        passwords = json.loads((home / "airflow/simple_auth_manager_passwords.json.generated").read_text())
        yield Site(f"http://127.0.0.1:{airflow_port}", f"http://127.0.0.1:{mlflow_port}", passwords["admin"])
    finally:
        assert local("stop").returncode == 0


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "these tests need Chromium: apt-get install chromium"
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-sync", "--disable-component-update"]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *quiet])
        yield browser
        browser.close()


def sign_in(page: Page, site: Site) -> None:
    """Fill in the form that the page shows."""
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(site.password)
    page.locator("input[name=password]").press("Enter")


@pytest.fixture(scope="session")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, site: Site, heard: Heard) -> Iterator[BrowserContext]:
    """A visitor of both UIs who is signed in to Airflow, as wide as a laptop's screen."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{site.airflow}/auth/login")
    sign_in(page, site)
    page.wait_for_url(lambda url: "login" not in url)
    page.close()
    context.on("page", heard.listen)
    yield context
    context.close()


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    page = signed_in.new_page()
    yield page
    page.close()
