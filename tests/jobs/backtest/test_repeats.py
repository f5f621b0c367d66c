"""Killed, repeated, elsewhere: the same bytes, and nothing trained twice."""

import json

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.errors import CorruptFile, MissingStep
from pipeline.jobs.backtest import folds
from pipeline.jobs.run import Run
from pipeline.storage.documents import to_document
from tests.jobs.backtest.walked import NOW, Done, folder_of, part, poison


def test_done_again_elsewhere_it_gives_the_same_bytes(done: Done, again: Run) -> None:
    for fold in done.planned.folds:
        folds.make(again, fold, None)
    for fold in done.planned.folds:
        assert part(folder_of(again), fold) == part(done.folder, fold)


def test_a_fold_that_was_killed_half_way_does_not_count_as_done_and_gives_the_same_bytes(
    done: Done, again: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, save = done.planned.folds[0], Run.save
    monkeypatch.setattr(Run, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        folds.make(again, fold, None)
    assert folds.reusable(again, fold) is None
    monkeypatch.setattr(Run, "save", save)
    made = folds.make(again, fold, None)
    assert part(folder_of(again), fold) == part(done.folder, fold)
    assert to_document(folds.reusable(again, fold)) == json.loads(json.dumps(to_document(made)))


def test_a_fold_from_other_prices_or_with_a_changed_byte_does_not_count_as_done(done: Done, again: Run) -> None:
    fold = done.planned.folds[0]
    folds.make(again, fold, None)
    assert folds.reusable(again, fold) is not None
    path = folder_of(again) / "folds" / fold.first / "part.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert folds.reusable(again, fold) is None
    with pytest.raises(CorruptFile, match="run the backtest"):
        folds.part_of(again, fold)
    folds.make(again, fold, None)
    poison(again, done.bars, pd.Timestamp("2012-12-19"))
    assert folds.reusable(again, fold) is None


def test_every_step_twice_equals_once_and_trains_once(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(done.home))
    monkeypatch.setattr("pipeline.modeling.training.train_model.fit", lambda *_: pytest.fail("trained again"))
    before = {path: path.read_bytes() for path in done.folder.rglob("*") if path.is_file() and path.suffix != ".json"}
    result = to_document(jobs.backtest_all(done.planned, known_at=NOW))
    assert result["scores"] == done.result["scores"]
    assert result["mlflow_run_id"] == done.result["mlflow_run_id"]
    assert {path: path.read_bytes() for path in before} == before


def test_without_a_fold_there_is_no_summary(done: Done, again: Run) -> None:
    with pytest.raises(MissingStep, match="run `backtest`"):
        jobs.backtest_summary(again, done.planned.folds)
