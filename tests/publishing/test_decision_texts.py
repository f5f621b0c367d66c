"""The title of an edition and the reason match the decision, for every state of the gate."""

from typing import Any

import pytest

from pipeline.evaluation.gate import Contender, Decision, Evidence, decide
from pipeline.evaluation.significance import Significance
from pipeline.publishing import verdict
from tests.editions import edition, forecasts

NO_TEST = Evidence(level=0.1)
BASELINE = Contender(model="garch", version="abc", crps_bp=100.0)
NEW = {"model": "lstm", "version": "2"}
OLD = {"model": "rnn", "version": "1"}
BETTER, BEST, WORSE = 99.0, 98.0, 101.0
NOTHING_BEAT_IT = "No network beat the best baseline beyond chance, so GARCH is published"


def proof(baseline: float, champion: float = 0.01) -> Evidence:
    tests = [Significance(t=1.0, p=p, sessions=252) for p in (baseline, champion)]
    return Evidence(level=0.1, against_baseline=tests[0], against_champion=tests[1])


def title(decision: Decision, **facts: Any) -> str:
    baseline = decision.model == "garch"
    frame = forecasts(model=decision.model, version="" if baseline else decision.model_version)
    known = {"version": "1", "as_of": "2013-02-28", "network": "rnn"}
    told = {**vars(decision), "best_baseline": "garch", "champion": known, **facts}
    return verdict.verdict_on(edition(forecasts=frame, decision=told)).title


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "not trained, no champion",
        {"not_trained": "too little history"},
        "No network was trained, so GARCH is published",
        "No network was trained: too little history. There is no earlier champion.",
    ),
    (
        "not trained, and none of this source",
        {"not_trained": "too little history", "none_before": "no champion for the source yahoo was promoted before D"},
        "No network was trained, so GARCH is published",
        "No champion for the source yahoo was promoted before D.",
    ),
    (
        "not due, the champion is published",
        {"not_trained": "the next is due later", "champion": Contender(**OLD, crps_bp=BETTER)},
        "The champion of 28 February 2013 is published: RNN, version 1",
        "No network was trained: the next is due later. The champion RNN (version 1) is published.",
    ),
    (
        "not due, the champion is worse",
        {"not_trained": "not due", "champion": Contender(**OLD, crps_bp=WORSE)},
        "No network was trained and the champion did not beat the best baseline, so GARCH is published",
        "The champion RNN (version 1) is not published: CRPS 101.00 bp is 1.00 % worse",
    ),
    (
        "not due, the champion has expired",
        {"not_trained": "not due", "champion": Contender(**OLD, crps_bp=BEST, expired="it is 70 sessions old")},
        "No network was trained and the champion has expired, so GARCH is published",
        "The champion RNN (version 1) is not published: it is 70 sessions old.",
    ),
    (
        "not trained, the champion is corrupt",
        {"not_trained": "not due", "no_champion": "no champion can be used", "skipped": ["version 1 is corrupt"]},
        "No network was trained and the champion cannot be compared, so GARCH is published",
        "No champion can be used. Version 1 is corrupt.",
    ),
    (
        "worse, no champion",
        {"challenger": Contender(**NEW, crps_bp=WORSE)},
        NOTHING_BEAT_IT,
        "is 1.00 % worse than the best baseline GARCH at 100.00 bp; there is no earlier champion.",
    ),
    (
        "worse, not the first champion",
        {"challenger": Contender(**NEW, crps_bp=WORSE), "none_before": "no champion was promoted before D"},
        NOTHING_BEAT_IT,
        "; no champion was promoted before D.",
    ),
    (
        "better by chance, no champion",
        {"challenger": Contender(**NEW, crps_bp=BETTER), "evidence": proof(0.4)},
        NOTHING_BEAT_IT,
        "which may be chance",
    ),
    (
        "by chance, the champion is worse",
        {
            "challenger": Contender(**NEW, crps_bp=BETTER),
            "champion": Contender(**OLD, crps_bp=WORSE),
            "evidence": proof(0.4),
        },
        NOTHING_BEAT_IT,
        "The champion RNN (version 1) is not published",
    ),
    (
        "beyond chance, but not beyond the champion, which is worse than the baseline",
        {
            "challenger": Contender(**NEW, crps_bp=BETTER),
            "champion": Contender(**OLD, crps_bp=WORSE),
            "evidence": proof(0.01, 0.4),
        },
        "Today's network did not beat the champion beyond chance and the champion did not beat the best baseline",
        "is 1.00 % better than the best baseline",
    ),
    (
        "worse, the champion has expired",
        {
            "challenger": Contender(**NEW, crps_bp=WORSE),
            "champion": Contender(**OLD, crps_bp=BEST, expired="it is 70 sessions old"),
        },
        "Today's network did not beat the best baseline and the champion has expired, so GARCH is",
        "has expired",
    ),
    (
        "worse, the champion cannot be compared",
        {"challenger": Contender(**NEW, crps_bp=WORSE), "no_champion": "the champion forecasts 3 sessions"},
        "Today's network did not beat the best baseline and the champion cannot be compared, so GARCH",
        "; the champion forecasts 3 sessions.",
    ),
    (
        "suspect, no champion",
        {"challenger": Contender(**NEW, crps_bp=50.0, suspect=("its MAE is too low",))},
        "Today's network is suspect, so GARCH is published",
        "it is suspect",
    ),
    (
        "suspect, the champion is published",
        {
            "challenger": Contender(**NEW, crps_bp=50.0, suspect=("its MAE is too low",)),
            "champion": Contender(**OLD, crps_bp=BETTER),
        },
        "The champion of 28 February 2013 is published: RNN, version 1",
        "it is suspect",
    ),
    (
        "not due, the champion is suspect",
        {"not_trained": "not due", "champion": Contender(**OLD, crps_bp=50.0, suspect=("its MAE is too low",))},
        "No network was trained and the champion is suspect, so GARCH is published",
        "is not published: it is suspect",
    ),
    (
        "takes over",
        {"challenger": Contender(**NEW, crps_bp=BETTER)},
        "Today's network is published: LSTM, version 2",
        "The challenger LSTM (version 2) takes over",
    ),
    (
        "takes over from a champion",
        {"challenger": Contender(**NEW, crps_bp=BEST), "champion": Contender(**OLD, crps_bp=BETTER)},
        "Today's network is published: LSTM, version 2",
        "The challenger LSTM (version 2) takes over",
    ),
]


@pytest.mark.parametrize(("given", "beginning", "part"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_title_and_reason_say_what_was_decided(given: dict[str, Any], beginning: str, part: str) -> None:
    known = {"challenger": None, "champion": None, "evidence": NO_TEST, **given}
    decision = decide(known.pop("challenger"), known.pop("champion"), BASELINE, **known)
    told = title(decision)
    assert told.startswith(beginning)
    assert part in decision.reason
    trained = given.get("challenger") is not None
    assert ("o network was trained" in told + decision.reason) == (not trained)
    assert ("no network beat" in told.lower()) <= trained
    compared = given.get("champion") or given.get("no_champion") or given.get("none_before")
    assert ("there is no earlier champion" in decision.reason.lower()) <= (not compared)


def test_with_nothing_held_out_the_baseline_is_published_unjudged() -> None:
    decision = Decision(
        model="garch", model_version="abc", promoted=False, reason="x", challenger_outcome="unjudged",
        champion_outcome="none",
    )  # fmt: skip
    assert title(decision).startswith("No session is held out yet to evaluate a network on")


@pytest.mark.parametrize(
    ("reason", "beginning"),
    [
        ("The challenger LSTM (version 2) does not take over: worse. So …", "No network beat the best baseline"),
        ("No network was trained: too little history. So …", "No network was trained, so GARCH"),
        ("There are no held-out sessions to judge on yet, …", "No session is held out"),
    ],
)
def test_a_decision_of_an_older_version_is_told_by_its_reason(reason: str, beginning: str) -> None:
    old = {"model": "garch", "model_version": "abc", "promoted": False, "reason": reason, "best_baseline": "garch"}
    frame = forecasts(model="garch", version="")
    assert verdict.verdict_on(edition(forecasts=frame, decision=old)).title.startswith(beginning)


@pytest.mark.parametrize(
    ("promoted", "beginning"),
    [
        (True, "Today's network, LSTM, version 2, can forecast none of the symbols, so GARCH is published"),
        (False, "The champion of 28 February 2013, LSTM, version 2, can forecast none of the symbols, so GARCH is"),
    ],
)
def test_a_network_that_forecasts_no_symbol_is_not_said_to_be_published(promoted: bool, beginning: str) -> None:
    known = {"version": "2", "as_of": "2013-02-28", "network": "lstm"}
    decision = {"model": "lstm", "model_version": "2", "promoted": promoted, "champion": known, "reason": "x"}
    made = edition(forecasts=forecasts(model="garch", version=""), decision={**decision, "best_baseline": "garch"})
    assert verdict.verdict_on(made).title.startswith(beginning)
    assert "by GARCH" in verdict.headline(made)
