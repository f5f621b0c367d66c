"""A backtest is one MLflow run with a nested one for each fold, however often it is logged."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.evaluation.backtest_results import BacktestSummary, FoldInputs, FoldOutcome, FoldPlan, FoldRecord
from pipeline.modeling.model_card import ModelCard
from pipeline.prices.store.snapshot import Snapshot
from pipeline.tracking import backtests
from pipeline.tracking.run_writer import NOTE
from tests.tracking.material import CALENDAR, model_card, scores, training, untrained

SCORES = scores(lstm=82.0, random_walk=85.0, ewma_historical=83.0)
FOLDS = [
    FoldPlan(number=1, first="2012-06-01", last="2012-08-29"),
    FoldPlan(number=2, first="2012-08-30", last="2012-11-30"),
]
TAGS = {"network": "lstm", "as_of": "2012-11-30", "git_commit": "0123abcd", "refit_every": "63"}


def made(weights: str = "e" * 64) -> FoldRecord:
    return FoldRecord(
        made_from=FoldInputs(snapshot="d" * 64, seams=(), code="c" * 64),
        sha256="f" * 64,
        data_digest="d" * 64,
        rows=10,
        trained=True,
        reason=None,
        withheld=(),
        training=training(),
        model=ModelCard(**{**model_card(), "weights_sha256": weights}),
        scores=SCORES,
    )


def result() -> BacktestSummary:
    reason = "too little history"
    outcomes = [FoldOutcome(**asdict(fold), trained=fold.number > 1, reason=reason, sha256="f" * 64) for fold in FOLDS]
    return BacktestSummary(
        first="2012-06-01",
        last="2012-11-30",
        refit_every=63,
        network="lstm",
        best_baseline="ewma_historical",
        data_digest="d" * 64,
        sha256="a" * 64,
        rows=20,
        windows={"forecast": 500, "scored": 490},
        without_forecast=(),
        withheld=(),
        folds=outcomes,
        scores=SCORES,
        sessions=["2012-06-01", "2012-06-04"],
        crps_bp={"lstm": [80.0, 84.0], "ewma_historical": [81.0, 86.0]},
        gained_bp=[1.0, 3.0],
    )


@pytest.fixture
def log_fold(settings: Settings, snapshot: Snapshot) -> Any:
    def log(fold: FoldPlan, content: FoldRecord | None = None) -> str:
        return backtests.log_fold(
            settings, "b1", fold, content or made(), tags=TAGS, parent_tags=TAGS, snapshot=snapshot, calendar=CALENDAR
        ).run_id

    return log


@pytest.fixture
def log_summary(settings: Settings, tmp_path: Path) -> Any:
    (tmp_path / "skill.png").write_bytes(b"\x89PNG")
    (tmp_path / "forecasts.parquet").write_bytes(b"PAR1")

    def log() -> str:
        figures, frame = [tmp_path / "skill.png"], tmp_path / "forecasts.parquet"
        return backtests.log_summary(
            settings, "b1", result(), tags=TAGS, figures=figures, frame=frame, calendar=CALENDAR
        ).run_id

    return log


def all_runs(client: Any) -> list[Any]:
    return client.search_runs([client.get_experiment_by_name("backtest").experiment_id])


def test_every_fold_is_nested_below_the_run_of_its_backtest(log_fold: Any, log_summary: Any, client: Any) -> None:
    nested = [log_fold(fold) for fold in FOLDS]
    parent = log_summary()
    assert {run.info.run_id for run in all_runs(client)} == {parent, *nested}
    for run_id in nested:
        run = client.get_run(run_id)
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.metrics["crps_bp/lstm"] == 82.0
        assert run.info.status == "FINISHED"
    assert client.get_run(parent).info.status == "FINISHED"
    assert client.get_run(parent).data.params["refit_every"] == "63"


def test_logging_a_backtest_is_idempotent(log_fold: Any, log_summary: Any, client: Any) -> None:
    def everything() -> dict[str, Any]:
        for fold in FOLDS:
            log_fold(fold)
        parent = log_summary()
        points = client.get_metric_history(parent, "gained_bp/on_ewma_historical")
        found = {run.info.run_id: (run.data.metrics, run.data.params, run.info.status) for run in all_runs(client)}
        return found | {"points": [(point.step, point.value) for point in points]}

    assert everything() == everything()


def test_the_gain_on_the_best_baseline_is_a_curve_over_the_sessions(log_summary: Any, client: Any) -> None:
    points = client.get_metric_history(log_summary(), "gained_bp/on_ewma_historical")
    assert [point.value for point in points] == [1.0, 3.0]
    assert points[1].step - points[0].step == 3  # days: from a Friday to a Monday


def test_backtest_and_folds_name_the_calendar_of_events(log_fold: Any, log_summary: Any, client: Any) -> None:
    for run_id in (log_fold(FOLDS[0]), log_summary()):
        run = client.get_run(run_id)
        assert "sample-events" in {used.dataset.name for used in run.inputs.dataset_inputs}
        assert run.data.tags["events_sha256"] == CALENDAR.digest
        assert "Scheduled events: 1,500 of sample" in run.data.tags[NOTE]


def test_the_parent_holds_tables_pictures_and_the_frame(log_summary: Any, client: Any) -> None:
    run_id = log_summary()
    top = {entry.path for entry in client.list_artifacts(run_id)}
    assert top == {"backtest.json", "figures", "forecasts.parquet", "scores"}
    assert {entry.path for entry in client.list_artifacts(run_id, "figures")} == {"figures/skill.png"}
    assert "scores/by_model.csv" in {entry.path for entry in client.list_artifacts(run_id, "scores")}
    note = client.get_run(run_id).data.tags[NOTE]
    assert "490 of 500 origins are scored" in note
    assert "Without a network: 2012-06-01 to 2012-08-29, too little history." in note


def test_a_frame_too_large_for_mlflow_stays_on_disk_and_its_digest_is_a_tag(
    log_summary: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "LARGEST_FRAME", 3)
    run_id = log_summary()
    assert "forecasts.parquet" not in {entry.path for entry in client.list_artifacts(run_id)}
    assert client.get_run(run_id).data.tags["frame_sha256"] == "a" * 64


def test_folds_of_a_parent_that_did_not_stay_are_put_below_the_one_that_did(
    log_fold: Any, log_summary: Any, client: Any
) -> None:
    run_id = log_fold(FOLDS[0])
    client.set_tag(run_id, "mlflow.parentRunId", "gone")
    parent = log_summary()
    assert client.get_run(run_id).data.tags["mlflow.parentRunId"] == parent


def test_a_fold_that_is_trained_again_replaces_the_first_run(log_fold: Any, client: Any) -> None:
    first, second = log_fold(FOLDS[0]), log_fold(FOLDS[0], made(weights="1" * 64))
    assert first != second
    below = [run.info.run_id for run in all_runs(client) if "mlflow.parentRunId" in run.data.tags]
    assert below == [second]


def test_a_fold_without_a_network_says_why(log_fold: Any, client: Any) -> None:
    reason = "too little history"
    content = replace(made(), trained=False, reason=reason, training=untrained(reason), model=None)
    run = client.get_run(log_fold(FOLDS[0], content))
    assert "No network forecasts 2012-06-01 to 2012-08-29: too little history" in run.data.tags[NOTE]


def test_a_backtest_is_named_by_its_sessions_network_and_refit_interval(
    log_fold: Any, log_summary: Any, client: Any
) -> None:
    fold = log_fold(FOLDS[1])
    parent = client.get_run(fold).data.tags["mlflow.parentRunId"]
    assert client.get_run(parent).info.run_name == "until 2012-11-30 lstm, refit every 63"
    assert log_summary() == parent
    assert client.get_run(parent).info.run_name == "2012-06-01 to 2012-11-30 lstm, refit every 63"
    assert client.get_run(fold).info.run_name == "2012-08-30 to 2012-11-30 lstm, fold 2"


def test_a_run_that_an_older_version_named_by_its_key_is_renamed(log_summary: Any, client: Any) -> None:
    run_id = log_summary()
    client.update_run(run_id, name="b1")
    assert log_summary() == run_id
    assert client.get_run(run_id).info.run_name == "2012-06-01 to 2012-11-30 lstm, refit every 63"


def test_a_backtest_that_departs_from_the_standing_configuration_says_so(
    log_summary: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TAGS, "trial", "hidden size 16 instead of 64")
    run = client.get_run(log_summary())
    assert run.info.run_name == "2012-06-01 to 2012-11-30 lstm, refit every 63 (trial)"
    assert "**Trial:** hidden size 16 instead of 64." in run.data.tags[NOTE]


def test_the_descriptions_link_to_the_airflow_run(
    log_fold: Any, log_summary: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "https://airflow.example/dags/backtest/runs/manual__1"
    for name, value in (("dag_id", "backtest"), ("run_id", "manual__1"), ("try", "2"), ("url", page)):
        monkeypatch.setitem(TAGS, f"airflow.{name}", value)
    for run_id in (log_fold(FOLDS[0]), log_summary()):
        tags = client.get_run(run_id).data.tags
        assert f"[Airflow run]({page}): dag id `backtest`, run id `manual__1`, try `2`" in tags[NOTE]
        assert tags["airflow.url"] == page
        assert tags["mlflow.source.name"] == "backtest"


def test_the_score_tables_are_shown_as_tables(log_fold: Any, log_summary: Any, client: Any) -> None:
    for run_id in (log_fold(FOLDS[0]), log_summary()):
        shown = json.loads(client.get_run(run_id).data.tags["mlflow.loggedArtifacts"])
        names = ("by_model", "by_step", "by_symbol")
        assert shown == [{"path": f"scores/{name}.json", "type": "table"} for name in names]
