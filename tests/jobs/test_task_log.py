"""What the tasks' logs tell: every step of a run in a few lines that a person can read."""

import shutil
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.evaluation.backtest_results import FoldPlan
from pipeline.jobs import task_log
from pipeline.jobs.results import (
    BacktestPlan,
    BaselineResult,
    CompareResult,
    FoldResult,
    IngestResult,
    SnapshotResult,
    TrainResult,
)
from pipeline.prices.audit_types import Note, Reason
from pipeline.prices.ingestion.ingest import RequestProblem
from tests.small import SMALL, set_as_standing

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def results(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step of two runs in a row returned, the second run's."""
    home = Path(shutil.copytree(empty_home, tmp_path_factory.mktemp("told") / "var"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        set_as_standing(patch)
        patch.chdir(home.parent)
        for day in (date(2013, 2, 26), date(2013, 2, 27)):
            planned = jobs.plan(key=None, now=NOW, as_of=day, overrides=Overrides(SMALL), provenance={})
            made = jobs.run_all(planned, known_at=NOW)
    train = made.train
    return {
        **{field.name: getattr(made, field.name) for field in fields(made)},
        "plan": planned,
        "ingest": made.ingest.batches[0],
        "baseline": BaselineResult(baseline="garch", windows=120),
        "train": TrainResult(trained=train.trained, reason=train.reason, seconds=train.seconds),
        "compare": CompareResult(crps_bp=train.crps_bp),
    }


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("plan", "forecasts from 2013-02-27: 3 symbols in 1 batch"),
        ("ingest", "bars of 3 symbols: "),
        ("events", "scheduled events from sample: 0 new, 0 changed, 0 cancelled, 65 unchanged"),
        ("snapshot", "bars frozen as "),
        ("snapshot", "64 scheduled events, of 64 the date of announcement is not known"),
        ("score", "3 forecasts have matured, 3 are in the track record"),
        ("score", "replays, recently: coverage of the 90 % range "),
        ("train", "trained in "),
        ("baseline", "GARCH has forecast 120 held-out windows"),
        ("compare", "CRPS on the same held-out sessions, in basis points, best first: "),
        ("upload", "registered as version 2"),
        ("judge", "to be published: "),
        ("forecast", "3 symbols forecast, 0 withheld"),
        ("publish", "2013-02-27 XNYS: 3 symbols, 5 sessions ahead, by "),
    ],
)
def test_a_step_tells_what_it_did(results: dict[str, Any], step: str, told: str) -> None:
    lines = task_log.lines(results[step])
    assert 1 <= len(lines) <= 4
    assert told in "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
    assert not any(brace in line for line in lines for brace in "{}")


def ingested(**values: Any) -> IngestResult:
    counts = dict.fromkeys(("new", "revised", "unchanged", "held_back", "rewritten", "skipped"), 0)
    empty = {"verdicts": {}, "outcomes": {}, "notes": [], "problems": [], "read_as": ""}
    return IngestResult(**{**counts, **empty, "symbols": 14, **values})


def test_incomplete_symbols_are_named_and_a_long_list_cut_short() -> None:
    detail = "Yahoo does not know it"
    problems = [RequestProblem(symbol=f"X{number}", outcome="unknown", detail=detail) for number in range(14)]
    told = task_log.lines(ingested(problems=problems))
    assert told[1] == "X0: unknown, Yahoo does not know it"
    assert len(told) == 12
    assert told[-1] == "and 4 more"


def test_notes_and_reasons_of_the_audit_are_logged() -> None:
    notes = [Note(symbol="IBM", rule="shifted", detail="every bar seems to be one day early")]
    reason = Reason(verdict="quarantine", rule="unit", bars=7, symbol_count=1, symbols=("A",), detail="x100")
    counts = dict.fromkeys(("rows", "accept", "warn", "quarantine", "reject", "gaps", "reconstructed"), 0)
    told = task_log.lines(SnapshotResult(**counts, digest="ab", doubtful=[], notes=notes, reasons=[reason]))
    assert told[1:] == [
        "IBM: every bar seems to be one day early (shifted)",
        "quarantine unit: 7 bars of A, e.g. x100",
    ]


def test_a_reused_fold_says_so() -> None:
    scores = {"garch": 120.5, "lstm": 119.0}
    fold = FoldResult(reused=True, trained=False, reason="too little history", crps_bp=scores, mlflow_url=None)
    first, ranked = task_log.lines(fold)
    assert first == "fold reused; no network: too little history"
    assert ranked.endswith("LSTM 119.00, GARCH 120.50")


def test_a_value_that_is_no_result_has_no_lines() -> None:
    assert task_log.lines({"a": 1}) == []


def test_a_trial_is_logged_at_its_beginning_and_at_its_end(results: dict[str, Any]) -> None:
    planned = results["plan"]
    trial = replace(planned.run, trial=("1 of 3 symbols", "1 training step instead of 20"))
    words = "a trial, unlike the standing configuration: 1 of 3 symbols, 1 training step instead of 20"
    assert words in task_log.lines(replace(planned, run=trial))
    folds = (FoldPlan(number=1, first="2012-01-03", last="2012-03-30"),)
    backtest = BacktestPlan(run=trial, batches=planned.batches, folds=folds)
    assert words not in task_log.lines(backtest), "a backtest publishes nothing"
    assert "1 fold, 2012-01-03 to 2012-03-30" in task_log.lines(backtest)
    assert task_log.lines(replace(results["publish"], standing=False))[-1] == (
        "a trial: `latest`, the track record and the champion were not moved"
    )
