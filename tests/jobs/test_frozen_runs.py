"""A run is immutable once planned: an environment that changes between its tasks changes no number and no label."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.config import PER_PROCESS, Overrides, Settings, variable
from pipeline.errors import MissingStep
from pipeline.forecast_schema import BASELINE_FAMILIES
from pipeline.jobs.backtest.steps import plan_backtest
from pipeline.jobs.results import Plan
from pipeline.jobs.run import Run
from pipeline.storage.documents import from_document, to_document
from tests.small import SMALL, set_as_standing

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
AS_OF = date(2013, 2, 26)

# Each frozen setting, and what somebody might set it to while a run is going on.
CHANGED = {
    "source": "yahoo",
    "files": "/elsewhere/prices.csv",
    "events": "none",
    "files_dates": "day-first",
    "files_decimal": "comma",
    "exchange": "XTKS",
    "markets": "SR=XSAU",
    "close_delay_minutes": "600",
    "network": "mlp",
    "inputs": "return",
    "horizon": "3",
    "context_length": "31",
    "retrain_every": "9",
    "champion_expires_after": "10",
    "gate_level": "0.5",
    "training_steps": "1",
    "batch_size": "8",
    "learning_rate": "0.1",
    "hidden_size": "4",
    "holdout_sessions": "20",
    "validation_sessions": "20",
    "seed": "1",
    "precision": "bf16",
    "refit_every": "5",
}


@pytest.fixture
def new_home(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return at_home(empty_home, tmp_path / "var", monkeypatch)


def at_home(empty_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(empty_home, home, dirs_exist_ok=True)
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    monkeypatch.chdir(home.parent)
    return home


def plan(key: str | None = "by-airflow", **overrides: Any) -> Any:
    return jobs.plan(key=key, now=NOW, as_of=AS_OF, overrides=Overrides({**SMALL, **overrides}), provenance={})


def travelled(planned: Plan) -> Plan:
    """Return what a task of another process gets: the plan as JSON carried it."""
    document = json.loads(json.dumps(to_document(planned)))
    return from_document(type(planned), document, where="the XCom", remedy="plan again")


def tasks(planned: Plan) -> Iterator[Callable[[], Any]]:
    """Every task of the DAG after `plan`, in its order, each as another process would call it."""
    steps: list[Callable[[Run], Any]] = [
        lambda run: [jobs.ingest(run, batch, known_at=NOW) for batch in planned.batches],
        lambda run: jobs.ingest_events(run, known_at=NOW),
        lambda run: jobs.snapshot(run, known_at=NOW),
        jobs.score,
        jobs.train,
        *(partial(jobs.baseline, family=name) for name in BASELINE_FAMILIES),
        jobs.compare,
        jobs.upload,
        jobs.judge,
        jobs.forecast,
        lambda run: jobs.publish(run, now=NOW),
    ]
    for step in steps:
        yield lambda step=step: step(travelled(planned).run)


def published(home: Path) -> dict[str, bytes]:
    """What was published, but for the names that MLflow makes up for each run."""
    files = {str(path.relative_to(home)): path for path in (home / "published").rglob("*") if path.is_file()}
    kept = {name: path.read_bytes() for name, path in files.items() if path.suffix in (".parquet", ".csv", ".json")}
    for name in [name for name in kept if name.endswith("manifest.json")]:
        manifest = json.loads(kept[name])
        for unique in ("mlflow_run_id", "mlflow_url"):
            manifest["provenance"].pop(unique, None)
        manifest.pop("files")
        kept[name] = json.dumps(manifest, sort_keys=True).encode()
    return {name: content for name, content in kept.items() if not name.endswith("latest.json")}


def test_every_setting_is_either_frozen_or_named_as_one_that_may_differ() -> None:
    assert set(CHANGED) | PER_PROCESS | {"symbols"} == set(Settings.model_fields)
    assert not set(CHANGED) & PER_PROCESS


@pytest.mark.parametrize("name", sorted(CHANGED))
def test_a_planned_run_keeps_each_setting(new_home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    planned = travelled(plan())
    before = getattr(planned.run.settings, name)
    monkeypatch.setenv(variable(name), CHANGED[name])
    assert str(getattr(Settings.model_construct(), name)) != CHANGED[name]
    assert getattr(travelled(planned).run.settings, name) == before


def test_a_run_without_a_file_does_not_get_one_later(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = travelled(plan())
    monkeypatch.setenv("PIPELINE_FILES", "/elsewhere/prices.csv")
    assert planned.run.settings.files is None


def test_tasks_in_changed_environments_make_one_run(
    new_home: Path, empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `plan` every task finds every setting changed, as on another worker or after an edit of `.env`."""
    set_as_standing(monkeypatch)
    for task in tasks(travelled(plan())):
        task()
    calm = published(new_home)
    changed_home = at_home(empty_home, tmp_path / "changed" / "var", monkeypatch)
    planned = travelled(plan())
    for name, value in {**CHANGED, "symbols": "MSFT"}.items():
        monkeypatch.setenv(variable(name), value)
    for task in tasks(planned):
        task()
    assert published(changed_home) == calm
    manifest = json.loads((changed_home / "published" / f"as_of={AS_OF}" / "manifest.json").read_text())
    assert manifest["provenance"]["source"] == "sample"
    assert manifest["provenance"]["settings"]["horizon"] == 5
    assert manifest["provenance"]["settings"]["training_steps"] == SMALL["training_steps"]


def test_a_run_planned_again_under_other_settings_is_another_run(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clearing `plan` after an edit of `.env` must not mix what two plans made."""
    first, same = plan(), plan()
    jobs.ingest_all(first, known_at=NOW)
    jobs.snapshot(first.run, known_at=NOW)
    monkeypatch.setenv("PIPELINE_SEED", "8")
    second = plan()
    assert first.run.key == same.run.key != second.run.key
    with pytest.raises(MissingStep):
        jobs.train(second.run)


def test_places_and_threads_are_those_of_each_process(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = travelled(plan())
    monkeypatch.setenv("PIPELINE_THREADS", "2")
    monkeypatch.setenv("PIPELINE_PUBLISH_URI", str(new_home / "elsewhere"))
    settings = planned.run.settings
    assert (settings.threads, settings.publish_uri) == (2, str(new_home / "elsewhere"))


def test_a_run_planned_before_settings_were_frozen_still_runs(new_home: Path) -> None:
    document = to_document(plan().run)
    del document["frozen"]
    old = from_document(Run, document, where="the XCom", remedy="plan again")
    assert old.settings.training_steps == SMALL["training_steps"]


def test_a_backtest_keeps_its_settings(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = travelled(
        plan_backtest(
            key="walk",
            now=NOW,
            first=date(2012, 12, 3),
            last=AS_OF,
            overrides=Overrides({**SMALL, "horizon": 2}),
            provenance={},
        )
    )
    monkeypatch.setenv("PIPELINE_SEED", "8")
    monkeypatch.setenv("PIPELINE_REFIT_EVERY", "5")
    settings = planned.run.settings
    assert (settings.horizon, settings.seed, settings.refit_every) == (2, 7, 63)
