"""Scores against slow re-implementations, the gate over its cases, the record over its days."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import LEVELS
from pipeline.judging import metrics
from pipeline.judging.gate import Contender, best_baseline, decide
from pipeline.judging.heldout import Heldout

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
