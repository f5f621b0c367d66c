"""`closing-bell events` and `ingest` say what is scheduled, what is known of it and what is wrong with it."""

import json
from pathlib import Path

import pytest

from pipeline.cli import app


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert app.app([*words], prog_name="closing-bell", standalone_mode=False) in (None, 0)
    return capsys.readouterr().out


@pytest.fixture
def file(home: Path) -> Path:
    path = home.parent / "events.csv"
    path.write_text("symbol,date,time\nAAPL,2013-01-23,amc\nAAPL,2013-04-23,amc\nAAPL,2013-04-25,\nIBM,2013-03-02,\n")
    return path


def test_ingest_reports_events_next_to_prices(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    answer = said(capsys, "ingest", "--symbols", "AAPL,IBM", "--events", str(file), "--quiet")
    assert "scheduled events from files: 3 new, 0 changed, 0 cancelled, 0 unchanged" in answer
    assert "AAPL 2013-04-25: 2013-04-25 is within a week of 2013-04-23, which has a time of day" in answer
    document = json.loads(said(capsys, "ingest", "--symbols", "AAPL,IBM", "--events", str(file), "--quiet", "--json"))
    assert (document["events"]["new"], document["events"]["unchanged"]) == (0, 3)
    assert document["snapshot"]["events"] == 3


def test_events_lists_what_is_to_come_what_is_known_and_verdicts(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    options = ["--symbols", "AAPL,IBM,GOOG", "--events", str(file)]
    assert "none; run ingest first" in said(capsys, "events", *options)
    said(capsys, "ingest", *options, "--quiet")
    text = said(capsys, "events", *options)
    for words in ("Tue 2013-04-23", "after the close", "without a calendar: GOOG", "within_a_week", "no_session"):
        assert words in text
    document = json.loads(said(capsys, "events", *options, "--json"))
    assert [(one["symbol"], one["day"]) for one in document["coming"]] == [
        ("IBM", "2013-03-02"),
        ("AAPL", "2013-04-23"),
    ]
    assert document["without"] == ["GOOG"]


def test_without_a_source_events_says_how_to_name_one(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert "PIPELINE_EVENTS" in said(capsys, "events", "--events", "none")
