"""Matured forecasts: the rows of record.parquet as a type, and back as they lie in files."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from pipeline.errors import CorruptFile
from pipeline.forecast_schema import LEVELS, RANGES, RECORD, inside_column, quantile_column
from pipeline.publishing.matured_forecasts import matured_forecasts
from pipeline.publishing.tables.daily_tables import RECORD_SCHEMA
from pipeline.storage.documents import to_document

ROW: dict[str, Any] = {
    "symbol": "AAPL",
    "as_of": date(2013, 2, 28),
    "target_session": date(2013, 3, 1),
    "last_close": 100.0,
    "model": "lstm",
    "model_version": "3",
    "in_time": True,
    **{quantile_column(level): 95.0 + 10 * level for level in LEVELS},
    "close": 103.5,
    "crps_bp": 120.0,
    "baseline_crps_bp": None,
    **{inside_column(share): share == 90 for share in RANGES},
    "report_due": True,
}


def test_a_row_of_the_record_has_prices_by_level_and_hits_by_range() -> None:
    (row,) = matured_forecasts(pa.Table.from_pylist([ROW], schema=RECORD_SCHEMA), where="record.parquet")
    assert row.range(80) == pytest.approx((96.0, 104.0))
    assert row.median == pytest.approx(100.0)
    assert dict(row.inside) == {50: False, 80: False, 90: True}
    assert row.baseline_crps_bp is None


def test_as_a_document_it_has_the_columns_of_the_file() -> None:
    (row,) = matured_forecasts(pa.Table.from_pylist([ROW], schema=RECORD_SCHEMA), where="record.parquet")
    document = to_document(row)
    assert tuple(document) == RECORD
    assert document == {**ROW, "as_of": "2013-02-28", "target_session": "2013-03-01"}


def test_a_file_that_lacks_a_column_is_refused_by_its_name() -> None:
    table = pa.Table.from_pylist([ROW], schema=RECORD_SCHEMA)
    with pytest.raises(CorruptFile, match=r"^as_of=2013-03-01/record.parquet does not fit this version: close: "):
        matured_forecasts(table.drop_columns(["close"]), where="as_of=2013-03-01/record.parquet")
    with pytest.raises(CorruptFile, match=r"quantiles\.0\.9: "):
        matured_forecasts(table.drop_columns(["q0.9"]), where="record.parquet")
