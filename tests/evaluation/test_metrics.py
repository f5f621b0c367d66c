"""Scores against slow re-implementations, and against numbers of other libraries."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr
from sklearn.metrics import mean_pinball_loss

from pipeline.evaluation import metrics
from pipeline.evaluation.model_scores import ModelScores, ScoreRow
from pipeline.evaluation.rank_ic import RankScores, rank_correlations, rank_scores, ranks
from pipeline.forecast_schema import LEVELS

RANDOM = np.random.default_rng(3)
ACTUAL = RANDOM.normal(0, 0.02, (40, 2))
QUANTILES = np.sort(RANDOM.normal(0, 0.02, (40, 2, len(LEVELS))), axis=-1)
SYMBOLS = np.array(["A", "B", "C", "D"] * 10)
DAYS = np.repeat(np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]"), 4)
MEDIAN = QUANTILES[..., LEVELS.index(0.5)]


def table(quantiles: Any = QUANTILES, actual: Any = ACTUAL) -> ModelScores:
    return metrics.score_table({"one": quantiles}, actual, SYMBOLS, LEVELS, origins_N=DAYS)["one"]


def parts_of(scores: ModelScores) -> list[tuple[ScoreRow, np.ndarray, slice]]:
    """Each set of scores with the windows and steps that it is of."""
    steps = [(row, np.ones(40, bool), slice(h, h + 1)) for h, row in enumerate(scores.by_step)]
    symbols = [(row, name == SYMBOLS, slice(None)) for name, row in scores.by_symbol.items()]
    return [(scores, np.ones(40, bool), slice(None)), *steps, *symbols]


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


# Made with scoringrules 0.10.0: `1e4 * crps_quantile(actual, quantiles, levels)`, and the mean of
# `1e4 * quantile_score(actual, quantiles[..., i], level)` for each level.
OUTCOMES = np.array([[0.0007, 0.0272], [0.0245, -0.0102], [-0.006, -0.0105]])
FORECASTS = np.array([
    [[-0.0369, -0.0019, -0.0011, 0.0114, 0.0136, 0.0149, 0.0313],
     [-0.0076, -0.0041, -0.0031, -0.0027, 0.0093, 0.0137, 0.0165]],
    [[-0.0384, -0.0303, -0.0174, -0.0163, -0.0134, -0.0094, 0.0079],
     [-0.0298, -0.0239, -0.0149, -0.0047, 0.0007, 0.0077, 0.0179]],
    [[-0.0163, -0.006, -0.0041, 0.007, 0.0109, 0.0143, 0.0209],
     [-0.0347, -0.0257, -0.0168, -0.0132, 0.0025, 0.005, 0.022]],
])  # fmt: skip
CRPS = [[40.328571, 180.385714], [326.3, 34.842857], [45.828571, 34.514286]]
PINBALL = [15.783333, 19.6, 37.791667, 85.5, 92.125, 82.416667, 53.066667]


def test_crps_and_pinball_loss_are_those_of_another_library() -> None:
    np.testing.assert_allclose(metrics.crps_bp(FORECASTS, OUTCOMES, LEVELS), CRPS, rtol=1e-6)
    for q, level in enumerate(LEVELS):
        assert metrics.pinball_bp(FORECASTS[..., q], OUTCOMES, level).mean() == pytest.approx(PINBALL[q])


def test_with_many_levels_it_is_the_crps_of_the_distribution() -> None:
    levels = tuple((np.arange(2000) + 0.5) / 2000)
    quantiles = np.broadcast_to(norm.ppf(levels, scale=0.02), (3, 1, 2000))
    found = metrics.crps_bp(quantiles, np.array([[0.0], [0.01], [-0.05]]), levels)
    # properscoring 0.1: 1e4 * crps_gaussian(outcome, 0, 0.02)
    np.testing.assert_allclose(found[:, 0], [46.739, 66.2807, 387.9637], rtol=1e-4)


def test_every_score_of_every_part_is_that_of_a_slow_count() -> None:
    for row, of, steps in parts_of(table()):
        came, median = ACTUAL[of][:, steps], MEDIAN[of][:, steps]
        pairs = list(zip(came.ravel(), median.ravel(), strict=True))
        quantiles = QUANTILES[of][:, steps].reshape(-1, len(LEVELS))
        error = sum(abs(y - m) for y, m in pairs) / len(pairs)
        assert row.mae_bp == pytest.approx(1e4 * error)
        assert row.mae_over_random_walk == pytest.approx(error / np.mean([abs(y) for y, _ in pairs]))
        assert row.direction == pytest.approx(np.mean([(y > 0) == (m > 0) for y, m in pairs]))
        assert row.up == pytest.approx(np.mean([y > 0 for y, _ in pairs]))
        for share, low, high in ((50, 2, 4), (80, 1, 5), (90, 0, 6)):
            held = [q[low] <= y <= q[high] for q, (y, _) in zip(quantiles, pairs, strict=True)]
            assert row.coverage[share] == pytest.approx(np.mean(held))
        losses = []
        for q, level in enumerate(LEVELS):
            losses.append(1e4 * mean_pinball_loss(came.ravel(), quantiles[:, q], alpha=level))
            assert row.pinball_bp[level] == pytest.approx(losses[-1])
        assert row.crps_bp == pytest.approx(2 * np.mean(losses))


def test_a_price_that_does_not_move_has_no_direction() -> None:
    scores = table(actual=np.zeros_like(ACTUAL))
    assert (scores.direction, scores.direction_low, scores.mae_over_random_walk) == (0.5, None, 1.0)
    assert scores.rank_ic is None
    assert scores.rank_ic_sessions == 0


def test_rank_ic_is_spearman_across_symbols_session_by_session() -> None:
    rounded = np.round(MEDIAN, 2)  # with ties
    by_session = []
    for day in np.unique(DAYS):
        at = day == DAYS
        each = [spearmanr(rounded[at, h], ACTUAL[at, h]).statistic for h in range(2)]
        by_session.append(each)
    day_N = np.unique(DAYS, return_inverse=True)[1]
    found = rank_correlations(ranks(rounded, day_N), ranks(ACTUAL, day_N), day_N)
    np.testing.assert_allclose(found, by_session)
    scores = table()
    whole = pd.DataFrame({"day": DAYS, "m": MEDIAN[:, 0], "y": ACTUAL[:, 0]})
    slow = whole.groupby("day")[["m", "y"]].apply(lambda rows: rows["m"].corr(rows["y"], method="spearman"))
    assert scores.by_step[0].rank_ic == pytest.approx(slow.mean())
    assert scores.rank_ic == pytest.approx(np.mean([row.rank_ic for row in scores.by_step]))
    assert scores.rank_ic_t is None  # ten sessions are too few for one


def test_two_symbols_have_no_rank_ic_and_the_order_of_windows_does_not_matter() -> None:
    day_N = np.repeat([0, 1], [2, 4])
    values = RANDOM.normal(size=(6, 1))
    correlations = rank_correlations(ranks(values, day_N), ranks(values, day_N), day_N)
    assert np.isnan(correlations[0, 0])
    assert correlations[1, 0] == pytest.approx(1)
    assert rank_scores(correlations, 1) == RankScores(rank_ic=pytest.approx(1), rank_ic_t=None, rank_ic_sessions=1)
    shuffled = RANDOM.permutation(40)
    moved = metrics.score_table(
        {"one": QUANTILES[shuffled]}, ACTUAL[shuffled], SYMBOLS[shuffled], LEVELS, origins_N=DAYS[shuffled]
    )["one"]
    assert moved.rank_ic == pytest.approx(table().rank_ic)
    assert moved.direction_low == pytest.approx(table().direction_low)


def test_errors_of_the_median_are_relative_to_those_of_the_random_walk() -> None:
    walk = QUANTILES + 0.004
    scores = metrics.score_table({"one": QUANTILES, "random_walk": walk}, ACTUAL, SYMBOLS, LEVELS, origins_N=DAYS)
    for (row, *_), (baseline, *_) in zip(parts_of(scores["one"]), parts_of(scores["random_walk"]), strict=True):
        assert baseline.mae_over_random_walk == 1.0
        assert row.mae_over_random_walk == pytest.approx(row.mae_bp / baseline.mae_bp)
