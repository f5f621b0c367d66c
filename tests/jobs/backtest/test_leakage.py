"""Each fold forecasts from what lay before it, and each origin inside one, whatever comes later."""

from datetime import date

import pandas as pd

from pipeline.forecast_schema import BASELINES
from pipeline.jobs.backtest import folds
from pipeline.jobs.run import Run
from tests.jobs.backtest.walked import COLUMNS, PRICES, Done, folder_of, part, poison, weights


def test_nothing_after_a_fold_moves_a_byte_of_it_or_of_those_before(done: Done, again: Run) -> None:
    one, two, three = done.planned.folds
    poison(again, done.bars, pd.Timestamp(three.first))
    for fold in (one, two, three):
        folds.make(again, fold, None)
    assert part(folder_of(again), one) == part(done.folder, one)
    assert part(folder_of(again), two) == part(done.folder, two)
    assert part(folder_of(again), three) != part(done.folder, three)


def test_a_model_has_seen_nothing_of_its_own_fold_and_an_origin_nothing_after_itself(done: Done, again: Run) -> None:
    fold = done.planned.folds[1]
    poison(again, done.bars, pd.Timestamp("2012-12-12"))  # the fold's first sessions are 10 and 11 December
    folds.make(again, fold, None)
    assert weights(folder_of(again), fold) == weights(done.folder, fold)
    before, after = (
        pd.read_parquet(folder / "folds" / fold.first / "part.parquet") for folder in (done.folder, folder_of(again))
    )
    early = before["as_of"] < date(2012, 12, 12)
    assert early.sum() == 2 * 2 * 3 * (1 + len(BASELINES))
    pd.testing.assert_frame_equal(
        before.loc[early, COLUMNS[:6] + PRICES], after.loc[early, COLUMNS[:6] + PRICES], check_exact=True
    )
    assert not before.loc[~early, PRICES].equals(after.loc[~early, PRICES])
