"""The tables: the same numbers in three forms, in bytes that depend on nothing else."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.forecast_schema import COLUMNS, ESTIMATED, LAST_SESSION, QUANTILES, RECORD
from pipeline.publishing.edition import Edition
from pipeline.publishing.tables.daily_tables import (
    PUBLISHED_SCHEMA,
    RECORD_SCHEMA,
    as_csv,
    as_json,
    as_parquet,
    dump,
    record_as_parquet,
)


def test_parquet_has_the_columns_that_programs_rely_on(make_edition: Callable[..., Edition]) -> None:
    table = pq.read_table(io.BytesIO(as_parquet(make_edition())))
    assert table.schema.equals(PUBLISHED_SCHEMA, check_metadata=True)
    assert table.column_names == [*COLUMNS, LAST_SESSION, ESTIMATED]
    assert table.num_rows == 6


def test_csv_and_json_hold_the_numbers_of_the_parquet(make_edition: Callable[..., Edition]) -> None:
    edition = make_edition()
    frame = pd.read_parquet(io.BytesIO(as_parquet(edition)))
    rows = list(csv.DictReader(io.StringIO(as_csv(edition).decode())))
    document = json.loads(as_json(edition))
    steps = [step for each in document["forecasts"] for step in each["steps"]]
    for level in ("0.05", "0.5", "0.95"):
        exact = frame[f"q{level}"].to_list()
        assert [float(row[f"q{level}"]) for row in rows] == exact
        assert [step["quantiles"][level] for step in steps] == exact
    assert [row["target_session"] for row in rows] == [step["target_session"] for step in steps]


@pytest.mark.parametrize("form", [as_parquet, as_csv, as_json])
def test_bytes_depend_on_the_content_alone(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame], form: Callable[[Edition], bytes]
) -> None:
    shuffled = make_forecasts().sample(frac=1, random_state=3)
    other_run = make_edition(forecasts=shuffled, provenance={"mlflow_run_id": "another"})
    assert form(make_edition()) == form(other_run)


def test_json_says_who_is_withheld_and_which_model_each_symbol_has(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    frame = make_forecasts(("AAPL", "FB"))
    short = frame["symbol"] == "FB"
    frame.loc[short, ["model", "model_version"]] = ["ewma_historical", ""]
    document = json.loads(as_json(make_edition(forecasts=frame, withheld=[{"symbol": "NEW", "reason": "too short"}])))
    assert document["withheld"] == [{"symbol": "NEW", "reason": "too short"}]
    assert (document["model"], document["model_version"], document["horizon"]) == ("lstm", "3", 2)
    assert document["levels"] == [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    assert [(each["model"], each["model_version"]) for each in document["forecasts"]] == [
        ("lstm", "3"),
        ("ewma_historical", None),
    ]


def test_no_cell_of_the_csv_is_a_formula(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    hostile = ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tA")
    rows = csv.DictReader(io.StringIO(as_csv(make_edition(forecasts=make_forecasts(hostile))).decode()))
    assert {row["symbol"] for row in rows} == {f"'{symbol}" for symbol in hostile}


def test_json_never_holds_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump({"crps_bp": float("nan")})


def test_the_record_has_the_columns_that_programs_rely_on(make_edition: Callable[..., Edition]) -> None:
    forecast = {"symbol": "AAPL", "target_session": date(2013, 2, 28), "last_close": 99.0, "model": "lstm"}
    outcome = {
        "close": 101.0,
        "crps_bp": 80.0,
        "baseline_crps_bp": 82.5,
        "inside_50": 0,
        "inside_80": 1,
        "inside_90": 1,
        "report_due": None,
    }
    range_ = dict(zip(QUANTILES, range(97, 104), strict=True))
    row = {**forecast, "as_of": date(2013, 2, 27), "model_version": None, "in_time": 0, **range_, **outcome}
    later = {**row, "as_of": date(2013, 2, 28), "target_session": date(2013, 3, 1), "model_version": "3"}
    later["report_due"] = True
    table = pq.read_table(io.BytesIO(record_as_parquet(make_edition(recent=pd.DataFrame([later, row])))))
    assert table.schema.equals(RECORD_SCHEMA, check_metadata=True)
    assert table.column_names == list(RECORD)
    assert table["as_of"].to_pylist() == [row["as_of"], later["as_of"]]
    assert table["inside_50"].to_pylist() == [False, False]
    assert table["q0.95"].to_pylist() == [103.0, 103.0]
    assert table["model_version"].to_pylist() == [None, "3"]
    assert table["report_due"].to_pylist() == [None, True]
    for nothing in (None, pd.DataFrame(columns=list(RECORD))):
        assert pq.read_table(io.BytesIO(record_as_parquet(make_edition(recent=nothing)))).num_rows == 0


def test_json_has_the_last_closes_for_who_draws_a_forecast(make_edition: Callable[..., Edition]) -> None:
    closes = json.loads(as_json(make_edition()))["forecasts"][0]["recent_closes"]
    assert closes == make_edition().history.query("symbol == 'AAPL'")["close"].to_list()[-60:]
