"""A symbol whose past is on another scale is left out from the session on from which a daily run leaves it out."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.jobs import audit_report
from pipeline.jobs.backtest import folds
from pipeline.jobs.results import BacktestPlan
from pipeline.jobs.run_artifacts import AUDIT
from pipeline.prices.sources.sample import SampleSource
from pipeline.storage.documents import to_document
from tests.jobs.backtest.walked import FIRST, LAST, NOW, folder_of, part, plan

STEP = date(2012, 12, 11)  # the second session of the second fold
STEPPED = "AAPL"


def prices(folder: Path, *, step: date | None) -> dict[str, Any]:
    """Write prices of two shares, one of them halved from `step` on as by a split; return the settings to read them."""
    bars = SampleSource().bars((STEPPED, "IBM"), LAST, date(2010, 1, 4))
    table = bars.rename(columns={"session": "date"})[["symbol", "date", "open", "high", "low", "close", "volume"]]
    if step is not None:
        behind = (table["symbol"] == STEPPED) & (table["date"] >= pd.Timestamp(step))
        table.loc[behind, ["open", "high", "low", "close"]] /= 2
    path = folder / "prices.csv"
    table.to_csv(path, index=False)
    return {"source": "files", "files": str(path), "symbols": ""}


def backtest(overrides: dict[str, Any], out: Path) -> tuple[BacktestPlan, dict[str, Any], pd.DataFrame]:
    planned = plan(FIRST, LAST, **overrides)
    result = to_document(jobs.backtest_all(planned, known_at=NOW, out=out))
    return planned, result, pd.read_parquet(out)


def days_of(frame: pd.DataFrame, model: str) -> list[str]:
    mine = frame[(frame["symbol"] == STEPPED) & (frame["model"] == model)]
    return sorted({str(day) for day in mine["as_of"]})


def test_a_split_that_nobody_lists_is_withheld_from_its_session_on_and_named(new_home: Path) -> None:
    overrides = prices(new_home.parent, step=STEP)
    planned, result, frame = backtest(overrides, new_home.parent / "out.parquet")
    before = ["2012-12-03", "2012-12-04", "2012-12-05", "2012-12-06", "2012-12-07", "2012-12-10"]
    for model in ("mlp", "garch"):
        assert days_of(frame, model) == before  # the bar behind the step, of 11 December, is held back
    (row,) = result["withheld"]
    assert {name: row[name] for name in ("symbol", "first", "last", "sessions")} == {
        "symbol": STEPPED, "first": "2012-12-12", "last": "2012-12-19", "sessions": 6,
    }  # fmt: skip
    assert "unlisted 2:1 split" in row["reason"]
    assert result["without_forecast"] == []
    kept = {
        fold.first: json.loads((Path(result["folder"]) / "folds" / fold.first / "fold.json").read_text())
        for fold in planned.folds
    }
    assert [sum(row["sessions"] for row in kept[first]["withheld"]) for first in sorted(kept)] == [0, 3, 3]


@pytest.mark.parametrize(("as_of", "withheld"), [(date(2012, 12, 7), []), (date(2012, 12, 12), [STEPPED])])
def test_the_daily_run_of_the_same_session_leaves_out_the_same_symbols(
    new_home: Path, as_of: date, withheld: list[str]
) -> None:
    overrides = prices(new_home.parent, step=STEP)
    planned = plan(FIRST, LAST, **overrides)
    jobs.ingest_all(planned, known_at=NOW)
    daily = jobs.plan(key=None, now=NOW, as_of=as_of, overrides=Overrides(overrides), provenance={})
    jobs.ingest_all(daily, known_at=NOW)
    assert [row.symbol for row in jobs.snapshot(daily.run, known_at=NOW).doubtful] == withheld


def test_a_step_moves_no_byte_of_the_folds_before_it(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    for name, step in (("clean", None), ("stepped", STEP)):
        home = new_home.parent / name / "var"
        home.mkdir(parents=True)
        monkeypatch.setenv("PIPELINE_HOME", str(home))
        planned = plan(FIRST, LAST, **prices(home.parent, step=step))
        jobs.ingest_all(planned, known_at=NOW)
        jobs.backtest_snapshot(planned.run, known_at=NOW)
        this = planned.run
        folds.make(this, planned.folds[0], None)
        parts.append(part(folder_of(this), planned.folds[0]))
    assert parts[0] == parts[1]


def test_a_step_that_a_person_has_released_is_forecast(new_home: Path) -> None:
    overrides = prices(new_home.parent, step=STEP)
    jobs.ingest_all(plan(FIRST, LAST, **overrides), known_at=NOW)
    held = audit_report.held_back(Overrides(overrides))
    audit_report.decide(Overrides(overrides), [row.id for row in held], "released", now=NOW, note="a real fall")
    _, result, frame = backtest(overrides, new_home.parent / "out.parquet")
    assert result["withheld"] == []
    assert len(days_of(frame, "garch")) == 13


def test_a_fold_made_before_somebody_had_looked_does_not_count_as_done(new_home: Path) -> None:
    overrides = prices(new_home.parent, step=STEP)
    planned = plan(FIRST, LAST, **overrides)
    jobs.ingest_all(planned, known_at=NOW)
    jobs.backtest_snapshot(planned.run, known_at=NOW)
    this, fold = planned.run, planned.folds[1]
    folds.make(this, fold, None)
    assert folds.reusable(this, fold) is not None
    this.save(AUDIT, replace(this.load(AUDIT), seams=()))
    assert folds.reusable(this, fold) is None
