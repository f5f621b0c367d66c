"""The whole DAG on the sample's real prices, run by Airflow itself with a small network."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from airflow.models import dagrun
from airflow.models.asset import AssetEvent, AssetModel
from airflow.utils.session import create_session
from sqlalchemy import select

from pipeline.errors import StoreError
from pipeline.tracking.markdown import escape
from tests.dags.running import Outcome, Start, runner

STEPS = ["audit_and_snapshot", "score", "train", "compare", "upload", "judge", "forecast", "publish"]
LAST_OF_SAMPLE = "2013-03-01"


@pytest.fixture(scope="module")
def start(read_dags, airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Run the DAG to its end in a new home."""
    with runner(read_dags, tmp_path_factory, "daily_forecast") as run:
        yield run


def published(home: Path) -> pd.DataFrame:
    (path,) = (home / "published").rglob("forecasts.parquet")
    return pd.read_parquet(path)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons of the tasks that end early."""
    import _endings

    words: list[str] = []
    leave = _endings.leave_reason
    monkeypatch.setattr(_endings, "leave_reason", lambda reason: words.append(reason) or leave(reason))
    return words


@pytest.fixture(scope="module")
def as_it_comes(start: Start) -> Outcome:
    """A manual run with an empty form."""
    return start()


def test_every_task_succeeds_at_the_first_try(as_it_comes: Outcome):
    assert as_it_comes.state == "success"
    assert as_it_comes.tasks == {
        "plan": Counter(success=1),
        "ingest": Counter(success=3),  # five symbols in batches of two
        "ingest_events": Counter(success=1),
        "baseline": Counter(success=3),
        **{name: Counter(success=1) for name in STEPS},
    }
    assert set(as_it_comes.tries.values()) == {1}


def test_the_last_session_of_the_source_is_forecast_for_all_its_symbols(as_it_comes: Outcome):
    frame = published(as_it_comes.home)

    assert set(frame["symbol"]) == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
    assert set(frame["as_of"].astype(str)) == {LAST_OF_SAMPLE}
    assert set(frame["step"]) == {1, 2, 3, 4, 5}


def test_what_it_leaves_can_be_traced_to_the_airflow_run(as_it_comes: Outcome):
    (folder,) = (as_it_comes.home / "runs").iterdir()

    assert folder.name.startswith("daily_forecast__manual-")
    assert as_it_comes.run_id in (folder / "run.json").read_text()


def test_its_assets_say_for_which_session_they_are(as_it_comes: Outcome):
    with create_session() as session:
        events = session.execute(
            select(AssetModel.name, AssetEvent.extra)
            .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
            .where(AssetEvent.source_run_id == as_it_comes.run_id)
        ).all()

    assert dict(map(tuple, events)) == {name: {"as_of": LAST_OF_SAMPLE} for name in ("prices", "model", "forecasts")}


def test_a_note_on_the_run_says_what_was_published_and_where(as_it_comes: Outcome):
    first, last = as_it_comes.note.splitlines()
    assert first.startswith("**Published.** 2013-03-01 XNYS: 5 symbols, 5 sessions ahead, by ")
    assert last.startswith("[Report](/plugin/forecasts/forecasts/sessions/2013-03-01) · [MLflow run](https://mlflow.")


def test_each_training_task_leads_to_the_mlflow_run(as_it_comes: Outcome):
    assert {task_id for task_id, _ in as_it_comes.links} == {"train", "compare", "upload", "judge", "publish"}
    (address,) = set(as_it_comes.links.values())
    assert re.fullmatch(r"https://mlflow\.example/#/experiments/\d+/runs/[0-9a-f]{32}", address)


@pytest.mark.slow
def test_one_symbol_and_an_earlier_session_by_a_run_without_a_logical_date(start: Start):
    asked = {"symbols": "IBM", "as_of": "2012-11-23", "network": "mlp", "horizon": 2}

    ended = start(logical_date=None, run_conf=asked)

    assert ended.state == "success"
    assert ended.tasks["ingest"] == Counter(success=1)
    frame = published(ended.home)
    assert set(frame["symbol"]) == {"IBM"}
    assert set(frame["as_of"].astype(str)) == {"2012-11-23"}
    assert list(frame["target_session"].astype(str)) == ["2012-11-26", "2012-11-27"]
    assert "(trial: 1 of 5 symbols, network mlp instead of lstm" in ended.note
    assert re.search(r"sessions/2012-11-23/0001-[0-9a-f]{8}-[0-9a-f]{8}\)", ended.note)
    assert not (ended.home / "published" / "latest.json").exists()


@pytest.mark.slow
def test_a_trial_becomes_the_standing_edition_where_the_form_asks_for_it(start: Start):
    ended = start(logical_date=None, run_conf={"symbols": "IBM", "network": "mlp", "make_latest": True})

    assert ended.state == "success"
    assert (ended.home / "published" / "as_of=2013-03-01" / "manifest.json").exists()
    assert "/sessions/2013-03-01)" in ended.note


def test_a_scheduled_run_after_the_last_session_of_the_source_is_skipped(start: Start, monkeypatch, said):
    make_run = dagrun.get_or_create_dagrun

    def make_scheduled_run(**arguments: object) -> dagrun.DagRun:
        run = make_run(**arguments)
        run.run_type = "scheduled"
        arguments["session"].commit()
        return run

    monkeypatch.setattr(dagrun, "get_or_create_dagrun", make_scheduled_run)

    ended = start(logical_date=datetime(2013, 3, 5, tzinfo=UTC))

    assert ended.state == "success"
    ones = {name: Counter(skipped=1) for name in ["plan", "ingest", "ingest_events", *STEPS]}
    assert ended.tasks == {**ones, "baseline": Counter(skipped=3)}
    assert len(said) == 1
    assert said[0].startswith("nothing to do for 2013-03-04")
    assert ended.note == f"**Skipped.** {escape(said[0])}"
    assert list(ended.home.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"symbols": "IBM, NOPE"}, ["BadSymbol", "NOPE"]),
        ({"as_of": "2013-03-04"}, ["BadSession", "2013-03-04 is after the end of the source `sample`"]),
        ({"symbols": "NOPE.A"}, ["BadSymbol", "NOPE.A"]),
        ({"simbols": "IBM"}, ["BadSetting", "no such parameter: simbols"]),
    ],
)
def test_a_mistake_fails_at_once_and_says_what_is_wrong(start: Start, said, asked, words):
    ended = start(run_conf=asked)

    assert ended.state == "failed"
    assert ended.tasks["plan"] == Counter(failed=1)
    assert ended.tries["plan"] == 1
    assert ended.tasks["train"] == Counter(upstream_failed=1)
    (sentence,) = said
    assert ended.note == f"**Stopped.** plan: {escape(sentence)}"
    assert "\n" not in sentence
    assert all(word in sentence for word in words)
    assert list(ended.home.iterdir()) == []


def test_an_error_that_nobody_expected_is_named_with_its_cause_in_the_note(start: Start, monkeypatch):
    from pipeline import jobs

    def fail(_run: object) -> None:
        raise KeyError("no such column: 'close'\nin <frame> *1*")

    monkeypatch.setattr(jobs, "score", fail)

    ended = start(run_conf={"symbols": "IBM", "training_steps": 1, "network": "mlp"})

    assert ended.state == "failed"
    assert ended.tries["score"] == 4
    assert ended.note.startswith("**Stopped.** score: KeyError: ")
    assert "\n" not in ended.note
    assert "&lt;frame&gt; \\*1\\*" in ended.note


@pytest.mark.slow
def test_what_may_pass_is_tried_again_and_the_run_goes_on(start: Start, monkeypatch):
    from pipeline import jobs
    from pipeline.jobs.results import ScoreResult
    from pipeline.jobs.run import Run

    score, failures = jobs.score, [StoreError("the database is locked")]

    def score_at_the_second_try(run: Run) -> ScoreResult:
        if failures:
            raise failures.pop()
        return score(run)

    monkeypatch.setattr(jobs, "score", score_at_the_second_try)

    ended = start(run_conf={"symbols": "IBM", "training_steps": 1, "network": "mlp"})

    assert ended.state == "success"
    assert ended.tries["score"] == 2
    assert ended.tries["publish"] == 1
