"""What was held out: kept, read back, cut by session, scored."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation.holdout import Heldout
from pipeline.forecast_schema import LEVELS
from pipeline.storage.documents import to_document

RANDOM = np.random.default_rng(3)
DAYS = np.array(["2020-01-02", "2020-01-03"] * 20, dtype="datetime64[D]")
HELDOUT = Heldout(
    symbols_N=np.array(["A"] * 40),
    origins_N=DAYS,
    actual_NH=RANDOM.normal(0, 0.02, (40, 2)),
    quantiles={"m": np.sort(RANDOM.normal(0, 0.02, (40, 2, len(LEVELS))), axis=-1)},
)


def test_held_out_windows_are_read_back_and_cut_by_session(tmp_path: Path) -> None:
    HELDOUT.save(tmp_path / "h.npz")
    again = Heldout.load(tmp_path / "h.npz")
    assert again.scores(LEVELS) == HELDOUT.scores(LEVELS)
    later = again.since(pd.Timestamp("2020-01-03"))
    assert later.scores(LEVELS).sessions == 1
    assert later.scores(LEVELS).windows == 20


def test_without_windows_there_is_nothing_to_score_and_the_shape_is_the_same() -> None:
    nothing = HELDOUT.since(pd.Timestamp("2021-01-01")).scores(LEVELS)
    assert nothing.models == {}
    assert set(to_document(nothing)) == set(to_document(HELDOUT.scores(LEVELS)))


def test_scores_are_plain_json_however_little_there_is() -> None:
    json.dumps(to_document(HELDOUT.scores(LEVELS)), allow_nan=False)
