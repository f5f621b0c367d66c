"""The gate over its cases: who takes over, who is published, and the words for it."""

from typing import Any

import pytest

from pipeline.evaluation.gate import Contender, Evidence, best_baseline, decide
from pipeline.evaluation.model_scores import ModelScores
from pipeline.evaluation.significance import Significance


def contender(crps: float, model: str = "lstm", version: str = "2", **facts: Any) -> Contender:
    return Contender(model=model, version=version, crps_bp=crps, **facts)


def significant(p: float) -> Significance:
    return Significance(t=1.0, p=p, sessions=252)


def evidence(baseline: float | None = 0.01, champion: float | None = 0.01, level: float = 0.10) -> Evidence:
    return Evidence(
        level=level,
        against_baseline=None if baseline is None else significant(baseline),
        against_champion=None if champion is None else significant(champion),
    )


BASELINE = contender(100.0, "ewma_historical", "abc")
UNTESTED = evidence(None, None)
MEANS = [
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
]


@pytest.mark.parametrize("proof", [UNTESTED, evidence()])
@pytest.mark.parametrize(("challenger", "champion", "published", "promoted"), MEANS)
def test_the_means(
    challenger: float | None, champion: float | None, published: str, promoted: bool, proof: Evidence
) -> None:
    decision = decide(
        None if challenger is None else contender(challenger),
        None if champion is None else contender(champion, "rnn", "1"),
        BASELINE,
        evidence=proof,
        not_trained="too little history" if challenger is None else None,
    )
    assert (decision.model_version, decision.promoted) == (published, promoted)
    assert ("is published" in decision.reason) == (published != "2")
    assert decision.model == {"2": "lstm", "1": "rnn", "abc": "ewma_historical"}[published]


@pytest.mark.parametrize(
    ("against_baseline", "against_champion", "level", "promoted"),
    [
        (0.01, 0.01, 0.10, True),
        (0.11, 0.01, 0.10, False),
        (0.01, 0.11, 0.10, False),
        (0.10, 0.01, 0.10, False),  # at the level is not below it
        (0.11, 0.11, 0.12, True),
    ],
)
def test_what_may_be_chance_does_not_take_over(
    against_baseline: float, against_champion: float, level: float, promoted: bool
) -> None:
    proof = evidence(against_baseline, against_champion, level)
    decision = decide(contender(97.0), contender(98.0, "rnn", "1"), BASELINE, evidence=proof)
    assert decision.promoted == promoted
    assert decision.model_version == ("2" if promoted else "1")
    assert ("which may be chance" in decision.reason) != promoted


def test_a_first_network_that_may_be_luck_leaves_the_baseline() -> None:
    decision = decide(contender(99.0), None, BASELINE, evidence=evidence(0.3))
    assert decision.reason == (
        "The challenger LSTM (version 2) does not take over: CRPS 99.00 bp is 1.00 % better than the best baseline "
        "EWMA at 100.00 bp (t 1.00, p 0.300 at the 0.1 level, which may be chance); there is no earlier "
        "champion. So the baseline EWMA is published."
    )


def test_with_too_few_sessions_the_means_decide_and_the_reason_says_so() -> None:
    decision = decide(contender(98.0), contender(99.0, "rnn", "1"), BASELINE, evidence=UNTESTED)
    assert decision.promoted
    assert decision.reason.count("too few sessions for a test") == 2


EXPIRED = contender(96.0, "rnn", "1", expired="it is 70 sessions old and has expired after 63")


@pytest.mark.parametrize(
    ("challenger", "published", "promoted"),
    [
        (99.0, "2", True),  # worse than the champion, and not tested: better than nothing to publish but a baseline
        (101.0, "abc", False),
        (None, "abc", False),
    ],
)
def test_an_expired_champion_is_not_published_and_stands_in_nobodys_way(
    challenger: float | None, published: str, promoted: bool
) -> None:
    decision = decide(
        None if challenger is None else contender(challenger),
        EXPIRED,
        BASELINE,
        evidence=evidence(0.4, 0.9),
        not_trained="x",
    )
    assert (decision.model_version, decision.promoted) == (published, promoted)
    assert "expired" in decision.reason
    assert "chance" not in decision.reason


def test_a_suspect_challenger_neither_takes_over_nor_is_published() -> None:
    leaky = contender(50.0, suspect=("its direction over all steps is right in 70.0 %",))
    for champion, published in ((None, "abc"), (contender(99.0, "rnn", "1"), "1"), (EXPIRED, "abc")):
        decision = decide(leaky, champion, BASELINE, evidence=evidence(0.0, 0.0))
        assert (decision.model_version, decision.promoted) == (published, False)
        assert "it is suspect, its direction over all steps is right in 70.0 %" in decision.reason


def test_a_suspect_champion_is_not_published() -> None:
    champion = contender(50.0, "rnn", "1", suspect=("its MAE is 0.5 of the random walk's",))
    decision = decide(None, champion, BASELINE, evidence=UNTESTED, not_trained="not due")
    assert decision.model_version == "abc"
    assert "The champion RNN (version 1) is not published: it is suspect" in decision.reason


def test_who_was_passed_over_is_named() -> None:
    words = "champion version 3 of 2013-02-27 cannot be used (weights)"
    decision = decide(contender(98.0), contender(99.0, "rnn", "1"), BASELINE, evidence=UNTESTED, skipped=[words])
    assert decision.reason.endswith("Champion version 3 of 2013-02-27 cannot be used (weights).")
    alone = decide(
        None, None, BASELINE, evidence=UNTESTED, not_trained="not due", no_champion="no champion can be used"
    )
    assert "No champion can be used." in alone.reason


def test_of_equal_baselines_the_choice_does_not_depend_on_their_order() -> None:
    scores = {name: ModelScores(crps_bp=crps) for name, crps in (("b", 1.0), ("a", 1.0), ("lstm", 0.1))}
    assert best_baseline(scores, ("b", "a")) == "a"


def test_the_best_baseline_is_the_one_with_the_lowest_crps_of_those_scored() -> None:
    scores = {name: ModelScores(crps_bp=crps) for name, crps in (("lstm", 1.0), ("a", 3.0), ("b", 2.0))}
    assert best_baseline(scores, ("a", "b", "absent")) == "b"
    assert best_baseline({}, ("a", "b")) is None
