"""The commands about prices: verdicts for a file, what is held back, and a person's say."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import BadSetting
from pipeline.prices.sources.sample import SampleSource

EARLY = "IBM: every bar seems to be one day early"
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


@pytest.fixture
def adjusted(file: Path) -> Path:
    """The same year adjusted for its dividends, with the dividends next to it, and IBM's dates a day early."""
    table = pd.read_csv(file, parse_dates=["date"])
    parts = []
    for symbol, part in table.groupby("symbol"):
        paid = 6 * part["dividends"]  # large enough to be seen within a year
        step = (1 - paid / part["close"].shift()).fillna(1)
        factor = step[::-1].cumprod()[::-1].shift(-1, fill_value=1)
        moved = pd.Timedelta(1 if symbol == "IBM" else 0, unit="D")
        prices = {name: part[name] * factor for name in ("open", "high", "low")}
        close = part["close"].where(part["date"] != BAD, part["open"]) * factor
        parts.append(part.assign(**prices, close=close, dividends=paid, date=part["date"] - moved))
    pd.concat(parts).to_csv(file, index=False)
    return file


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "audit",
            ["MSFT: the prices are already adjusted for the 4 dividends", EARLY],
        ),
        ("audit", ["quarantine shifted: 251 bars of IBM", "(251 bars)"]),
        (
            "ingest",
            ["MSFT: the prices are already adjusted for the dividends", EARLY],
        ),
    ],
)
def test_what_is_noted_of_a_symbol_is_said_without_json(adjusted: Path, command: str, words: list[str]) -> None:
    told = " ".join(call(command, "--source", "files", "--files", adjusted).split())
    assert all(each in told for each in ["Data quality", *words]), told


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
    with pytest.raises(BadSetting, match="version 1 of daily-forecast is not a champion; champions: none"):
        call("champions", "withdraw", "1")
