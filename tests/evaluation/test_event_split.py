"""Scores of the next session, on sessions with a scheduled report and on the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.model_scores import Scores
from pipeline.evaluation.significance import diebold_mariano
from pipeline.forecast_schema import LEVELS
from pipeline.storage.documents import from_document, to_document

SESSIONS, SYMBOLS = 60, 3
RANDOM = np.random.default_rng(11)
DAYS_N = np.repeat(np.datetime64("2020-01-01") + np.arange(SESSIONS), SYMBOLS)
EVENT_N = np.tile([True, False, False], SESSIONS)
ACTUAL_NH = RANDOM.normal(0, 0.02, (len(DAYS_N), 2)) * np.where(EVENT_N, 3.0, 1.0)[:, None]


def quantiles(scale: float) -> np.ndarray:
    """Ranges around zero, wider on event sessions by `scale`; the second step's are twice as wide."""
    width_N = 0.02 * np.where(EVENT_N, scale, 1.0)
    first = width_N[:, None] * np.array([-1.64, -1.28, -0.67, 0.0, 0.67, 1.28, 1.64])
    return np.stack([first, 2 * first], axis=1)


HELDOUT = Heldout(
    symbols_N=np.tile(["A", "B", "C"], SESSIONS),
    origins_N=DAYS_N,
    actual_NH=ACTUAL_NH,
    quantiles={"random_walk": quantiles(1.0), "lstm": quantiles(3.0), "ewma_historical": quantiles(0.5)},
    event_N=EVENT_N,
)


def by_hand(model: str, baseline: str, events: bool) -> dict[str, float]:
    """The same numbers, one window after the other."""
    losses: dict[str, list[float]] = {model: [], baseline: []}
    days, inside, widths = [], [], []
    for n in range(len(DAYS_N)):
        if EVENT_N[n] != events:
            continue
        came = ACTUAL_NH[n, 0]
        for name, found in losses.items():
            errors = [came - value for value in HELDOUT.quantiles[name][n, 0]]
            pinball = [max(level * e, (level - 1) * e) for level, e in zip(LEVELS, errors, strict=True)]
            found.append(2e4 * sum(pinball) / len(LEVELS))
        low, high = HELDOUT.quantiles[model][n, 0, 0], HELDOUT.quantiles[model][n, 0, -1]
        days.append(DAYS_N[n])
        inside.append(low <= came <= high)
        widths.append(1e4 * (high - low))
    frame = pd.DataFrame(losses).groupby(np.array(days)).mean()
    test = diebold_mariano(frame[model].to_numpy(), frame[baseline].to_numpy(), 1)
    assert test is not None
    means = {name: float(np.mean(values)) for name, values in losses.items()}
    return {
        "windows": len(days),
        "sessions": len(frame),
        "crps_bp": means[model],
        "coverage_90": float(np.mean(inside)),
        "range_90_bp": float(np.median(widths)),
        "skill_percent": 100 * (1 - means[model] / means[baseline]),
        "t": test.t,
    }


def test_each_part_has_the_scores_of_its_own_windows_and_of_the_first_step_alone() -> None:
    split = HELDOUT.scores(LEVELS).models["ewma_historical"].events
    assert split is not None
    assert split.on is not None
    assert split.on.baseline == "random_walk"
    expected = by_hand("ewma_historical", "random_walk", events=True)
    found = {name: getattr(split.on, name) for name in expected if name != "coverage_90"}
    assert {**found, "coverage_90": split.on.coverage[90]} == pytest.approx(expected)


def test_forecasts_that_differ_on_event_sessions_alone_are_equal_on_the_others() -> None:
    split = HELDOUT.scores(LEVELS).models["ewma_historical"].events
    assert split is not None
    assert split.off is not None
    assert split.off.skill_percent == pytest.approx(0)
    assert split.off.t is None
    assert (split.off.windows, split.off.sessions) == (2 * SESSIONS, SESSIONS)


def test_a_range_that_ignores_reports_covers_too_little_on_their_sessions_alone() -> None:
    models = HELDOUT.scores(LEVELS).models
    plain, aware = models["random_walk"].events, models["lstm"].events
    assert plain is not None
    assert aware is not None
    assert plain.on is not None
    assert aware.on is not None
    assert plain.off is not None
    assert plain.on.coverage[90] < 0.6 < 0.8 < min(plain.off.coverage[90], aware.on.coverage[90])
    assert aware.on.range_90_bp == pytest.approx(3 * plain.on.range_90_bp)
    assert aware.on.skill_percent is not None
    assert aware.on.skill_percent > 5
    assert plain.on.baseline is None  # the best baseline itself


def test_without_a_calendar_there_is_no_split_and_documents_are_as_they_were() -> None:
    scores = replace(HELDOUT, event_N=None).scores(LEVELS)
    assert all(model.events is None for model in scores.models.values())
    assert all("events" not in row for row in to_document(scores)["models"].values())  # type: ignore[union-attr]


def test_sessions_without_any_event_leave_the_part_of_events_empty() -> None:
    split = replace(HELDOUT, event_N=np.zeros(len(DAYS_N), bool)).scores(LEVELS).models["lstm"].events
    assert split is not None
    assert split.on is None
    assert list(split.parts) == ["other"]


def test_scores_with_a_split_are_read_back_from_their_document() -> None:
    scores = HELDOUT.scores(LEVELS)
    document = to_document(scores)
    assert from_document(Scores, document, where="scores.json", remedy="run `train` again") == scores
    on = document["models"]["lstm"]["events"]["on"]  # type: ignore[index,call-overload]
    assert set(on) >= {"windows", "coverage_50", "coverage_80", "coverage_90", "crps_bp", "range_90_bp", "t"}


def test_events_are_saved_with_the_windows_and_unknown_in_files_of_before(tmp_path: Path) -> None:
    HELDOUT.save(tmp_path / "now.npz")
    assert Heldout.load(tmp_path / "now.npz").scores(LEVELS) == HELDOUT.scores(LEVELS)
    replace(HELDOUT, event_N=None).save(tmp_path / "before.npz")
    before = Heldout.load(tmp_path / "before.npz")
    assert before.event_N is None
    assert before.same_windows(HELDOUT)
    assert not replace(HELDOUT, event_N=~EVENT_N).same_windows(HELDOUT)


def test_later_windows_keep_their_events() -> None:
    later = HELDOUT.since(pd.Timestamp("2020-02-20"))
    assert later.event_N is not None
    assert later.event_N.tolist() == EVENT_N[-len(later.event_N) :].tolist()
    assert len(later.event_N) == len(later.actual_NH) < SESSIONS * SYMBOLS
