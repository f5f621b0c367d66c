"""What makes a run a trial, the words for it, and which trials share a track record."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Overrides, Settings
from pipeline.jobs.planning import plan_run
from pipeline.jobs.run import Run
from pipeline.jobs.trials import series_of
from pipeline.storage.documents import from_document, to_document

INPUTS = Settings.model_fields["inputs"].default
NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
PRICES = "symbol,date,open,high,low,close,volume\nAAPL,2013-02-27,1,1,1,1,1\nAAPL,2013-02-28,1,1,1,1,1\n"


def planned(**overrides: Any) -> Run:
    make_latest = overrides.pop("make_latest", False)
    return plan_run(
        key="k", now=NOW, as_of=date(2013, 2, 28), interval_end=None, manual=True,
        overrides=Overrides(overrides), provenance={}, make_latest=make_latest,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _prices(home: Path) -> None:
    for name in ("one.csv", "other.csv"):
        (home.parent / name).write_text(PRICES)


@pytest.mark.parametrize(
    ("standing", "asked", "words"),
    [
        ({}, {}, ()),
        ({}, {"symbols": "MSFT,AAPL,FB,GOOG,IBM"}, ()),  # all of them, in another order
        ({}, {"network": "lstm", "source": "sample"}, ()),  # asked for what is set
        ({"symbols": "IBM,AAPL"}, {"symbols": "aapl ibm"}, ()),
        ({}, {"symbols": "AAPL"}, ("1 of 5 symbols",)),
        ({"symbols": "AAPL"}, {"symbols": "AAPL,IBM"}, ("other symbols: with IBM",)),
        ({"symbols": "AAPL,FB"}, {"symbols": "AAPL,IBM"}, ("other symbols: with IBM, without FB",)),
        ({}, {"training_steps": 1}, ("1 training step",)),
        ({}, {"horizon": 3}, ("3 sessions ahead instead of 5",)),
        ({}, {"events": "none"}, ("events from none instead of the price source",)),
        ({}, {"network": "mlp"}, ("network mlp instead of lstm",)),
        ({}, {"retrain_every": 5}, ("retrain every 5 instead of 1",)),
        ({}, {"inputs": "return"}, (f"1 input (return) instead of {len(INPUTS)}",)),
        ({}, {"source": "yahoo", "symbols": "AAPL,MSFT"}, ("source yahoo instead of sample",)),
        ({"source": "yahoo"}, {"symbols": "AAPL,MSFT"}, ("2 symbols where none is set",)),
        ({"source": "yahoo", "symbols": "AAPL"}, {}, ()),
        (
            {"source": "files", "files": "one.csv"},
            {"files": "other.csv"},
            ("the file {}/other.csv instead of {}/one.csv",),
        ),
        ({"files": "one.csv"}, {"source": "files"}, ("source files instead of sample",)),
        (
            {},
            {"symbols": "AAPL,IBM", "training_steps": 2, "seed": 8},
            ("2 of 5 symbols", "2 training steps", "seed 8 instead of 7"),
        ),
        ({"ingest_batch": "2"}, {"ingest_batch": 1, "threads": 2}, ()),  # how the work is done is no trial
    ],
)
def test_a_run_is_a_trial_where_it_differs_from_the_standing_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch, standing: dict[str, str], asked: dict[str, Any], words: tuple[str, ...]
) -> None:
    for name, value in standing.items():
        monkeypatch.setenv(f"PIPELINE_{name.upper()}", value)
    expected = tuple(text.replace("{}", str(home.parent)) for text in words)
    run = planned(**asked)
    assert run.trial == expected
    assert run.standing == (not words)
    assert bool(series_of(run)) == bool(words)


def test_a_trial_that_is_asked_for_as_latest_stands(home: Path) -> None:
    run = planned(symbols="AAPL", make_latest=True)
    assert run.trial == ("1 of 5 symbols",)
    assert run.standing
    assert series_of(run) == ""


def test_two_trials_share_a_track_record_only_if_they_are_the_same(home: Path) -> None:
    one, same, other = planned(symbols="AAPL"), planned(symbols="aapl"), planned(symbols="IBM")
    assert series_of(one) == series_of(same)
    assert len({series_of(one), series_of(other), series_of(planned(symbols="AAPL", training_steps=1)), ""}) == 4


def read(document: dict[str, Any]) -> Run:
    return from_document(Run, document, where="the XCom", remedy="plan again")


def test_a_run_goes_through_json_and_one_from_before_is_no_trial(home: Path) -> None:
    run = planned(symbols="AAPL", make_latest=True)
    assert read(to_document(run)) == run
    old = {name: value for name, value in to_document(run).items() if name not in ("trial", "make_latest")}
    assert read(old).standing
