"""A fold is reused only if the code, settings, precision and libraries that shaped it are unchanged."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config import PER_PROCESS, Settings
from pipeline.jobs.backtest import folds
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import CALENDAR
from pipeline.tracking.source_files import PACKAGE
from tests.jobs.backtest.walked import Done, folder_of

CODE_DIGEST = "from pipeline.jobs.backtest.fold_inputs import code_digest; print(code_digest())"
OTHER = {
    "inputs": ["return"],
    "horizon": 2,
    "context_length": 21,
    "training_steps": 6,
    "batch_size": 16,
    "learning_rate": 0.002,
    "hidden_size": 4,
    "validation_sessions": 41,
    "holdout_sessions": 20,
    "seed": 8,
    "gate_level": 0.5,
    "refit_every": 4,
    "close_delay_minutes": 45,
    "events": "none",
}


@pytest.fixture
def made(done: Done, again: Run) -> Run:
    """The run in a home of its own, with the first fold of the finished backtest."""
    fold = done.planned.folds[0]
    shutil.copytree(done.folder / "folds" / fold.first, folder_of(again) / "folds" / fold.first)
    assert folds.reusable(again, fold) is not None
    return again


def with_settings(run: Run, **settings: object) -> Run:
    return replace(run, frozen={**run.frozen, **settings})


@pytest.mark.parametrize("name", OTHER)
def test_another_setting_makes_it_again(done: Done, made: Run, name: str) -> None:
    other = with_settings(made, **{name: OTHER[name]})
    assert getattr(other.settings, name) != getattr(made.settings, name)
    assert folds.reusable(other, done.planned.folds[0]) is None


def test_another_calendar_of_events_makes_it_again(done: Done, made: Run) -> None:
    made.save(CALENDAR, replace(made.load(CALENDAR), digest="0" * 64))
    assert folds.reusable(made, done.planned.folds[0]) is None


def test_every_frozen_setting_is_among_the_inputs(done: Done, made: Run) -> None:
    record = folds.made_of(made, done.planned.folds[0])
    frozen = set(Settings.model_fields) - PER_PROCESS - {"symbols"}  # these are the run's, and part of its key
    assert frozen <= set(record.made_from.settings)
    assert "threads" in record.made_from.settings


def test_another_precision_of_the_machine_makes_it_again(
    done: Done, made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.modeling.training.precision.fastest_precision", lambda _shape: ("fp32", 1.0))
    fold, run = done.planned.folds[0], with_settings(made, precision="auto", training_steps=1)
    folds.make(run, fold, None)
    assert folds.reusable(run, fold) is not None
    measured = run.settings.home / "precision.json"
    measured.write_text(measured.read_text().replace('"fp32"', '"bf16"'))
    assert folds.reusable(run, fold) is None


@pytest.mark.parametrize("library", ["torch", "numpy", "pandas", "arch"])
def test_another_version_of_a_numeric_library_makes_it_again(done: Done, made: Run, library: str) -> None:
    fold = done.planned.folds[0]
    path = folder_of(made) / "folds" / fold.first / "fold.json"
    document = json.loads(path.read_text())
    document["made_from"]["libraries"][library] = "0.1"
    path.write_text(json.dumps(document))
    assert folds.reusable(made, fold) is None


def test_a_record_of_an_older_version_makes_it_again(done: Done, made: Run) -> None:
    fold = done.planned.folds[0]
    path = folder_of(made) / "folds" / fold.first / "fold.json"
    document = json.loads(path.read_text())
    document["made_from"] = {"snapshot": document["made_from"]["snapshot"], "seams": [], "parameters": {}, "code": "a"}
    path.write_text(json.dumps(document))
    assert folds.reusable(made, fold) is None


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, to change a byte in."""
    root = tmp_path_factory.mktemp("copied")
    shutil.copytree(PACKAGE, root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def digest_in(root: Path) -> str:
    """Return the digest of the code as a process finds it that runs the package in this folder."""
    given = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", CODE_DIGEST]
    return subprocess.run(command, env=given, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_a_changed_byte_in_any_code_that_shapes_a_fold_makes_it_again(done: Done, copied: Path) -> None:
    record = folds.made_of(done.planned.run, done.planned.folds[0])
    assert digest_in(copied) == record.made_from.code
    seen = {record.made_from.code}
    shaping = ["prices/adjustments.py", "jobs/context.py", "forecast_schema.py", "modeling/baselines/garch_fit.py"]
    for name in shaping:
        path = copied / "pipeline" / name
        path.write_text(path.read_text() + "#")
        seen.add(digest_in(copied))
    assert len(seen) == 1 + len(shaping)


@pytest.mark.slow
def test_code_of_the_command_line_does_not_make_it_again(copied: Path) -> None:
    before = digest_in(copied)
    path = copied / "pipeline" / "cli" / "doctor_command.py"
    path.write_text(path.read_text() + "#")
    assert digest_in(copied) == before
