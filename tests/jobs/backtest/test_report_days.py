"""A backtest over the day of a report: which forecasts are of an event session, and how they are scored."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.forecast_schema import BASELINES
from pipeline.jobs.results import BacktestResult
from pipeline.storage.documents import to_document
from tests.jobs.backtest.walked import NOW, plan

# IBM reported on 2013-01-22, a Tuesday after a holiday; whether before the open or after the close is not stated.
FIRST, LAST = date(2013, 1, 14), date(2013, 1, 28)


def backtest(home: Path, out: Path, **overrides: str) -> BacktestResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        return jobs.backtest_all(plan(FIRST, LAST, symbols="IBM", **overrides), known_at=NOW, out=out)


@pytest.fixture(scope="module")
def reported(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[BacktestResult, Path]:
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(empty_home, folder / "var")
    return backtest(folder / "var", folder / "out.csv"), folder / "out.csv"


def test_the_forecasts_before_both_sessions_that_a_report_may_move_are_marked(
    reported: tuple[BacktestResult, Path],
) -> None:
    frame = pd.read_csv(reported[1])
    marked = frame[frame["report_due"]]
    assert frame["report_due"].dtype == bool
    assert sorted(set(marked["as_of"])) == ["2013-01-18", "2013-01-22"]
    assert set(marked["model"]) == {"mlp", *BASELINES}
    assert marked.groupby(["as_of", "model"])["step"].apply(list).map(tuple).unique().tolist() == [(1, 2, 3)]


def test_every_model_is_scored_on_both_kinds_of_sessions(reported: tuple[BacktestResult, Path]) -> None:
    models = reported[0].scores.models
    for name in ("mlp", *BASELINES):
        split = models[name].events
        assert split is not None
        assert split.on is not None
        assert split.off is not None
        assert (split.on.windows, split.off.windows) == (2, reported[0].windows["scored"] - 2)
        first_step = models[name].by_step[0].crps_bp
        total = split.on.windows * split.on.crps_bp + split.off.windows * split.off.crps_bp
        assert total / reported[0].windows["scored"] == pytest.approx(first_step)
        best = reported[0].best_baseline
        assert split.on.baseline == (None if name == best else best)


def test_without_a_calendar_nothing_is_marked_and_nothing_is_split(empty_home: Path, home: Path) -> None:
    shutil.copytree(empty_home, home)
    result = backtest(home, home.parent / "out.parquet", events="none")
    assert pd.read_parquet(home.parent / "out.parquet")["report_due"].isna().all()
    assert "events" not in str(to_document(result)["scores"])
