"""What is too good to be true is noticed; what is good, or lucky, or a rising year, is not."""

from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.leakage_alarms import alarms
from pipeline.evaluation.model_scores import ModelScores, StepScores
from pipeline.evaluation.significance import FEWEST_SESSIONS, Array
from pipeline.forecast_schema import LEVELS

SYMBOLS = 10


def heldout(sessions: int, *, leak: float = 0.0, drift: float = 0.0, median: float | None = None) -> Heldout:
    """Windows of random returns; a network that knows the share `leak` of each, and a baseline that knows nothing."""
    random = np.random.default_rng(1)
    shape = (sessions * SYMBOLS, 2)
    actual = random.normal(drift, 0.02, shape)
    guess = random.normal(0, 0.002, shape) if median is None else np.full(shape, median)
    spread = 0.02 * np.array([-1.64, -1.28, -0.67, 0, 0.67, 1.28, 1.64])
    assert len(spread) == len(LEVELS)
    days = np.repeat(np.arange(sessions).astype("datetime64[D]"), SYMBOLS)
    return Heldout(
        symbols_N=np.tile([f"S{s}" for s in range(SYMBOLS)], sessions),
        origins_N=days,
        actual_NH=actual,
        quantiles={
            "lstm": (leak * actual + guess)[..., None] + spread,
            "random_walk": np.zeros(shape)[..., None] + spread,
        },
    )


def suspects(**what: Any) -> dict[str, tuple[str, ...]]:
    return heldout(**what).scores(LEVELS).suspects


def test_a_network_that_has_seen_a_tenth_of_the_future_is_suspect() -> None:
    words = suspects(sessions=120, leak=0.1)
    assert set(words) == {"lstm"}
    said = " ".join(words["lstm"])
    assert "random walk's (below 0.97)" in said
    assert "above 56 %" in said


def test_one_that_knows_nothing_is_not() -> None:
    assert suspects(sessions=120) == {}


def test_a_handful_of_sessions_raises_no_alarm() -> None:
    assert suspects(sessions=FEWEST_SESSIONS - 1, leak=0.9) == {}
    assert suspects(sessions=FEWEST_SESSIONS, leak=0.9) != {}


def test_leaning_upwards_in_a_rising_year_is_no_leak() -> None:
    found = heldout(200, drift=0.006, median=0.0005).scores(LEVELS)
    assert (found.models["lstm"].direction or 0) > 0.58
    assert found.suspects == {}


ORDINARY = {
    "mae_over_random_walk": 1.0,
    "mae_over_random_walk_p": 0.4,
    "direction": 0.51,
    "direction_low": 0.5,
    "up": 0.52,
}


def scores(overall: dict[str, Any], first_step: dict[str, Any]) -> ModelScores:
    steps = (StepScores(crps_bp=1.0, step=step, **row) for step, row in enumerate((first_step, ORDINARY), start=1))
    return ModelScores(crps_bp=1.0, **overall, by_step=tuple(steps))


@pytest.mark.parametrize(
    ("changes", "alarmed"),
    [
        ({}, False),
        ({"mae_over_random_walk": 0.96, "mae_over_random_walk_p": 0.001}, True),
        ({"mae_over_random_walk": 0.96, "mae_over_random_walk_p": 0.02}, False),
        ({"mae_over_random_walk": 0.96, "mae_over_random_walk_p": None}, False),
        ({"mae_over_random_walk": 0.97, "mae_over_random_walk_p": 0.001}, False),
        ({"direction": 0.57, "direction_low": 0.55}, True),
        ({"direction": 0.57, "direction_low": 0.53}, False),
        ({"direction": 0.56, "direction_low": 0.555}, False),
        ({"direction": 0.57, "direction_low": None}, False),
        ({"direction": 0.58, "direction_low": 0.55, "up": 0.57}, False),
        ({"direction": 0.58, "direction_low": 0.55, "up": 0.43}, False),  # always down
    ],
)
@pytest.mark.parametrize("first_step", [False, True])
def test_the_thresholds(changes: dict[str, Any], alarmed: bool, first_step: bool) -> None:
    changed = ORDINARY | changes
    values = scores(ORDINARY if first_step else changed, changed if first_step else ORDINARY)
    assert bool(alarms(values, 60, fewest=20)) == alarmed
    assert alarms(values, 19, fewest=20) == []


def test_the_words_say_where() -> None:
    values = scores(ORDINARY, ORDINARY | {"direction": 0.6, "direction_low": 0.57})
    (words,) = alarms(values, 60, fewest=20)
    assert words == "its direction at step 1 is right in 60.0 % (above 56 %; always the same way: 52.0 %)"


def test_the_comparisons_stand_beside_the_scores() -> None:
    windows = heldout(40, leak=0.05)
    (row,) = windows.scores(LEVELS).models["lstm"].comparisons
    test = windows.better("lstm", "random_walk", LEVELS)
    assert test is not None
    assert (row.t, row.p, row.p_holm) == (test.t, test.p, test.p)
    assert (row.baseline, row.sessions) == ("random_walk", 40)
    assert test.t == pytest.approx(_slow_t(windows))


def _slow_t(windows: Heldout) -> float:
    days: dict[Any, list[float]] = {}
    for n, day in enumerate(windows.origins_N):
        gains: list[float] = []
        for name, sign in (("random_walk", 1), ("lstm", -1)):
            for h in range(2):
                quantiles: Array = windows.quantiles[name][n, h]
                for q, level in zip(quantiles, LEVELS, strict=True):
                    miss = windows.actual_NH[n, h] - q
                    gains.append(sign * 2e4 * max(level * miss, (level - 1) * miss) / len(LEVELS) / 2)
        days.setdefault(day, []).append(sum(gains))
    daily = [sum(gains) / len(gains) for gains in days.values()]
    mean = sum(daily) / 40
    cov = [sum((daily[i] - mean) * (daily[i - lag] - mean) for i in range(lag, 40)) / 40 for lag in range(3)]
    variance = cov[0] + 2 * (2 / 3 * cov[1] + 1 / 3 * cov[2])
    return float(mean / (variance / 40) ** 0.5 * ((40 + 1 - 4 + 2 / 40) / 40) ** 0.5)
