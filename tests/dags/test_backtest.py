"""The DAG of the backtest on the sample's real prices, run by Airflow itself with a small network."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from pipeline.config import NetworkName, Settings, SourceName
from tests.dags.running import Outcome, Start, runner


@pytest.fixture(scope="session")
def dag(dag_bag) -> DAG:
    return dag_bag.dags["backtest"]


@pytest.fixture(scope="module")
def start(read_dags, airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with runner(read_dags, tmp_path_factory, "backtest") as run:
        yield run


@pytest.fixture(scope="module")
def three_folds(start: Start) -> Outcome:
    """Seven sessions of three symbols, three to a model, by a run without a logical date."""
    days = {"from": "2012-12-03", "to": "2012-12-11", "refit_every": 3}
    asked = {"symbols": "AAPL, FB, IBM", "network": "mlp", "training_steps": 5}
    return start(logical_date=None, run_conf=days | asked)


def frame(home: Path) -> pd.DataFrame:
    (path,) = (home / "runs").glob("*/forecasts.parquet")
    return pd.read_parquet(path)


def mlflow_runs(home: Path) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    return client.search_runs([client.get_experiment_by_name("backtest").experiment_id])


def test_it_runs_by_hand_only_and_its_manual_names_every_task(dag):
    assert dag.schedule is None
    assert dag.is_paused_upon_creation is False
    for task in dag.tasks:
        assert f"`{task.task_id}`" in dag.doc_md
    assert "airflow dags trigger backtest" in dag.doc_md
    assert dag.get_task("fold").is_mapped
    assert dag.get_task("summary").upstream_task_ids >= {"fold", "snapshot"}


def test_every_session_is_forecast_by_the_model_of_its_fold(three_folds: Outcome):
    assert three_folds.state == "success"
    assert three_folds.tasks == {
        "plan": Counter(success=1),
        "ingest": Counter(success=2),  # three symbols in batches of two
        "ingest_events": Counter(success=1),
        "snapshot": Counter(success=1),
        "fold": Counter(success=3),
        "summary": Counter(success=1),
    }
    rows = frame(three_folds.home)
    assert rows["as_of"].nunique() == 7
    models = rows[rows["model"] == "mlp"].groupby("as_of")["model_version"].unique()
    assert [len(versions) for versions in models] == [1] * 7
    assert len({versions[0] for versions in models}) == 3


def test_mlflow_has_one_run_with_a_nested_one_for_each_fold(three_folds: Outcome):
    found = mlflow_runs(three_folds.home)

    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    nested = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(nested) == 3
    assert {run.info.status for run in found} == {"FINISHED"}
    assert parent.data.tags["airflow.run_id"] == three_folds.run_id


def test_each_fold_leads_to_its_own_mlflow_run_and_the_summary_to_theirs(three_folds: Outcome):
    assert set(three_folds.links) == {*(("fold", at) for at in range(3)), ("summary", -1)}
    assert len(set(three_folds.links.values())) == 4
    assert all(link.startswith("https://mlflow.example/#/experiments/") for link in three_folds.links.values())


def test_its_note_says_what_it_left_and_leads_to_the_mlflow_run(three_folds: Outcome):
    (frame,) = (three_folds.home / "runs").glob("*/forecasts.parquet")
    first, last = three_folds.note.splitlines()

    assert first.startswith("**Done.** ")
    assert frame.name in first
    assert last.startswith("[MLflow run](https://mlflow.example/#/experiments/")


def test_one_fold_and_one_batch_are_handed_on_as_many_are(start: Start):
    asked = {"from": "2012-12-03", "to": "2012-12-04", "symbols": "IBM", "network": "mlp", "training_steps": 1}

    ended = start(run_conf=asked)

    assert ended.state == "success"
    assert ended.tasks["ingest"] == ended.tasks["fold"] == Counter(success=1)
    assert frame(ended.home)["as_of"].nunique() == 2
    (made,) = (ended.home / "runs").glob("*/folds/2012-12-03/fold.json")
    assert json.loads(made.read_text())["trained"] is True


@pytest.mark.parametrize(("first", "last"), [("2012-12-08", "2012-12-09"), ("1999-01-04", "1999-02-01")])
def test_days_that_cannot_be_forecast_fail_at_once(start: Start, first, last):
    ended = start(run_conf={"from": first, "to": last})

    assert ended.state == "failed"
    assert ended.tries["plan"] == 1
    assert ended.tasks["fold"] == Counter(upstream_failed=1)
    assert ended.note.startswith("**Stopped.** plan: BadSession: ")
    assert list(ended.home.iterdir()) == []


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"from": "2012-06-01"},
        {"from": "2012-06-01", "to": "yesterday"},
        {"from": "2012-06-01", "to": None},
        {"from": "2012-06-01", "to": "2999-01-04"},
        {"from": "2012-06-01", "to": "2012-07-01", "refit_every": 0},
        {"from": "2012-06-01", "to": "2012-07-01", "refit_every": 2001},
        {"from": "2012-06-01", "to": "2012-07-01", "symbols": "../x"},
    ],
)
def test_nonsense_is_refused_before_a_run_exists(dag, nonsense):
    scheduled = DagSerialization.from_json(DagSerialization.to_json(dag))

    with pytest.raises(ParamValidationError):
        scheduled.params.deep_merge(nonsense).validate()


def test_the_form_has_the_limits_of_the_settings_and_asks_for_no_more_than_the_two_days(dag):
    limits = Settings.model_json_schema()["properties"]
    form = {name: param.schema for name, param in dag.params.items()}

    assert form.keys() - {"from", "to"} <= limits.keys()
    for name in ("horizon", "training_steps", "refit_every"):
        of_number = limits[name].get("anyOf", [limits[name]])[0]  # the first of a number and nothing
        least, most = of_number["minimum"], of_number["maximum"]
        assert f"{least} to {most}" in dag.params.get_param(name).description
    assert form["source"]["enum"] == [None, *get_args(SourceName)]
    assert form["network"]["enum"] == [None, *get_args(NetworkName)]
    needed = [name for name in form if "null" not in form[name]["type"]]
    assert needed == ["from", "to"]
