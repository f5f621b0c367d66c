"""The files of the track record: by source and quarter, written again only where something has changed."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.errors import CorruptFile
from pipeline.publishing import track_record_files
from pipeline.storage import Folder
from tests.publishing.conftest import recent
from tests.publishing.test_publisher import state


def rows(symbol: str = "AAPL", days: int = 150, series: str = "") -> pd.DataFrame:
    return recent(symbol, days=days).assign(series=series)


@pytest.fixture
def root(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_is_written_is_read_in_the_order_of_its_sessions(root: Folder) -> None:
    track_record_files.write(root, "sample", pd.concat([rows("IBM"), rows("AAPL"), rows("AAPL", series="t1")]))
    found = track_record_files.read(root, "sample")
    assert len(found) == 450
    assert found["target_session"].to_pylist() == sorted(found["target_session"].to_pylist())
    assert found["symbol"].to_pylist()[:3] == ["AAPL", "AAPL", "IBM"]
    assert set(track_record_files.read(root, "sample", "IBM")["symbol"].to_pylist()) == {"IBM"}
    assert track_record_files.sources(root) == ["sample"]


def test_only_the_quarter_that_has_changed_is_written_again(root: Folder) -> None:
    before = rows()
    track_record_files.write(root, "sample", before)
    folder = root.path / "record/source=sample"
    assert [path.name for path in sorted(folder.iterdir())] == ["2012Q4.parquet", "2013Q1.parquet"]
    old = state(folder)
    track_record_files.write(root, "sample", before)
    assert state(folder) == old
    track_record_files.write(root, "sample", pd.concat([before, rows("IBM", days=5)]))
    changed = {path for path, content in state(folder).items() if old[path] != content}
    assert {Path(path).name for path in changed} == {"2013Q1.parquet"}


def test_files_of_an_older_version_have_no_flag_of_reports(root: Folder) -> None:
    track_record_files.write(root, "sample", rows(days=150).assign(report_due=True))
    older = root.path / "record/source=sample/2012Q4.parquet"
    pq.write_table(pq.read_table(older).drop_columns(["report_due"]), older)
    found = track_record_files.read(root, "sample")
    assert found.schema.equals(track_record_files.SCHEMA)
    years = [day.year for day in found["target_session"].to_pylist()]
    flags = set(zip(years, found["report_due"].to_pylist(), strict=True))
    assert flags == {(2012, None), (2013, True)}


@pytest.mark.parametrize(
    ("as_of", "first"),
    [
        (date(2013, 3, 1), date(2011, 10, 1)),
        (date(2013, 1, 1), date(2011, 10, 1)),
        (date(2012, 12, 31), date(2011, 7, 1)),
        (date(2026, 6, 30), date(2025, 1, 1)),
    ],
)
def test_a_publication_writes_whole_quarters(as_of: date, first: date) -> None:
    assert track_record_files.first_day(as_of) == first


def test_only_the_last_quarters_are_read(root: Folder) -> None:
    for back in range(track_record_files.QUARTERS + 2):
        moved = timedelta(days=91 * back)
        part = rows(days=5)
        track_record_files.write(root, "sample", part.assign(target_session=part["target_session"] - moved))
    assert len(track_record_files.read(root, "sample")) == 5 * track_record_files.QUARTERS


def test_a_file_that_cannot_be_read_is_named(root: Folder) -> None:
    track_record_files.write(root, "sample", rows(days=5))
    root.write("record/source=sample/2013Q1.parquet", b"PAR1")
    with pytest.raises(CorruptFile, match=r"2013Q1\.parquet cannot be read"):
        track_record_files.read(root, "sample")


def test_a_source_without_a_record_has_an_empty_one(root: Folder) -> None:
    assert len(track_record_files.read(root, "sample")) == 0
    assert track_record_files.sources(root) == []
