"""`doctor` reports what would stop a run: places that cannot be written, full disks, missing artifacts, deletions."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.jobs import health_checks

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
Found = dict[str, dict[str, Any]]


@pytest.fixture
def settings(home: Path, empty_home: Path) -> Settings:
    shutil.copytree(empty_home, home)
    open_database(Settings.load().database)
    return Settings.load()


def problems() -> dict[str, str]:
    return {row.what: row.found for row in health_checks.examine(now=NOW) if not row.ok}


def read_only(path: Path) -> str:
    """The URL of a SQLite file that nobody may write, root neither."""
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def test_a_set_up_that_is_well_has_no_problem(settings: Settings) -> None:
    assert problems() == {}
    found = {row.what: row.found for row in health_checks.examine(now=NOW)}
    assert found["database"].endswith("schema up to date, writable")
    assert found["MLflow"].endswith("mlflow.db, no network has been promoted yet")
    assert sorted(path.name for path in settings.home.rglob(".doctor*")) == []


def test_a_new_home_has_no_problem(home: Path) -> None:
    assert problems() == {}


def test_a_missing_file_of_events_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settings.home / "events.csv"
    monkeypatch.setenv("PIPELINE_EVENTS", str(path))
    assert problems() == {
        "events": f"PIPELINE_EVENTS={path}: there is no such file; correct it, or set it to none",
    }
    path.write_text("symbol,date\n")
    assert problems() == {}


def test_a_read_only_database_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DATABASE_URL", read_only(settings.home / "pipeline.db"))
    found = problems()
    assert list(found) == ["database"]
    assert "attempt to write a readonly database; make the file, its folder" in found["database"]
    assert "PIPELINE_DATABASE_URL" in found["database"]


def test_a_database_whose_journal_cannot_be_made_is_a_problem(settings: Settings) -> None:
    (settings.home / "pipeline.db-journal").mkdir()
    assert "file or journal cannot be read or written: check its folder" in problems()["database"]


def test_a_full_database_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(health_checks, "require_writable", full)
    assert "database or disk is full; free space" in problems()["database"]


def test_a_database_that_another_process_writes_is_busy_and_no_problem(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.database.probe.WAIT_S", 0)
    with closing(sqlite3.connect(settings.home / "pipeline.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = {row.what: row for row in health_checks.examine(now=NOW)}
    assert found["database"].ok
    assert found["database"].found.endswith("busy: another process is writing")


def test_a_read_only_mlflow_database_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", read_only(settings.home / "mlflow" / "mlflow.db"))
    found = problems()
    assert "attempt to write a readonly database" in found["MLflow"]
    assert "set MLFLOW_TRACKING_URI" in found["MLflow"]


@pytest.mark.parametrize(
    ("in_the_way", "what", "variable"),
    [
        ("published", "published", "PIPELINE_PUBLISH_URI"),
        ("mlflow/artifacts", "MLflow", "MLFLOW_TRACKING_URI"),
        ("elsewhere", "store", "PIPELINE_STORE_URI"),
    ],
)
def test_a_folder_that_cannot_be_written_is_a_problem(
    in_the_way: str, what: str, variable: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_STORE_URI", str(settings.home / "elsewhere"))
    shutil.rmtree(settings.home / in_the_way, ignore_errors=True)
    (settings.home / in_the_way).write_bytes(b"a file, where a folder should be")
    found = problems()
    assert list(found) == [what]
    assert found[what].startswith(f"{variable}: {settings.home / in_the_way} cannot be written: ")


def test_a_home_that_cannot_be_made_is_a_problem(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "file" / "var"))
    found = problems()
    assert found["home"].startswith(
        f"PIPELINE_HOME: {tmp_path / 'file' / 'var'} cannot be written: Not a directory; make"
    )
    assert {"home", "store", "published", "database", "MLflow"} <= set(found)


def test_little_room_is_a_problem_of_each_place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    found = problems()
    assert set(found) == {"home", "store", "published", "database", "MLflow"}
    assert all("5 MiB free; free at least 1 GiB" in words for words in found.values())


def test_a_disk_without_room_for_another_file_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"f_bavail": 1 << 30, "f_blocks": 1 << 31, "f_bfree": 1 << 30, "f_frsize": 4096}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**kept, f_files=1000, f_favail=0))
    assert "can hold no more files" in problems()["home"]


def test_a_deleted_experiment_is_a_problem_with_the_command_that_restores_it(settings: Settings) -> None:
    from pipeline.tracking import connection
    from pipeline.tracking.experiments import experiment_id

    with connection.connected(settings, "delete an experiment") as client:
        client.delete_experiment(experiment_id(client, settings, "live-scores"))
    found = problems()["MLflow"]
    assert "'live-scores' was deleted; restore it with `MLFLOW_TRACKING_URI=sqlite:////" in found


@pytest.fixture
def promote(settings: Settings, tmp_path: Path) -> Callable[[date], Path]:
    """Registers and promotes a small network; returns its weights among the artifacts."""
    from pipeline.tracking import registry
    from pipeline.tracking.mlflow_run import MlflowRun
    from pipeline.tracking.registration import register
    from tests.tracking.material import save_forecaster

    days = pd.bdate_range("2013-01-01", "2013-02-28").strftime("%Y-%m-%d")
    prices = pd.DataFrame(
        {"date": days, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1, "symbol": "A"}
    )

    def make(day: date) -> Path:
        save_forecaster(tmp_path / f"model-{day}")
        run = MlflowRun.open(settings, experiment="daily-forecast", key=f"run-{day}", name="n", tags={})
        card = tmp_path / f"model-{day}" / "model.json"
        card.write_text(card.read_text().replace("2013-02-28", str(day)))
        made = register(run, model_dir=card.parent, example=prices, tags={})
        registry.promote(settings, made.version, day)
        (weights,) = settings.home.rglob(f"{made.model_id}/artifacts/artifacts/weights.safetensors")
        return weights

    return make


def test_missing_files_of_the_champion_are_a_problem_that_names_who_stands_in(promote: Callable[[date], Path]) -> None:
    first, second = promote(date(2013, 2, 27)), promote(date(2013, 2, 28))
    found = {row.what: row for row in health_checks.examine(now=NOW)}
    assert found["MLflow"].found.endswith("champion version 2 of 2013-02-28 is complete")
    second.unlink()
    words = problems()["MLflow"]
    assert "champion version 2 of 2013-02-28 cannot be used" in words
    assert "weights.safetensors is missing" in words
    assert words.endswith("runs use version 1 of 2013-02-27 meanwhile")
    first.write_bytes(b"torn")
    words = problems()["MLflow"]
    assert "version 1 of 2013-02-27 cannot be used" in words
    assert words.endswith("runs use a baseline until a network is promoted")


def test_champions_lists_whose_files_are_missing(promote: Callable[[date], Path]) -> None:
    from typer.testing import CliRunner

    from pipeline.cli.app import app
    from pipeline.jobs import champions

    promote(date(2013, 2, 27))
    promote(date(2013, 2, 28)).unlink()
    assert [(row.version, "is missing" in row.problem) for row in champions.listed()] == [
        ("2", True),
        ("1", False),
    ]
    shown = CliRunner().invoke(app, ["champions"], catch_exceptions=False).output
    assert "cannot be used" in shown
    assert "complete" in shown
