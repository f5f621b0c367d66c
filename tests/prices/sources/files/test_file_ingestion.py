"""From a price file to the store: unreadable cells are held back with their text, and how it was read is told."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.errors import NothingToForecast
from pipeline.jobs import audit_report, health_checks, task_log
from pipeline.storage.documents import to_document
from tests.prices.sources.files.made_files import SESSIONS, rows

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAYS = SESSIONS[-40:]


@pytest.fixture
def prices(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(empty_home, tmp_path / "var")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("PIPELINE_SOURCE", "files")
    monkeypatch.setenv("PIPELINE_FILES", str(tmp_path / "prices.csv"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "prices.csv"


def written(path: Path, *, close: str = "n/a", extra: str = "") -> None:
    lines = rows(DAYS).splitlines()
    cells = lines[-1].split(",")
    lines[-1] = ",".join([*cells[:5], close, cells[6]])
    other = rows(DAYS, symbol="MSFT").splitlines()[1:]
    path.write_text("\n".join([*lines, *other, extra]))


def taken_in() -> dict[str, Any]:
    planned = jobs.plan(key=None, now=NOW, overrides=Overrides(), provenance={})
    result = jobs.ingest_all(planned, known_at=NOW)
    return {**to_document(result), "run": planned.run}


def test_an_unreadable_last_bar_withholds_its_symbol_with_the_text_and_nobody_else(prices: Path) -> None:
    written(prices)
    result = taken_in()
    assert (result["new"], result["held_back"]) == (79, 1)
    frozen = jobs.snapshot(result["run"], known_at=NOW)
    assert (frozen.reject, frozen.gaps) == (1, 0)  # it is there, so it is not missing
    (doubtful,) = frozen.doubtful
    assert doubtful.symbol == "IBM"
    assert doubtful.reason == f"its bar of {DAYS[-1]} is in quarantine: line 41: close 'n/a' is not a number"


def test_taking_the_same_file_in_again_changes_nothing_and_a_corrected_one_settles_it(prices: Path) -> None:
    written(prices)
    taken_in()
    again = taken_in()
    assert (again["new"], again["revised"], again["held_back"]) == (0, 0, 0)
    written(prices, close="110.75")
    corrected = taken_in()
    assert (corrected["new"], corrected["held_back"]) == (1, 0)
    (held,) = audit_report.held_back(Overrides())
    assert (held.status, held.verdict, held.rule) == ("settled", "reject", "unreadable")


def test_a_cell_that_becomes_unreadable_does_not_replace_what_is_stored(prices: Path) -> None:
    written(prices, close="110.75")
    taken_in()
    written(prices)
    result = taken_in()
    assert (result["new"], result["revised"], result["held_back"]) == (0, 0, 1)
    assert jobs.snapshot(result["run"], known_at=NOW).doubtful == ()


def test_rows_of_no_bar_are_named_in_audit_and_ingestion(prices: Path) -> None:
    written(prices, close="110.75", extra="IBM,2031-03-01,1,1,1,1,1\n,2013-03-01,1,1,1,1,1\nTotal,,,,,,99")
    result = taken_in()
    noted = [note["detail"] for batch in result["batches"] for note in batch["notes"]]
    audited = audit_report.audit(Overrides(), now=NOW, as_of=None)
    rejected = [row.detail for row in audited.findings if row.verdict == "reject"]
    for words in ("line 82: the date '2031-03-01' is in the future", "line 83: the symbol is blank"):
        assert any(detail.startswith(words) for detail in noted)
        assert any(detail.startswith(words) for detail in rejected)
    assert any(detail.startswith("line 84: the date is blank: 'Total") for detail in noted)
    assert audited.counts["rows left out"] == 2
    assert [row.session for row in audited.findings] == ["", ""]


def test_everybody_is_told_how_the_file_was_read(prices: Path) -> None:
    written(prices, close="110.75")
    told = "Plain format, ISO dates, prices as given"
    planned = jobs.plan(key=None, now=NOW, overrides=Overrides(), provenance={})
    result = jobs.ingest(planned.run, planned.batches[0], known_at=NOW)
    assert task_log.lines(result)[0] == f"prices read as: {told}"
    assert audit_report.audit(Overrides(), now=NOW, as_of=None).read_as == told
    source = {row.what: row for row in health_checks.examine(now=NOW)}["source"]
    assert source.found == f"2 symbols up to {DAYS[-1]}: {told}"


def test_where_every_symbol_is_unreadable_the_run_ends_in_a_line(prices: Path) -> None:
    written(prices)
    lines = [line for line in prices.read_text().splitlines() if not line.startswith("MSFT")]
    prices.write_text("\n".join(lines))
    result = taken_in()
    with pytest.raises(NothingToForecast, match="'n/a' is not a number"):
        jobs.snapshot(result["run"], known_at=NOW)
