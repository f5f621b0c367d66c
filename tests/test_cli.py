"""The commands about prices: verdicts for a file, what is held back, and a person's say."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import BadSetting
from pipeline.prices.sources.sample import SampleSource

BAD = pd.Timestamp("2013-02-27")


@pytest.fixture
def file(tmp_path: Path, home: Path) -> Path:
    """A year of IBM and MSFT, in which IBM's last but two close is far outside its bar."""
    bars = SampleSource().bars(("IBM", "MSFT"), SampleSource().last_session(), pd.Timestamp("2012-03-01").date())
    bars.loc[(bars["symbol"] == "IBM") & (bars["session"] == BAD), "close"] *= 1.5
    path = tmp_path / "prices.csv"
    bars.rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}).to_csv(path, index=False)
    return path


def call(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in words else done.output


def test_audit_gives_the_verdicts_of_a_file_and_stores_nothing(file: Path, home: Path) -> None:
    found = call("audit", "--source", "files", "--files", file, "--json")
    (verdict,) = [row for row in found["verdicts"] if row["verdict"] != "warn"]
    assert (verdict["symbol"], verdict["session"], verdict["verdict"]) == ("IBM", "2013-02-27", "quarantine")
    assert verdict["rule"]
    assert verdict["detail"]
    assert found["summary"]["quarantine"] == 1
    assert found["summary"]["symbols"] == 2
    assert not (home / "pipeline.db").exists()


def test_a_released_bar_is_believed_and_a_confirmed_one_is_not(file: Path) -> None:
    call("ingest", "--files", file)
    (held,) = call("quarantine", "--source", "files", "--json")
    assert (held["symbol"], held["session"], held["status"]) == ("IBM", "2013-02-27", "open")
    before = call("ingest", "--files", file, "--json")["snapshot"]
    call("quarantine", "confirm", str(held["id"]), "--source", "files")
    assert call("quarantine", "--source", "files", "--json") == []
    assert call("ingest", "--files", file, "--json")["snapshot"]["rows"] == before["rows"]
    call("quarantine", "release", str(held["id"]), "--source", "files", "--note", "it was so")
    (held,) = call("quarantine", "--source", "files", "--all", "--json")
    assert (held["status"], held["note"]) == ("released", "it was so")
    after = call("ingest", "--files", file, "--json")
    assert after["snapshot"]["rows"] == before["rows"] + 1
    assert after["new"] == after["revised"] == after["held_back"] == 0


def test_a_number_that_nothing_is_held_under_is_refused(file: Path) -> None:
    call("ingest", "--files", file)
    with pytest.raises(BadSetting, match="17"):
        call("quarantine", "release", "17", "--source", "files")


def test_the_same_ingestion_again_changes_nothing(file: Path) -> None:
    first = call("ingest", "--files", file, "--json")
    again = call("ingest", "--files", file, "--json")
    assert first["new"] > 0
    assert first["held_back"] == 1
    assert again["new"] == again["revised"] == again["held_back"] == 0
    assert again["snapshot"]["digest"] == first["snapshot"]["digest"]


def test_a_champion_can_be_withdrawn(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    from pipeline.config import Settings
    from pipeline.tracking import registry

    shutil.copytree(empty_home, tmp_path / "var")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    assert call("champions", "--json") == []
    assert "no network has been promoted yet" in call("champions")
    client = MlflowClient(Settings.load().tracking_uri)
    client.create_registered_model(registry.MODEL)
    for version, day in (("1", "2013-02-27"), ("2", "2013-02-28")):
        tags = {"as_of": day, "network": "lstm", "weights_sha256": "a", "description_sha256": "b", "source": "sample"}
        client.create_model_version(registry.MODEL, "/nowhere", tags=tags)
        registry.promote(Settings.load(), version, date.fromisoformat(day))
    assert [row["version"] for row in call("champions", "--json")] == ["2", "1"]
    assert "2013-02-28" in call("champions")
    assert "version 1 (lstm, since 2013-02-27) is champion again" in call("champions", "withdraw", "2")
    assert call("champions", "withdraw", "1", "--json") == {"withdrawn": "1", "champion": None}
    with pytest.raises(BadSetting, match="version 1 of daily-forecast is no champion; champions: there is none"):
        call("champions", "withdraw", "1")
