"""Scores as documents: flat rows, with the champion among the models, whatever version wrote them."""

import json
from datetime import date
from typing import Any

import pytest

from pipeline.errors import CorruptFile
from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Comparison, ModelScores, QuantileShare, ScoreRow, Scores, StepScores
from pipeline.storage.documents import dump, from_document

STEP = {"crps_bp": 81.0, "coverage_50": 0.5, "coverage_90": 0.9, "pinball_0.05_bp": 12.5, "rank_ic": None}
DOCUMENT: dict[str, Any] = {
    "first": "2012-03-01",
    "last": "2013-02-22",
    "sessions": 252,
    "windows": 1260,
    "models": {
        "lstm": {
            "crps_bp": 82.0,
            "below": [{"level": 0.05, "share": 0.06}],
            "by_step": [{"step": 1, **STEP}],
            "by_symbol": {"AAPL": {"crps_bp": 83.0, "coverage_90": 0.88}},
        },
        "champion": {"crps_bp": 80.0, "coverage_90": 0.84},
        "garch": {"crps_bp": 84.0},
    },
    "comparisons": [{"model": "champion", "baseline": "garch", "skill_percent": 4.8, "sessions": 252}],
    "suspect": {"lstm": ["its MAE is too low"]},
}
SCORES = Scores(
    first=date(2012, 3, 1),
    last=date(2013, 2, 22),
    sessions=252,
    windows=1260,
    models={
        "lstm": ModelScores(
            crps_bp=82.0,
            below=(QuantileShare(level=0.05, share=0.06),),
            by_step=(StepScores(step=1, crps_bp=81.0, coverage={50: 0.5, 90: 0.9}, pinball_bp={0.05: 12.5}),),
            by_symbol={"AAPL": ScoreRow(crps_bp=83.0, coverage={90: 0.88})},
            alarms=("its MAE is too low",),
        ),
        "garch": ModelScores(crps_bp=84.0),
    },
    champion=ModelScores(
        crps_bp=80.0,
        coverage={90: 0.84},
        comparisons=(Comparison(baseline="garch", skill_percent=4.8, sessions=252),),
    ),
)


def read(document: dict[str, Any]) -> Scores:
    return from_document(Scores, document, where="scores.json", remedy="run `judge` again")


def test_a_document_is_read_by_role_and_written_as_it_was() -> None:
    assert read(DOCUMENT) == SCORES
    written = json.loads(dump(SCORES))
    assert read(written) == SCORES
    assert set(written) == set(DOCUMENT)
    assert list(written["models"]) == ["champion", "garch", "lstm"]
    assert written["models"]["lstm"]["by_step"][0].items() >= {"step": 1, **STEP}.items()
    assert written["comparisons"][0].items() >= DOCUMENT["comparisons"][0].items()
    assert written["suspect"] == DOCUMENT["suspect"]


def test_scores_of_a_version_without_comparisons_and_alarms_are_read() -> None:
    older = {name: DOCUMENT[name] for name in ("first", "last", "sessions", "models")}
    scores = read(older)
    assert scores.windows == 0
    assert scores.suspects == {}
    assert scores.champion == ModelScores(crps_bp=80.0, coverage={90: 0.84})


def test_a_document_that_does_not_fit_is_refused_in_one_line() -> None:
    wrong = {**DOCUMENT, "models": {"garch": {"crps_bp": "none"}}}
    with pytest.raises(
        CorruptFile, match=r"^scores\.json does not fit this version: models\.garch\.crps_bp: .*`judge`"
    ):
        read(wrong)


@pytest.mark.parametrize(
    ("decision", "label"),
    [
        ({"model": "lstm", "promoted": True}, "lstm"),
        ({"model": "lstm"}, "champion"),  # not the network trained today, though both are an LSTM
        ({"model": "garch"}, "garch"),
    ],
)
def test_the_published_model_has_its_own_scores(decision: dict[str, Any], label: str) -> None:
    assert Decision(**decision).published_in(SCORES) == SCORES.by_label[label]
