"""Every DAG can be read, listed, understood, stored and started with sensible parameters, and with those only."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from local import daily
from pipeline.config import NetworkName, Settings, SourceName
from pipeline.errors import BadUpstream, NoData, RateLimited, UnknownSymbol
from pipeline.jobs.trigger_form import FIELDS, MAX_SYMBOLS

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted(path.stem for path in (ROOT / "dags").glob("*.py") if not path.stem.startswith("_"))
FORM_ONLY = {"as_of", "whole_history", "make_latest"}  # parameters of the run, not settings


def stored_and_read(dag):
    """Return the DAG as the scheduler sees it."""
    return DagSerialization.from_json(DagSerialization.to_json(dag))


@pytest.fixture(scope="session")
def form(daily_forecast):
    """The form's check of a request, as Airflow makes it before a run is created."""
    scheduled = stored_and_read(daily_forecast)

    def check(**conf):
        return scheduled.params.deep_merge(conf).validate()

    return check


def test_every_file_is_read_and_gives_the_dag_of_its_name(dag_bag):
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == DAG_FILES


@pytest.mark.parametrize("dag_id", DAG_FILES)
def test_every_dag_is_documented_owned_and_tagged(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]

    assert len(dag.doc_md) > 500
    assert dag.description
    assert "closing-bell" in dag.tags
    assert dag.owner == "closing-bell"
    assert dag.catchup is False


@pytest.mark.parametrize("dag_id", DAG_FILES)
def test_every_task_is_documented_limited_in_time_and_tried_again_with_growing_pauses(dag_bag, dag_id):
    for task in dag_bag.dags[dag_id].tasks:
        assert task.doc_md, task.task_id
        assert task.retries >= 2, task.task_id
        assert task.retry_exponential_backoff > 1, task.task_id
        assert task.max_retry_delay, task.task_id
        assert task.execution_timeout, task.task_id


@pytest.mark.parametrize("dag_id", DAG_FILES)
def test_every_dag_survives_being_stored(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]
    stored = DagSerialization.to_json(dag)

    restored = DagSerialization.from_json(stored)

    assert restored.task_ids == dag.task_ids
    assert restored.timetable.can_be_scheduled is (dag.schedule is not None)
    if dag.schedule is not None:
        assert restored.timetable.serialize() == dag.timetable.serialize()
        assert restored.timetable.summary == dag.timetable.summary
    assert restored.params.dump() == dag.params.dump()
    assert json.loads(DagSerialization.to_json(dag)) == json.loads(stored)


def test_the_manual_names_every_task_asset_and_place_of_the_schedule(daily_forecast):
    for task in daily_forecast.tasks:
        assert f"`{task.task_id}`" in daily_forecast.doc_md
        for asset in task.outlets:
            assert f"`{asset.name}`" in daily_forecast.doc_md
    assert "airflow backfill create --dag-id daily_forecast" in daily_forecast.doc_md


def test_a_rate_limit_waits_longer_than_what_is_late_and_an_unknown_symbol_is_not_tried_again(daily_forecast):
    from _dag_common import DEFAULT_ARGS, PRICE_POOL  # from the folder that reading the DAGs put on the path

    ingest = daily_forecast.get_task("ingest")
    policy = ingest.partial_kwargs["retry_policy"]

    def delay(error):
        return policy.evaluate(error, 1, 3).retry_delay or timedelta(0)

    assert ingest.partial_kwargs["pool"] == PRICE_POOL == daily.POOL
    assert delay(RateLimited()) > delay(NoData()) > DEFAULT_ARGS["retry_delay"]
    assert delay(BadUpstream()) == timedelta(0)  # the task's own growing pauses
    assert not UnknownSymbol().retryable  # see `in_airflow_words`


def test_one_session_at_a_time_and_one_task_after_another_but_for_the_contenders(daily_forecast):
    assert daily_forecast.max_active_runs == 1
    after = {"plan": set(), "ingest": set(), "ingest_events": set(), "score": {"audit_and_snapshot"}}
    after |= {"audit_and_snapshot": {"ingest", "ingest_events"}}
    after |= {"train": {"score"}, "baseline": {"score"}, "compare": {"train", "baseline"}}
    after |= {"upload": {"compare"}, "judge": {"upload"}, "forecast": {"judge"}, "publish": {"forecast"}}
    assert {task.task_id: task.upstream_task_ids - {"plan"} for task in daily_forecast.tasks} == after
    assert all("plan" in task.upstream_task_ids for task in daily_forecast.tasks if task.task_id != "plan")
    assert daily_forecast.get_task("ingest").is_mapped


def test_each_baseline_has_a_task_of_its_own(daily_forecast):
    from pipeline.forecast_schema import BASELINE_FAMILIES

    assert daily_forecast.get_task("baseline").op_kwargs_expand_input.value == {"family": list(BASELINE_FAMILIES)}


def test_a_backfill_means_the_sessions_of_its_dates(daily_forecast):
    scheduled = stored_and_read(daily_forecast)

    runs = list(
        scheduled.iter_dagrun_infos_between(datetime(2012, 11, 21, tzinfo=UTC), datetime(2012, 11, 26, tzinfo=UTC))
    )

    assert [run.logical_date.date() for run in runs] == [date(2012, 11, 21), date(2012, 11, 23), date(2012, 11, 26)]


@pytest.mark.slow
def test_the_schedule_follows_the_settings_of_the_exchange():
    code = "import daily_forecast; print(daily_forecast.daily_forecast().schedule.summary)"

    assert in_airflow(code, PIPELINE_EXCHANGE="XLON", PIPELINE_CLOSE_DELAY_MINUTES="45") == "XLON close + 45 min"
    assert in_airflow(code, PIPELINE_EXCHANGE="", PIPELINE_CLOSE_DELAY_MINUTES="") == "XNYS close + 30 min"


def test_reading_the_dags_imports_nothing_heavy():
    code = f"import sys, {', '.join(DAG_FILES)}; print(*sorted(sys.modules))"

    modules = in_airflow(code).split()
    imported = {name.partition(".")[0] for name in modules}

    assert not imported & {"pandas", "numpy", "torch", "mlflow", "exchange_calendars", "pydantic_settings"}
    # Which errors are tried again late is part of the schedule.
    assert {name for name in modules if name.startswith("pipeline.")} <= {"pipeline.errors"}


def in_airflow(code: str, **variables: str) -> str:
    """Return what a fresh process prints that has the folders of DAGs and plugins on its path, as Airflow's have."""
    paths = os.pathsep.join(str(ROOT / folder) for folder in (".", "dags", "plugins"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"symbols": "../../etc/passwd"},
        {"symbols": "AAPL;IBM"},
        {"symbols": f"AAPL, {21 * 'A'}"},
        {"symbols": "ＡＡＰＬ"},
        {"symbols": ""},
        {"symbols": ["AAPL"]},
        {"as_of": "yesterday"},
        {"as_of": "2013-02-30"},
        {"as_of": "20130228"},
        {"as_of": 20130228},
        {"source": "bloomberg"},
        {"network": "transformer"},
        {"horizon": 0},
        {"horizon": 61},
        {"horizon": 2.5},
        {"horizon": "5"},
        {"retrain_every": 253},
        {"whole_history": "yes"},
        {"as_of": "2013-03-02"},  # a Saturday
        {"as_of": "2012-11-22"},  # Thanksgiving
        {"as_of": "2999-01-04"},
        {"training_steps": 0},
        {"training_steps": 100_001},
        {"training_steps": True},
    ],
)
def test_nonsense_is_refused_before_a_run_exists(form, nonsense):
    (name,) = nonsense
    with pytest.raises(ParamValidationError, match=f"^Invalid input for param {name}: [^\\n]+$") as refused:
        form(**nonsense)
    assert not any(jargon in str(refused.value) for jargon in ("schema", "(?=", "Failed validating"))


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"symbols": "AAPL"},
        {"symbols": " aapl, BRK-B  ^GSPC\nEURUSD=X,7203.T "},
        {"symbols": f"IBM, {20 * 'A'}"},
        {"as_of": "2013-02-28", "source": "sample", "network": "rnn", "horizon": 1, "training_steps": 100_000},
        {"symbols": None, "as_of": None, "source": None, "network": None, "horizon": None, "training_steps": None},
    ],
)
def test_what_makes_sense_is_taken(form, request_):
    assert form(**request_).items() >= request_.items()


def test_every_parameter_has_a_title_a_section_and_help_and_may_be_left_empty(daily_forecast):
    for name, param in daily_forecast.params.items():
        assert param.description, name
        assert param.value is None, name
        assert {"title", "section"} <= param.schema.keys(), name


def test_the_form_tells_the_limits_of_the_settings_and_leaves_them_to_the_check(daily_forecast):
    limits = Settings.model_json_schema()["properties"]
    form = {name: param.schema for name, param in daily_forecast.params.items()}

    assert form.keys() - FORM_ONLY <= limits.keys()
    for name in ("horizon", "training_steps", "retrain_every"):
        of_number = limits[name].get("anyOf", [limits[name]])[0]  # the first of a number and nothing
        least, most = of_number["minimum"], of_number["maximum"]
        assert f"{least} to {most}" in daily_forecast.params.get_param(name).description
    # The UI silently changes a number to the nearest one between these two.
    assert not any({"minimum", "maximum", "pattern"} & schema.keys() for schema in form.values())
    assert form["source"]["enum"] == [None, *get_args(SourceName)]
    assert form["network"]["enum"] == [None, *get_args(NetworkName)]
    assert f"{MAX_SYMBOLS:,}" in daily_forecast.params.get_param("symbols").description


@pytest.mark.parametrize("dag_id", DAG_FILES)
def test_every_field_of_a_form_is_checked_in_words(dag_bag, dag_id):
    import form_checks

    assert set(form_checks.FIELDS) == set(FIELDS)
    for name, param in dag_bag.dags[dag_id].params.items():
        assert name in FIELDS
        assert param.schema["allOf"] == [{"format": form_checks.format_of(name)}], name
