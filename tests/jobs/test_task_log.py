"""What the tasks' logs tell: every step of a run in a few lines that a person can read."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.jobs import task_log
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
            planned = jobs.plan(key=None, now=NOW, as_of=day, overrides=SMALL, provenance={})
            made = jobs.run_all(planned, known_at=NOW)
    made |= {"baseline": {"baseline": "garch", "windows": 120}, "compare": made["train"], "plan": planned}
    return {**made, "ingest": made["ingest"]["batches"][0]}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("plan", "forecasts from 2013-02-27: 3 symbols in 1 batch"),
        ("ingest", "bars of 3 symbols: "),
        ("snapshot", "bars frozen as "),
        ("score", "3 forecasts have come due now, 3 are in the record"),
        ("score", "replays, lately: 90 % ranges held"),
        ("train", "trained in "),
        ("baseline", "the GARCH baseline has forecast 120 held-out windows"),
        ("compare", "CRPS on the same held-out sessions, in basis points, best first: "),
        ("upload", "registered as version 2"),
        ("judge", "to be published: "),
        ("forecast", "3 symbols forecast, 0 withheld"),
        ("publish", "2013-02-27 XNYS: 3 symbols, 5 sessions ahead, by "),
    ],
)
def test_a_step_tells_what_it_did(results: dict[str, Any], step: str, told: str) -> None:
    lines = task_log.lines(step, results[step])
    assert 1 <= len(lines) <= 4
    assert told in "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
    assert not any(brace in line for line in lines for brace in "{}")


def test_every_task_of_the_dags_has_a_story(results: dict[str, Any]) -> None:
    dags = Path(__file__).resolve().parents[2] / "dags"
    tasks = {
        line.split("def ")[1].split("(")[0]
        for path in dags.glob("[a-z]*.py")
        for line in path.read_text().splitlines()
        if line.startswith("    def ")
    }
    assert tasks - {"tell"} == set(task_log.STORIES), "`tell` has nothing to tell of itself"


def test_what_went_wrong_is_named_and_a_long_list_cut_short() -> None:
    row = {"outcome": "unknown", "detail": "Yahoo does not know it"}
    problems = [{"symbol": f"X{number}", **row} for number in range(14)]
    told = task_log.lines(
        "ingest", {"symbols": 14, "new": 0, "revised": 0, "held_back": 0, "skipped": 0, "problems": problems}
    )
    assert told[1] == "X0: unknown, Yahoo does not know it"
    assert len(told) == 12
    assert told[-1] == "and 4 more"


def test_what_is_noted_of_the_prices_is_told() -> None:
    notes = [{"symbol": "IBM", "rule": "shifted", "detail": "every bar seems to be one day early"}]
    reason = {"verdict": "quarantine", "rule": "unit", "bars": 7, "symbol_count": 1, "symbols": ["A"], "detail": "x100"}
    counts = dict.fromkeys(("rows", "accept", "warn", "quarantine", "reject", "gaps", "reconstructed"), 0)
    told = task_log.lines("snapshot", {**counts, "digest": "ab", "doubtful": [], "notes": notes, "reasons": [reason]})
    assert told[1:] == [
        "IBM: every bar seems to be one day early (shifted)",
        "quarantine unit: 7 bars of A, e.g. x100",
    ]


def test_a_fold_that_was_there_says_so() -> None:
    fold = {"anew": False, "trained": False, "reason": "too little history", "crps_bp": {"garch": 120.5, "lstm": 119.0}}
    first, scores = task_log.lines("fold", fold)
    assert first == "the fold was there already; no network: too little history"
    assert scores.endswith("LSTM 119.00, GARCH baseline 120.50")


def test_a_step_without_a_story_tells_none() -> None:
    assert task_log.lines("nothing", {}) == []


def test_a_trial_is_told_at_its_beginning_and_at_its_end(results: dict[str, Any]) -> None:
    planned = results["plan"]
    run = {**planned["run"], "trial": ["1 of 3 symbols", "1 training step instead of 20"]}
    words = "a trial, unlike the standing configuration: 1 of 3 symbols, 1 training step instead of 20"
    assert words in task_log.lines("plan", {**planned, "run": run})
    folds = [{"first": "2012-01-03", "last": "2012-03-30"}]
    assert words not in task_log.lines("plan", {**planned, "run": run, "folds": folds}), "a backtest publishes nothing"
    assert task_log.lines("publish", {**results["publish"], "standing": False})[-1] == (
        "a trial: `latest`, the track record and the champion were not moved"
    )
