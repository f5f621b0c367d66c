"""Scores on event sessions and on others in MLflow: metrics, a table, Markdown, and the calendar as a dataset."""

import csv
import json
from pathlib import Path
from typing import Any

from pipeline.evaluation.model_scores import Scores
from pipeline.tracking.dataset import Extent
from pipeline.tracking.description import describe
from pipeline.tracking.event_scores import event_markdown
from pipeline.tracking.scores import metrics, write_tables
from tests.editions import scores_from
from tests.tracking.material import CALENDAR, score_document, scores


def part(crps: float, coverage: float, **more: Any) -> dict[str, Any]:
    shares = {"coverage_50": 0.4, "coverage_80": 0.6, "coverage_90": coverage}
    return {"windows": 40, "sessions": 21, "crps_bp": crps, "range_90_bp": 4 * crps, **shares, **more}


def split_scores() -> Scores:
    """The network, a baseline and the champion on both kinds of sessions."""
    document = score_document(lstm=82.0, ewma_historical=83.0, random_walk=85.0, champion=81.0)
    gained = {"baseline": "ewma_historical", "skill_percent": 8.5, "t": 3.25}
    for label, on in {
        "lstm": part(187.0, 0.89, **gained),
        "ewma_historical": part(225.0, 0.62),
        "random_walk": part(230.0, 0.6, **{**gained, "t": None}),
        "champion": part(216.0, 0.67, **gained),
    }.items():
        document["models"][label]["events"] = {"on": on, "off": part(70.0, 0.9)}
    return scores_from(document)


def test_network_best_baseline_and_champion_have_metrics_on_both_kinds_of_sessions() -> None:
    found = {name: value for name, value in metrics(split_scores(), "lstm").items() if name.startswith("events/")}
    assert found == {
        "events/windows": 40.0,
        "events/sessions": 21.0,
        "events/crps_bp": 187.0,
        "events/coverage_50": 0.4,
        "events/coverage_80": 0.6,
        "events/coverage_90": 0.89,
        "events/range_90_bp": 748.0,
        "events/skill_percent": 8.5,
        "events/t": 3.25,
        "events/crps_bp_best_baseline": 225.0,
        "events/coverage_90_best_baseline": 0.62,
        "events/range_90_bp_best_baseline": 900.0,
        "events/crps_bp_champion": 216.0,
        "events/coverage_90_champion": 0.67,
        "events/range_90_bp_champion": 864.0,
    }
    assert metrics(split_scores(), "lstm")["other/coverage_90"] == 0.9


def test_where_no_network_was_trained_the_baseline_has_its_metrics() -> None:
    named = metrics(split_scores(), "rnn")
    assert "events/crps_bp" not in named
    assert named["events/crps_bp_best_baseline"] == 225.0


def test_every_model_is_in_a_table_by_kind_of_session(tmp_path: Path) -> None:
    assert "scores/by_event.json" in write_tables(split_scores(), tmp_path)
    with (tmp_path / "by_event.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert [(row["model"], row["sessions_of"], row["crps_bp"]) for row in rows[:2]] == [
        ("lstm", "events", "187.0"),
        ("lstm", "other", "70.0"),
    ]
    assert json.loads((tmp_path / "scores.json").read_text())["models"]["lstm"]["events"]["on"]["coverage_90"] == 0.89


def test_without_a_calendar_there_is_neither(tmp_path: Path) -> None:
    plain = scores(lstm=82.0, ewma_historical=83.0)
    assert not any(name.startswith(("events/", "other/")) for name in metrics(plain, "lstm"))
    assert "scores/by_event.json" not in write_tables(plain, tmp_path)
    assert event_markdown(plain) == ""


def test_descriptions_tell_both_kinds_of_sessions_and_the_calendar() -> None:
    tags = {"network": "lstm", "source": "sample", **CALENDAR.tags}
    text = describe(tags, Extent(), split_scores(), None)
    assert "| lstm | scheduled report | 40 | 187.00 | 89.0 % | 748 | +8.50 | 3.25 |" in text
    assert "| random_walk | scheduled report | 40 | 230.00 | 60.0 % | 920 | +8.50 | – |" in text
    assert "Scheduled events: 1,500 of sample, 1,450 reconstructed. SHA-256 `cccc" in text
    assert "Scheduled events" not in describe({"network": "lstm"}, Extent(), split_scores(), None)
