"""What is asked for: refused in one line, or planned; and what the command prints."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.cli.app import app
from pipeline.errors import BadFile, PipelineError, UserError
from pipeline.evaluation.backtest_results import FoldPlan
from tests.jobs.backtest.walked import FIRST, LAST, Done, plan


@pytest.mark.parametrize(
    ("first", "last", "overrides", "words"),
    [
        (date(2012, 12, 4), date(2012, 12, 3), {}, "no session from 2012-12-04 to 2012-12-03"),
        (date(2012, 12, 1), date(2012, 12, 2), {}, "no session"),
        (date(1999, 12, 1), date(2012, 12, 3), {}, "begins on 2000-03-01"),
        (date(2012, 12, 3), date(2027, 1, 4), {}, "in the future"),
        (date(2012, 12, 3), date(2014, 1, 3), {}, "after the end"),
        (date(2001, 1, 2), date(2012, 12, 3), {"refit_every": 1}, "PIPELINE_REFIT_EVERY=1"),
        (FIRST, LAST, {"refit_every": 0}, "PIPELINE_REFIT_EVERY=0"),
        (FIRST, LAST, {"symbols": "NOPE"}, "NOPE"),
    ],
)
def test_what_cannot_be_met_is_one_line_and_leaves_nothing(
    home: Path, first: date, last: date, overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        plan(first, last, **overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_another_beginning_or_interval_is_another_backtest(home: Path) -> None:
    asked = [plan(), plan(first=date(2012, 12, 4)), plan(refit_every=6), plan(horizon=2), plan(network="rnn")]
    keys = [planned.run.key for planned in asked]
    assert len(set(keys)) == len(keys)
    assert keys[0] == plan().run.key


def test_days_on_which_nothing_was_traded_may_begin_and_end_it(home: Path) -> None:
    assert plan(date(2012, 12, 1), date(2012, 12, 16)).folds == (
        FoldPlan(number=1, first="2012-12-03", last="2012-12-07"),
        FoldPlan(number=2, first="2012-12-10", last="2012-12-14"),
    )


def call(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["backtest", *map(str, words)])


def test_the_command_prints_the_table_and_json(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "plan_backtest", lambda **_: done.planned)
    monkeypatch.setattr(jobs, "backtest_all", lambda *_, **__: done.outcome)
    shown = call("--from", FIRST, "--to", LAST)
    assert shown.exit_code == 0, shown.output
    assert "MLP" in shown.stdout
    assert f"{done.result['scores']['models']['mlp']['crps_bp']:.2f}" in shown.stdout
    printed = call("--from", FIRST, "--to", LAST, "--json")
    assert json.loads(printed.stdout)["scores"] == done.result["scores"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("--from", "June", "--to", "2012-12-19"), PipelineError),
        (("--from", "2012-12-03", "--to", "2012-12-19", "--out", "frame.xlsx"), BadFile),
        (("--from", "2012-12-03", "--to", "2012-12-19", "--out", "/nowhere/frame.csv"), BadFile),
    ],
)
def test_the_command_refuses_what_it_cannot_write_before_it_begins(
    home: Path, words: tuple[str, ...], kind: type[Exception]
) -> None:
    assert isinstance(call(*words).exception, kind)
    assert not home.exists()
