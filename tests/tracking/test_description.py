"""Descriptions in MLflow show symbols, reasons and names as text, whatever they contain."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from pipeline.evaluation.backtest_results import FoldOutcome, FoldPlan
from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import ModelScores, Scores
from pipeline.tracking.backtest_description import describe_backtest, describe_fold
from pipeline.tracking.dataset import Extent
from pipeline.tracking.description import describe, version_note
from tests.editions import decision_from, scores_from
from tests.tracking.material import untrained
from tests.tracking.test_backtests import result as backtest

GFM = MarkdownIt("gfm-like", {"html": True, "linkify": True})
ATTACKS = ["<img src=x>", "[a](javascript:alert(1))", "https://evil.example", "a | b\n\n# c", "`x`", "*y*", "@octocat"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_value_of_a_run_is_markup(attack: str) -> None:
    names = ("source", "exchange", "as_of", "symbols", "git_commit", "network", "held_back", "airflow.dag_id")
    champion = {"version": attack, "network": attack, "as_of": "2013-02-27"}
    numbers = {"crps_bp": 1.0, "coverage_90": 0.9}
    scores: dict[str, Any] = {
        "models": {attack: numbers, "champion": numbers, "garch": numbers},
        "comparisons": [{"model": attack, "baseline": attack, "skill_percent": 1, "t": 1, "p": 1, "p_holm": 1}],
        "suspect": {attack: [attack, attack]},
    }
    decision = {"promoted": True, "model": attack, "model_version": attack, "champion": champion, "reason": attack}
    harmless, wicked = (
        [
            describe(tags, Extent(first=value, last=value, rows=value), scores_from(told), decision_from(chosen)),
            version_note(tags, scores_from(told), decision_from(chosen), None),
        ]
        for value, tags, told, chosen in (
            ("x", dict.fromkeys(names, "x"), _plain(scores, attack), _plain(decision, attack)),
            (attack, dict.fromkeys(names, attack), scores, decision),
        )
    )
    for plain, attacked in zip(harmless, wicked, strict=True):
        assert _tags(attacked) == _tags(plain)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_value_of_a_backtest_is_markup(attack: str) -> None:
    def descriptions(value: str) -> list[str]:
        names = ("source", "exchange", "symbols", "git_commit", "network", "trial", "airflow.dag_id")
        tags = dict.fromkeys(names, value)
        fold = FoldPlan(number=1, first="2012-06-01", last="2012-08-29")
        outcome = FoldOutcome(**asdict(fold), trained=False, reason=value, sha256="a" * 64)
        scores = Scores(models={value: ModelScores(crps_bp=1.0, coverage={90: 0.9})})
        summary = replace(backtest(), folds=[outcome], scores=scores)
        return [describe_backtest(tags, summary), describe_fold(tags, fold, untrained(value))]

    for plain, attacked in zip(descriptions("x"), descriptions(attack), strict=True):
        assert _tags(attacked) == _tags(plain)


@pytest.mark.parametrize(
    ("address", "links"), [("https://airflow.example/dags/x", 1), ("javascript:alert(1)", 0), ("//evil.example", 0)]
)
def test_only_web_addresses_are_links(address: str, links: int) -> None:
    scores, decision = Scores(), Decision(model="garch", reason="x")
    tags = {"airflow.url": address, "airflow.dag_id": "daily"}
    assert GFM.render(describe(tags, Extent(), scores, decision)).count("<a ") == links
    assert GFM.render(version_note(tags, scores, decision, address)).count("<a ") == 2 * links


def _plain(value: Any, attack: str) -> Any:
    """The same values with a harmless word for each attack."""
    if isinstance(value, dict):
        return {_plain(name, attack): _plain(inner, attack) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, attack) for inner in value]
    return "x" if value == attack else value


def _tags(text: str) -> list[str]:
    from html.parser import HTMLParser

    class Tags(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.found.append(tag)

    parser = Tags()
    parser.found = []
    parser.feed(GFM.render(text))
    return parser.found
