"""Scores against slow re-implementations, the gate over its cases, the record over its days."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import LEVELS
from pipeline.database.engine import open_database
from pipeline.judging import metrics, record
from pipeline.judging.gate import Contender, best_baseline, decide
from pipeline.judging.heldout import Heldout
from pipeline.learning.frame import forecast_frame
from pipeline.prices.sources.sample import SampleSource
from pipeline.sessions import Sessions

RANDOM = np.random.default_rng(3)
ACTUAL = RANDOM.normal(0, 0.02, (40, 2))
QUANTILES = np.sort(RANDOM.normal(0, 0.02, (40, 2, len(LEVELS))), axis=-1)


def test_crps_is_twice_the_mean_pinball_loss() -> None:
    slow = np.empty_like(ACTUAL)
    for n in range(40):
        for h in range(2):
            losses = []
            for q, level in zip(QUANTILES[n, h], LEVELS, strict=True):
                miss = ACTUAL[n, h] - q
                losses.append(level * miss if miss >= 0 else (level - 1) * miss)
            slow[n, h] = 2 * 1e4 * sum(losses) / len(losses)
    np.testing.assert_allclose(metrics.crps_bp(QUANTILES, ACTUAL, LEVELS), slow)


def test_the_table_holds_every_score_by_step_and_symbol() -> None:
    symbols = np.array(["A", "B"] * 20)
    table = metrics.score_table({"one": QUANTILES}, ACTUAL, symbols, LEVELS)["one"]
    inside = [QUANTILES[n, 0, 0] <= ACTUAL[n, 0] <= QUANTILES[n, 0, -1] for n in range(40)]
    assert table["by_step"][0]["coverage_90"] == pytest.approx(np.mean(inside))
    assert table["crps_bp"] == pytest.approx(np.mean([row["crps_bp"] for row in table["by_step"]]))
    assert table["crps_bp"] == pytest.approx(np.mean([row["crps_bp"] for row in table["by_symbol"].values()]))
    median = QUANTILES[..., LEVELS.index(0.5)]
    assert table["mae_over_random_walk"] == pytest.approx(np.abs(ACTUAL - median).mean() / np.abs(ACTUAL).mean())


def contender(crps: float, model: str = "lstm", version: str = "2") -> Contender:
    return Contender(model=model, version=version, crps_bp=crps)


BASELINE = contender(100.0, "ewma_historical", "abc")


@pytest.mark.parametrize(
    ("challenger", "champion", "published", "promoted"),
    [
        (99.0, None, "2", True),
        (101.0, None, "abc", False),
        (100.0, None, "abc", False),  # equal is not better
        (98.0, 99.0, "2", True),
        (99.0, 98.0, "1", False),
        (98.0, 98.0, "1", False),
        (101.0, 102.0, "abc", False),  # better than the champion, not than the baseline
        (102.0, 99.0, "1", False),
        (None, 99.0, "1", False),
        (None, 101.0, "abc", False),
        (None, None, "abc", False),
    ],
)
def test_the_gate(challenger: float | None, champion: float | None, published: str, promoted: bool) -> None:
    decision = decide(
        None if challenger is None else contender(challenger),
        None if champion is None else contender(champion, "rnn", "1"),
        BASELINE,
        not_trained="too little history" if challenger is None else None,
    )
    assert (decision.model_version, decision.promoted) == (published, promoted)
    assert ("is published" in decision.reason) == (published != "2")
    assert decision.model == {"2": "lstm", "1": "rnn", "abc": "ewma_historical"}[published]


def test_of_equal_baselines_the_choice_does_not_depend_on_their_order() -> None:
    scores = {"b": {"crps_bp": 1.0}, "a": {"crps_bp": 1.0}, "lstm": {"crps_bp": 0.1}}
    assert best_baseline(scores, ("b", "a")) == "a"


def test_held_out_windows_are_read_back_and_cut_by_session(tmp_path: Path) -> None:
    days = np.array(["2020-01-02", "2020-01-03"] * 20, dtype="datetime64[D]")
    heldout = Heldout(symbols_N=np.array(["A"] * 40), origins_N=days, actual_NH=ACTUAL, quantiles={"m": QUANTILES})
    heldout.save(tmp_path / "h.npz")
    again = Heldout.load(tmp_path / "h.npz")
    assert again.scores(LEVELS) == heldout.scores(LEVELS)
    later = again.since(pd.Timestamp("2020-01-03"))
    assert later.scores(LEVELS)["sessions"] == 1
    assert later.scores(LEVELS)["windows"] == 20


def published(model: str, version: str, width: float, as_of: date = date(2013, 2, 1)) -> pd.DataFrame:
    quantiles = np.array(LEVELS)[None, None, :].repeat(3, axis=1) * width - width / 2
    close = SampleSource().bars(("IBM",), as_of)["close"].iloc[-1]
    targets = [Sessions("XNYS").following(as_of, quantiles.shape[1])]
    return forecast_frame(
        ["IBM"], np.array([close]), quantiles, as_of=as_of, levels=LEVELS, targets=targets, model=model,
        model_version=version,
    )  # fmt: skip


def test_the_record_scores_each_forecast_once_when_its_session_has_come(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    one, beside = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    assert record.keep(engine, one, beside, "run") == 6
    bars = SampleSource().bars(("IBM",), date(2013, 2, 5))
    assert record.score_due(engine, bars, date(2013, 2, 1)) == 0
    assert record.score_due(engine, bars, date(2013, 2, 5)) == 4  # two steps of both
    assert record.score_due(engine, bars, date(2013, 2, 5)) == 0
    rows = record.live_record(engine, ("IBM",), date(2013, 2, 5))
    assert rows["step"].tolist() == [1, 2]
    closes = bars.set_index("session")["close"]
    actual = np.log(closes[pd.Timestamp("2013-02-04")] / closes[pd.Timestamp("2013-02-01")])
    returns = np.log(one[[f"q{level:g}" for level in LEVELS]].to_numpy()[None, :1] / closes.iloc[-3])
    expected = metrics.crps_bp(returns, np.array([[actual]]), LEVELS)
    assert rows["crps_bp"].iloc[0] == pytest.approx(expected[0, 0])
    assert (rows["baseline_crps_bp"] > rows["crps_bp"]).all()  # the baseline's range is twice as wide


def test_what_was_scored_is_not_rewritten(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    record.keep(engine, published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4), "run")
    bars = SampleSource().bars(("IBM",), date(2013, 2, 4))
    record.score_due(engine, bars, date(2013, 2, 4))
    before = record.live_record(engine, ("IBM",), date(2013, 2, 4))
    assert record.keep(engine, published("lstm", "1", 9.9), published("ewma_historical", "abc", 0.4), "later") == 4
    pd.testing.assert_frame_equal(record.live_record(engine, ("IBM",), date(2013, 2, 4)), before)


def test_a_published_baseline_is_its_own_baseline(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    frame = published("ewma_historical", "abc", 0.4)
    assert record.keep(engine, frame, frame, "run") == 3
    record.score_due(engine, SampleSource().bars(("IBM",), date(2013, 2, 4)), date(2013, 2, 4))
    rows = record.live_record(engine, ("IBM",), date(2013, 2, 4))
    assert rows["crps_bp"].tolist() == rows["baseline_crps_bp"].tolist()
