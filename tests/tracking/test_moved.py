"""Artifact paths follow a home that was moved or copied, once, and only its own."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline.errors import TrackingUnavailable
from pipeline.tracking.moved import follow_home

TABLES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
Make = Callable[..., Path]


def make(home: Path, *locations: str) -> Path:
    """A home whose MLflow database holds these locations, as an experiment's and with a run, a model and a version."""
    (home / "mlflow" / "artifacts").mkdir(parents=True)
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as connection:
        for table, column in TABLES.items():
            extra = ", source TEXT" if table == "model_versions" else ""
            connection.execute(f"CREATE TABLE {table} ({column} TEXT{extra})")
        for location in locations:
            connection.execute("INSERT INTO experiments VALUES (?)", (location,))
            connection.execute("INSERT INTO runs VALUES (?)", (f"{location}/0a/artifacts",))
            connection.execute("INSERT INTO logged_models VALUES (?)", (f"{location}/models/m-1/artifacts",))
            connection.execute(
                "INSERT INTO model_versions VALUES (?, 'models:/m-1')", (f"{location}/models/m-1/artifacts",)
            )
        connection.commit()
    return home


def kept(home: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as connection:
        return {
            table: [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]
            for table, column in TABLES.items()
        }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{old}/mlflow/artifacts/daily-forecast", "{new}/mlflow/artifacts/daily-forecast"),
        ("{old}/mlflow/artifacts/1", "{new}/mlflow/artifacts/1"),  # as the server makes it
        ("{old}/mlflow/artifacts", "{new}/mlflow/artifacts"),
        ("file://{old_url}/mlflow/artifacts/1", "file://{new_url}/mlflow/artifacts/1"),
        # not a path of a home
        ("mlflow-artifacts:/1", "mlflow-artifacts:/1"),
        ("s3://bucket/mlflow/artifacts/1", "s3://bucket/mlflow/artifacts/1"),
        ("/somewhere/mlruns/0", "/somewhere/mlruns/0"),
        ("{old}/mlflow/artifacts-elsewhere/1", "{old}/mlflow/artifacts-elsewhere/1"),
    ],
)
@pytest.mark.parametrize("name", ["new", "new home é%"])
def test_paths_below_the_old_home_follow_and_others_stay(before: str, after: str, name: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old home", tmp_path / name
    places = {"old": old, "new": new, "old_url": quote(str(old)), "new_url": quote(str(new))}
    make(new, before.format(**places))
    changed = follow_home(new)
    expected = after.format(**places)
    assert kept(new) == {
        "experiments": [expected],
        "runs": [f"{expected}/0a/artifacts"],
        "logged_models": [f"{expected}/models/m-1/artifacts"],
        "model_versions": [f"{expected}/models/m-1/artifacts"],
    }
    assert [(one.before, one.paths) for one in changed] == ([] if before == after else [(old, 4)])
    assert follow_home(new) == []


def test_a_home_that_moved_twice_has_all_paths_updated(tmp_path: Path) -> None:
    new = make(tmp_path / "new", *(f"{tmp_path}/{name}/mlflow/artifacts/{name}" for name in ("a", "b", "new")))
    assert sorted(one.before.name for one in follow_home(new)) == ["a", "b"]
    assert all(path.startswith(f"{new}/") for paths in kept(new).values() for path in paths)


def test_a_copy_keeps_its_files_apart_from_those_of_the_original(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    make(new, f"{old}/mlflow/artifacts/1")
    for home in (old, new):
        (home / "mlflow" / "artifacts" / "1").mkdir(parents=True)
    assert len(follow_home(new)) == 1
    assert kept(new)["experiments"] == [f"{new}/mlflow/artifacts/1"]


def test_artifacts_that_lie_only_at_another_place_are_left_there(tmp_path: Path) -> None:
    other = tmp_path / "large disk"
    (other / "mlflow" / "artifacts" / "1").mkdir(parents=True)
    new = make(tmp_path / "new", f"{other}/mlflow/artifacts/1")
    assert follow_home(new) == []
    assert kept(new)["experiments"] == [f"{other}/mlflow/artifacts/1"]


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    assert follow_home(tmp_path / "nothing") == []
    assert list(tmp_path.iterdir()) == []


def test_what_was_changed_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = make(tmp_path / "new", f"{tmp_path}/old/mlflow/artifacts/1")
    with caplog.at_level(logging.WARNING):
        follow_home(new)
    assert f"PIPELINE_HOME was {tmp_path}/old and is {new}: 4 paths" in caplog.text


def test_a_database_that_cannot_be_changed_stays_whole_and_is_named(tmp_path: Path) -> None:
    new = make(tmp_path / "new", f"{tmp_path}/old/mlflow/artifacts/1")
    with closing(sqlite3.connect(new / "mlflow" / "mlflow.db")) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    before = kept(new)
    with pytest.raises(TrackingUnavailable, match=r"mlflow\.db cannot be checked or set to .*: refused; "):
        follow_home(new)
    assert kept(new) == before
