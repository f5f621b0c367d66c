"""The package as a user installs it: no checkout, no git, an empty folder."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.forecast_schema import BASELINES
from tests.conftest import ROOT
from tests.wheel.conftest import Installation

pytestmark = pytest.mark.wheel

PAGES = """
from datetime import date
from pipeline.config import Settings
from pipeline.publishing.site import pages
root = Settings.load().published
print(pages.report_page(root, "/forecasts", date(2013, 2, 28)))
print(pages.sessions_page(root, "/forecasts"), pages.symbol_page(root, "/forecasts", "IBM"))
print(pages.symbols_page(root, "/forecasts"), pages.record_page(root, "/forecasts"))
print(pages.message_page("/forecasts", "Not found", "There is no such page."))
"""
SERVED = """
import sys, mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
print(len(model.predict(model.input_example)), __import__("pipeline").__file__)
"""


@pytest.fixture(scope="module")
def run(installed: Installation) -> dict[str, Any]:
    """What one daily run returns: database, training, MLflow, report."""
    words = ("run", "--symbols", "AAPL,IBM", "--as-of", "2013-02-28", "--training-steps", "5", "--quiet", "--json")
    result: dict[str, Any] = json.loads(installed.printed("closing-bell", *words))
    return result


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    kept = (path for path in (ROOT / "pipeline").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert files == {str(path.relative_to(ROOT)) for path in kept}
    assert {Path(name).suffix for name in files} >= {".jinja", ".css", ".js", ".json", ".mako", ".typed", ".csv"}


def test_the_metadata_name_licence_and_requirements(installed: Installation) -> None:
    script = "from importlib.metadata import metadata as m; import json; print(json.dumps(m('closing-bell').json))"
    found = json.loads(installed.printed("python", "-c", script))
    assert (found["version"], found["license_expression"]) == (__version__, "Apache-2.0")
    required = {line.split(";")[0] for line in found["requires_dist"] if "extra ==" not in line}
    assert {"torch==2.13.0", "typer"} <= required
    assert not any(line.startswith(("apache-airflow", "pytest", "hatchling")) for line in required)
    assert found["description"].startswith("# Closing Bell")


def test_what_runs_is_installed_and_nothing_else_of_the_checkout(installed: Installation) -> None:
    where = installed.printed("python", "-c", "import pipeline; print(pipeline.__file__)").strip()
    assert Path(where).is_relative_to(installed.venv)
    assert "site-packages" in where
    for name in ("local", "dags", "tests"):
        assert "ModuleNotFoundError" in installed.call("python", "-c", f"import {name}").stderr


def test_both_forms_of_the_command_answer(installed: Installation) -> None:
    assert installed.printed("closing-bell", "--version") == f"closing-bell {__version__}\n"
    assert installed.printed("python", "-m", "pipeline", "--version") == f"closing-bell {__version__}\n"
    assert "doctor" in installed.printed("closing-bell", "--help")


def test_doctor_finds_nothing_wrong(installed: Installation) -> None:
    findings = json.loads(installed.printed("closing-bell", "doctor", "--json"))
    assert [row for row in findings if not row["ok"]] == []


def test_a_daily_run_publishes_a_report_and_names_the_release(installed: Installation, run: dict[str, Any]) -> None:
    published = installed.home / "published" / "editions"
    (manifest,) = published.rglob("manifest.json")
    assert json.loads(manifest.read_text())["provenance"]["git_commit"] == f"release {__version__}"
    report = (manifest.parent / "report.html").read_text()
    styles, script = (next((ROOT / "pipeline").rglob(f"report.{kind}")).read_text() for kind in ("css", "js"))
    assert styles.splitlines()[-1] in report
    assert script.splitlines()[-1] in report
    assert len(list(manifest.parent.glob("charts/*.png"))) == 2
    assert run["publish"]["headline"] == json.loads(manifest.read_text())["headline"]


def test_the_reports_of_the_sample_are_in_the_package(run: dict[str, Any]) -> None:
    assert (run["events"]["source"], run["events"]["notes"]) == ("sample", [])
    assert run["snapshot"]["events"] == 61


def test_the_terminal_and_every_page_show_the_run(installed: Installation, run: dict[str, Any]) -> None:
    assert "IBM" in installed.printed("closing-bell", "show", "--as-of", "2013-02-28")
    assert installed.printed("python", "-c", PAGES).count("</html>") >= 6


def test_the_registered_model_is_served_where_the_package_is_not_installed(
    installed: Installation, without: Installation, run: dict[str, Any]
) -> None:
    (model,) = {path.parent for path in installed.home.rglob("MLmodel")}
    assert "ModuleNotFoundError" in without.call("python", "-c", "import pipeline").stderr
    rows, code = without.printed("python", "-c", SERVED, str(model)).split()
    assert int(rows) > 0
    assert Path(code).is_relative_to(model)


def test_a_backtest_scores_its_folds(installed: Installation) -> None:
    words = ("--symbols", "AAPL,IBM", "--from", "2012-12-03", "--to", "2012-12-21", "--training-steps", "5")
    result = json.loads(installed.printed("closing-bell", "backtest", *words, "--quiet", "--json"))
    assert [fold["trained"] for fold in result["folds"]] == [True]
    assert set(result["scores"]["models"]) == {"lstm", *BASELINES}
