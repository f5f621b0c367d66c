"""Scores as metrics and tables."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.model_scores import Scores
from pipeline.storage.documents import to_document
from pipeline.tracking.dataset import Extent
from pipeline.tracking.description import describe, gate, version_note
from pipeline.tracking.scores import by_step, metrics, write_tables
from tests.editions import scores_from
from tests.tracking.material import decision, score_document, scores

TABLE = scores(lstm=82.0, random_walk=85.0, ewma_historical=83.0, champion=81.0)


def test_each_score_stands_beside_the_other_models() -> None:
    named = metrics(TABLE, "lstm")
    crps = {name: value for name, value in named.items() if name.startswith("crps_bp/")}
    assert crps == {
        "crps_bp/lstm": 82.0,
        "crps_bp/random_walk": 85.0,
        "crps_bp/ewma_historical": 83.0,
        "crps_bp/champion": 81.0,
    }
    assert named["coverage_90/lstm"] == 0.905


def test_skill_is_positive_where_the_network_is_better() -> None:
    named = metrics(TABLE, "lstm")
    assert named["skill_percent/vs_random_walk"] == pytest.approx(100 * (1 - 82 / 85))
    assert named["skill_percent"] == named["skill_percent/vs_ewma_historical"] == pytest.approx(100 * (1 - 82 / 83))
    assert named["skill_percent/vs_champion"] < 0


def test_runs_compare_by_the_same_few_columns_whatever_was_trained() -> None:
    few = {"crps_bp", "crps_bp_best_baseline", "skill_percent", "coverage_90"}
    for network in ("lstm", "rnn"):
        named = metrics(scores(**{network: 82.0}, ewma_historical=83.0), network)
        assert {name for name in named if "/" not in name} == few
        assert (named["crps_bp"], named["crps_bp_best_baseline"]) == (82.0, 83.0)


def test_the_champion_is_no_baseline() -> None:
    assert metrics(TABLE, "lstm")["crps_bp_best_baseline"] == 83.0


def test_without_a_trained_network_the_baselines_stand_alone() -> None:
    alone = scores(random_walk=85.0, ewma_historical=83.0)
    assert not any("skill" in name for name in metrics(alone, "lstm"))
    assert metrics(alone, "lstm")["crps_bp_best_baseline"] == 83.0
    assert metrics(Scores(), "lstm") == {}


def test_what_is_not_a_finite_number_is_no_metric() -> None:
    odd = {"models": {"lstm": {"crps_bp": 1.0, "mae_bp": float("nan"), "note": "x", "passed": True, "direction": None}}}
    assert metrics(scores_from(odd), "lstm") == {"crps_bp/lstm": 1.0, "crps_bp": 1.0}


def test_curves_run_over_the_steps() -> None:
    assert ("crps_bp_by_step/lstm", 2, 84.0) in list(by_step(TABLE))


SUSPECT = {"lstm": ["its direction over all steps is right in 60.0 %"]}
TESTED_DOCUMENT: dict[str, Any] = {
    **score_document(lstm=82.0, random_walk=85.0, ewma_historical=83.0, champion=81.0),
    "comparisons": [
        {
            "model": model, "baseline": "ewma_historical", "skill_percent": 3.5, "t": 2.0, "p": 0.02, "p_holm": None,
            "sessions": 245,
        }
        for model in ("lstm", "champion")
    ],
    "suspect": SUSPECT,
}  # fmt: skip
TESTED = scores_from(TESTED_DOCUMENT)


def test_the_tests_of_the_network_are_metrics_and_a_suspect_is_marked() -> None:
    added = {name: value for name, value in metrics(TESTED, "lstm").items() if name not in metrics(TABLE, "lstm")}
    assert added == {"skill_p": 0.02, "suspect/lstm": 1.0}


def test_pinball_loss_by_level_is_a_table_and_no_curve() -> None:
    step = {"step": 1, "crps_bp": 1.0, "pinball_0.50_bp": 2.0, "rank_ic": None}
    table = {"models": {"lstm": {"crps_bp": 1.0, "by_step": [step]}}}
    assert list(by_step(scores_from(table))) == [("crps_bp_by_step/lstm", 1, 1.0)]


def test_the_comparisons_are_a_table_of_their_own(tmp_path: Path) -> None:
    write_tables(TESTED, tmp_path)
    with (tmp_path / "comparisons.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["t"]) for row in rows] == [("lstm", "2.0"), ("champion", "2.0")]


def test_the_description_tells_the_tests_and_what_is_suspect() -> None:
    text = describe({"network": "lstm"}, Extent(), TESTED, decision(suspect=SUSPECT))
    assert "| lstm against ewma_historical | +3.50 | 2.00 | 0.020 | – |" in text
    assert "**Suspect: lstm.** Its direction over all steps is right in 60.0 %." in text
    assert "Suspect" not in describe({"network": "lstm"}, Extent(), TABLE, decision())


def test_a_version_says_how_good_it_was_what_was_decided_and_where_it_comes_from() -> None:
    tags = {"network": "lstm", "as_of": "2013-03-01", "source": "sample", "symbol_count": "5"}
    links = {"airflow.url": "https://airflow.example/dags/daily_forecast/runs/1"}
    note = version_note({**tags, **links}, TABLE, decision(), "https://mlflow.example/#/experiments/1/runs/2")
    assert note.startswith("lstm, trained on 5 symbols of sample up to 2013-03-01.")
    assert "CRPS 82.00 bp, the best baseline ewma_historical 83.00: skill +1.20 %." in note
    assert "Gate: challenger promoted." in note
    assert "[MLflow run](https://mlflow.example/" in note
    assert "[Airflow run](https://airflow.example/" in note
    assert "](" not in version_note(tags, Scores(), decision(), None)


def test_the_tag_of_a_suspect_run_begins_with_the_word() -> None:
    assert gate(decision(promoted=False, suspect={"lstm": ["x"]})) == "suspect: baseline published"
    assert gate(decision(promoted=False, suspect={})) == "baseline published"


def test_a_table_for_mlflow_has_the_rows_of_its_csv_in_six_digits(tmp_path: Path) -> None:
    table = scores(lstm=82.123456789, ewma_historical=float("nan"))
    assert write_tables(table, tmp_path) == ["scores/by_model.json", "scores/by_step.json", "scores/by_symbol.json"]
    shown = json.loads((tmp_path / "by_model.json").read_text())
    with (tmp_path / "by_model.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert shown["columns"] == list(rows[0])
    crps = shown["columns"].index("crps_bp")
    assert [(row[0], row[crps]) for row in shown["data"]] == [("lstm", 82.1235), ("ewma_historical", None)]
    assert rows[0]["crps_bp"] == "82.123456789"


def test_tables_hold_every_model_step_and_symbol(tmp_path: Path) -> None:
    write_tables(TABLE, tmp_path)
    with (tmp_path / "by_symbol.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["symbol"], row["model"]) for row in rows} == {
        (symbol, model) for symbol in ("AAPL", "IBM") for model in TABLE.by_label
    }
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written == to_document(TABLE)
    assert scores_from(written) == TABLE
