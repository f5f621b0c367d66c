"""One complete MLflow run for each pipeline run, however often its tasks are retried."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.evaluation.model_scores import Scores
from pipeline.modeling.model_card import ModelCard
from pipeline.prices.audit_types import Audit, DoubtfulSymbol, Note, Reason
from pipeline.prices.store.snapshot import Snapshot
from pipeline.tracking import runs
from pipeline.tracking.dataset import dataset_extent
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.run_writer import NOTE
from tests.tracking.material import CALENDAR, decision, model_card, scores, training, untrained

SCORES = scores(lstm=82.0, random_walk=85.0, ewma_historical=83.0)
JUDGED = scores(lstm=82.5, random_walk=85.5, ewma_historical=83.5, champion=83.0)
TAGS = {
    "as_of": "2013-02-28",
    "network": "lstm",
    "source": "sample",
    "exchange": "XNYS",
    "symbols": "AAPL, IBM",
    "git_commit": "0123abcd",
    "airflow.dag_id": "daily_forecast",
    "airflow.run_id": "scheduled__2013-02-28",
    "airflow.try": "2",
}


@pytest.fixture
def open_run(settings: Settings) -> Callable[..., MlflowRun]:
    def open_one(key: str = "run-1", **tags: str) -> MlflowRun:
        return MlflowRun.open(
            settings, experiment="daily-forecast", key=key, name="2013-02-28 lstm", tags={**TAGS, **tags}
        )

    return open_one


@pytest.fixture
def record(snapshot: Snapshot, tmp_path: Path) -> Callable[..., None]:
    figure = tmp_path / "scores.png"
    figure.write_bytes(b"\x89PNG")

    def record_training(run: MlflowRun, **changes: Any) -> None:
        given = {"training": training(), "scores": SCORES, "card": ModelCard(**model_card())}
        runs.log_training(run, snapshot=snapshot, figures=[figure], **{**given, **changes})

    return record_training


def artifacts(client: Any, run_id: str, folder: str | None = None) -> set[str]:
    found: set[str] = set()
    for entry in client.list_artifacts(run_id, folder):
        found |= artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


def test_opening_a_key_again_returns_its_run(open_run: Callable[..., MlflowRun], client: Any) -> None:
    first = open_run()
    assert open_run() == first
    assert open_run("run-2") != first
    assert client.get_run(first.run_id).info.run_name == "2013-02-28 lstm"


def test_a_retry_reopens_the_run_with_the_number_of_the_try(
    open_run: Callable[..., MlflowRun], settings: Settings, client: Any
) -> None:
    run = open_run()
    run.finish("FAILED")
    assert client.get_run(run.run_id).info.status == "FAILED"
    open_run(**{"airflow.try": "3"})
    logged = client.get_run(run.run_id)
    assert logged.info.status == "RUNNING"
    assert logged.data.tags["airflow.try"] == "3"
    run.finish()
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_a_request_that_was_sent_twice_leaves_one_run(
    open_run: Callable[..., MlflowRun], monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    create = mlflow.MlflowClient.create_run

    def create_twice(self: Any, *args: Any, **kwargs: Any) -> Any:
        create(self, *args, **kwargs)
        return create(self, *args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", create_twice)
    run = open_run()
    left = client.search_runs([client.get_run(run.run_id).info.experiment_id])
    assert [run.info.run_id for run in left] == [run.run_id]
    assert open_run() == run


def test_a_deleted_run_is_not_reused(open_run: Callable[..., MlflowRun], client: Any) -> None:
    first = open_run()
    client.delete_run(first.run_id)
    assert open_run() != first


def test_a_repeated_training_takes_over_the_key(open_run: Callable[..., MlflowRun], client: Any) -> None:
    first = open_run(weights_sha256="a" * 64)
    assert open_run(weights_sha256="a" * 64) == first
    second = open_run(weights_sha256="b" * 64)
    assert second != first
    assert client.get_run(first.run_id).info.lifecycle_stage == "deleted"
    assert open_run(weights_sha256="b" * 64) == second


def test_a_key_cannot_reach_into_the_filter(open_run: Callable[..., MlflowRun]) -> None:
    with pytest.raises(ValueError, match="no quotes"):
        open_run("a' or tags.network = 'lstm")


def test_recording_a_training_is_idempotent(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], client: Any
) -> None:
    run = open_run()
    record(run)
    record(run)
    assert len(client.get_metric_history(run.run_id, "train_pinball")) == 80
    assert len(client.get_metric_history(run.run_id, "crps_bp/lstm")) == 1
    assert len(client.get_run(run.run_id).inputs.dataset_inputs) == 1


@pytest.mark.parametrize("breaks", ["log_inputs", "log_artifacts", "log_batch"])
def test_an_interrupted_recording_is_completed(
    breaks: str,
    open_run: Callable[..., MlflowRun],
    record: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    client: Any,
) -> None:
    run = open_run()
    whole, calls = getattr(mlflow.MlflowClient, breaks), []

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(breaks)
        if breaks == "log_batch" and len(calls) < 3:  # the parameters and one curve arrive
            return whole(self, *args, **kwargs)
        raise mlflow.MlflowException("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, breaks, broken)
        with pytest.raises(PipelineError, match="cannot record the training in run"):
            record(run)
    record(run)
    logged = client.get_run(run.run_id)
    assert len(client.get_metric_history(run.run_id, "train_pinball")) == 80
    assert len(client.get_metric_history(run.run_id, "validation_pinball")) == 16
    assert len(logged.inputs.dataset_inputs) == 1
    assert logged.data.metrics["crps_bp/lstm"] == 82.0
    assert "The gate has not decided yet" in logged.data.tags[NOTE]


def test_the_calendar_is_a_second_dataset_with_its_digest(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], client: Any
) -> None:
    run = open_run()
    record(run, calendar=CALENDAR)
    record(run, calendar=CALENDAR)
    logged = client.get_run(run.run_id)
    by_name = {used.dataset.name: used for used in logged.inputs.dataset_inputs}
    assert set(by_name) == {"sample-prices", "sample-events"}
    events = by_name["sample-events"].dataset
    assert logged.data.tags["events_sha256"] == CALENDAR.digest
    assert CALENDAR.digest.startswith(events.digest)
    assert json.loads(events.profile) == {"events": 1500, "reconstructed": 1450}
    assert json.loads(events.source) == {"uri": CALENDAR.address}
    assert dataset_extent(logged).first == "2013-02-01"  # of the prices


def test_parameters_curves_scores_data_and_files_are_all_there(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], client: Any
) -> None:
    run = open_run()
    record(run)
    logged = client.get_run(run.run_id)
    assert logged.data.params["learning_rate"] == "0.001"
    assert logged.data.params["train_first"] == "2000-03-01"
    assert logged.data.params["features"] == "return, gap"
    assert "symbols" not in logged.data.params
    assert logged.data.metrics["crps_bp/ewma_historical"] == 83.0
    assert logged.data.metrics["training_seconds"] == 21.5
    dataset = logged.inputs.dataset_inputs[0].dataset
    assert dataset.name == "sample-prices"
    assert logged.data.tags["data_sha256"].startswith(dataset.digest)
    assert '"first": "2013-02-01", "last": "2013-02-28"' in dataset.profile
    assert artifacts(client, run.run_id) == {
        "figures/scores.png",
        "scores/by_model.csv",
        "scores/by_model.json",
        "scores/by_step.csv",
        "scores/by_step.json",
        "scores/by_symbol.csv",
        "scores/by_symbol.json",
        "scores/scores.json",
        "training.json",
    }


def test_another_training_is_not_mixed_into_a_run(
    open_run: Callable[..., MlflowRun], record: Callable[..., None]
) -> None:
    run = open_run()
    record(run)
    other = training(learning_rate=0.5)
    with pytest.raises(PipelineError, match=r"learning_rate was '0.001' and is now '0.5'; delete that run"):
        record(run, training=other)


def test_a_run_without_a_trained_network_is_recorded_too(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], settings: Settings, client: Any
) -> None:
    run = open_run()
    nothing = Scores()
    record(run, training=untrained(), scores=nothing, card=None)
    why = decision(
        promoted=False, model="ewma_historical", model_version="abcdef123456", reason="no network was trained."
    )
    runs.log_decision(run, scores=nothing, decision=why)
    note = client.get_run(run.run_id).data.tags[NOTE]
    assert "**ewma_historical** – baseline published. No network was trained." in note
    assert "nothing was scored" in note


def test_a_score_that_has_changed_shows_its_latest_value(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], settings: Settings, client: Any
) -> None:
    run = open_run()
    record(run)
    for crps in (90.0, 70.0, 80.0):
        run.log_numbers({"crps_bp/lstm": crps})
        assert client.get_run(run.run_id).data.metrics["crps_bp/lstm"] == crps


def test_values_that_are_not_numbers_are_left_out(
    open_run: Callable[..., MlflowRun], settings: Settings, client: Any
) -> None:
    run = open_run()
    run.log_numbers({"live/crps_bp": 80.0, "live/coverage_90": None, "live/mae": float("nan")})
    assert client.get_run(run.run_id).data.metrics == {"live/crps_bp": 80.0}


def test_the_description_has_prices_code_scores_and_decision(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], settings: Settings, client: Any
) -> None:
    run = open_run()
    record(run)
    champion = {"version": "4", "as_of": "2013-02-27", "network": "rnn"}
    verdict = decision(champion=champion, model_version="5")
    for _ in range(2):
        runs.log_decision(run, scores=JUDGED, decision=verdict)
    logged = client.get_run(run.run_id)
    note = logged.data.tags[NOTE]
    for told in (
        "Source `sample`, exchange XNYS, known as of 2013-02-28: 2 symbols (AAPL, IBM)",
        "sessions 2013-02-01 to 2013-02-28, 40 rows",
        "ab" * 32,
        "Git commit `0123abcd`",
        "dag id `daily_forecast`, run id `scheduled__2013-02-28`, try `2`",
        "2012-03-01 to 2013-02-21, 245 sessions, 490 windows",
        "| lstm (challenger) | 82.50 |",
        "| ewma_historical (best baseline) | 83.50 |",
        "| random_walk (baseline) | 85.50 |",
        "| champion (version 4) | 83.00 |",
        "Published: **lstm**, daily-forecast version 5 – challenger promoted.",
        verdict.reason,
        "The previous champion was version 4 (rnn, as of 2013-02-27).",
    ):
        assert told in note
    assert logged.data.tags["gate"] == "challenger promoted"
    assert logged.data.tags["published_model"] == "lstm"
    assert logged.data.metrics["crps_bp/champion"] == 83.0
    assert len(client.get_metric_history(run.run_id, "crps_bp_by_step/lstm")) == 2


def test_each_outcome_of_the_gate_has_a_tag(
    open_run: Callable[..., MlflowRun], record: Callable[..., None], settings: Settings, client: Any
) -> None:
    run = open_run()
    record(run)
    champion = {"version": "4", "as_of": "2013-02-27", "network": "rnn"}
    for verdict, name in (
        (decision(champion=champion), "challenger promoted"),
        (decision(champion=champion, promoted=False, model="rnn", model_version="4"), "champion kept"),
        (decision(champion=champion, promoted=False, model_version="abcdef123456"), "baseline published"),
    ):
        runs.log_decision(run, scores=JUDGED, decision=verdict)
        assert client.get_run(run.run_id).data.tags["gate"] == name


def test_the_published_files_are_artifacts_of_the_run(
    open_run: Callable[..., MlflowRun], settings: Settings, tmp_path: Path, client: Any
) -> None:
    (tmp_path / "edition" / "charts").mkdir(parents=True)
    (tmp_path / "edition" / "report.html").write_text("<html>")
    (tmp_path / "edition" / "charts" / "AAPL.png").write_bytes(b"\x89PNG")
    run = open_run()
    for _ in range(2):
        runs.log_published(run, tmp_path / "edition")
    assert artifacts(client, run.run_id) == {"published/report.html", "published/charts/AAPL.png"}
    copies = [*Path(client.get_run(run.run_id).info.artifact_uri, "published").rglob("*")]
    assert [path for path in copies if path.stat().st_mode & 0o077] == [], "others may read the original, not the copy"


def test_a_run_has_a_page_only_where_a_server_shows_it(
    open_run: Callable[..., MlflowRun], settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    run = open_run()
    assert run.url() is None
    monkeypatch.setenv("MLFLOW_PORT", "5055")
    number = client.get_run(run.run_id).info.experiment_id
    assert run.url() == f"http://127.0.0.1:5055/#/experiments/{number}/runs/{run.run_id}"


def test_a_missing_run_is_named(settings: Settings) -> None:
    with pytest.raises(PipelineError, match=f"cannot close run {'a' * 32}: .* not found"):
        MlflowRun(settings=settings, run_id="a" * 32).finish()


def test_the_audit_is_in_the_run(
    settings: Settings, open_run: Callable[..., MlflowRun], record: Callable[..., None], client: Any
) -> None:
    run = open_run()
    held = DoubtfulSymbol(symbol="IBM", reason="its bar is in quarantine")
    runs.log_audit(run, Audit(accept=500, warn=2, quarantine=3, reject=1, gaps=4, doubtful=(held,)))
    record(run)
    runs.log_decision(run, scores=JUDGED, decision=decision())
    logged = client.get_run(run.run_id)
    assert (logged.data.metrics["prices/quarantine"], logged.data.metrics["prices/doubtful"]) == (3, 1)
    assert logged.data.tags["held_back"] == "3 quarantined, 1 rejected, 4 missing; no forecast for IBM"
    assert logged.data.tags["held_back"] in logged.data.tags["mlflow.note.content"]
    assert "audit.json" in artifacts(client, run.run_id)
    assert logged.data.tags["data_quality"] == "no notes"


def test_the_notes_on_prices_are_in_the_run(
    settings: Settings, open_run: Callable[..., MlflowRun], client: Any
) -> None:
    run = open_run()
    note = Note(symbol="IBM", rule="dividends_in_prices", detail="not counted again")
    reason = Reason(verdict="warn", rule="jump", bars=2, symbol_count=1, symbols=("IBM",), detail="+50 %")
    runs.log_audit(run, Audit(accept=1, warn=1, notes=(note,), reasons=(reason,)))
    assert client.get_run(run.run_id).data.tags["data_quality"] == "1 note on 1 symbol: see data_quality.txt"
    assert "data_quality.txt" in artifacts(client, run.run_id)
