"""One backtest, done once for all tests that only look at it, and the same run in homes of its own."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import jobs
from pipeline.jobs.run import Run
from tests.jobs.backtest.walked import NOW, Done, plan


@pytest.fixture(scope="session")
def done(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("done") / "var"
    shutil.copytree(empty_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        planned = plan()
        return Done(home, planned, jobs.backtest_all(planned, known_at=NOW, out=home.parent / "out.parquet"))


@pytest.fixture
def new_home(empty_home: Path, home: Path) -> Path:
    """A home of its own, with an empty MLflow database."""
    shutil.copytree(empty_home, home)
    return home


@pytest.fixture
def again(done: Done, home: Path) -> Run:
    """The same run in a home of its own, with its snapshot and none of its folds done."""
    folder = home / "runs" / done.key
    folder.mkdir(parents=True)
    for name in ("snapshot.json", "audit.json", "calendar.json"):
        shutil.copyfile(done.folder / name, folder / name)
    shutil.copytree(done.home / "snapshots", home / "snapshots")
    return replace(done.planned.run)  # reads its settings again: the other home
