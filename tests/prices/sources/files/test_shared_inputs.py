"""Price files that once were misread, through `audit` and `run`; skipped where the collection is absent."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.cli import app
from pipeline.config import Settings

ROOT = Path(__file__).resolve().parents[4]
INPUTS = ROOT.parent / "shared" / "inputs"

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="the collection of price files is not here")

SMALL = {
    "PIPELINE_NETWORK": "mlp",
    "PIPELINE_TRAINING_STEPS": "2",
    "PIPELINE_HIDDEN_SIZE": "4",
    "PIPELINE_CONTEXT_LENGTH": "5",
    "PIPELINE_BATCH_SIZE": "8",
    "PIPELINE_HOLDOUT_SESSIONS": "20",
    "PIPELINE_VALIDATION_SESSIONS": "20",
    "PIPELINE_HORIZON": "2",
}


@pytest.fixture
def command(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    shutil.copytree(empty_home, tmp_path / "var")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["pipeline", *words, "--json"])
        with pytest.raises(SystemExit) as ended:
            app.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(told.out) if told.out.strip() else None, told.err

    return run


@pytest.mark.parametrize(
    ("name", "read_as", "symbols", "bars", "as_of", "left_out"),
    [
        ("r01_dates_dd_mm_yy.csv", "day-first dates", 1, 120, "2013-03-01", []),
        ("r02_dates_yyyymmdd.csv", "dates as YYYYMMDD", 1, 60, "2013-03-01", []),
        ("r02c_one_date_2031.csv", "ISO dates", 1, 60, "2013-03-01", ["the date '2031-03-01' is in the future"]),
        ("r03_close_and_Close.csv", "ISO dates", 1, 5, "2013-03-01", []),
        ("r04_leading_zeros.csv", "ISO dates", 2, 120, "2013-03-01", []),
        ("r05_ticker_NA.csv", "ISO dates", 2, 120, "2013-03-01", []),
        ("r06_dollar_signs.csv", "ISO dates", 1, 60, "2013-03-01", []),
        ("r06c_volume_M.csv", "ISO dates", 1, 60, "2013-03-01", []),
        ("r07_tokyo_midnight_as_utc.csv", "moved from UTC to the market's dates", 1, 60, "2013-03-01", []),
        ("r08_btc_and_ibm.csv", "ISO dates", 2, 120, "2013-03-01", []),
        ("r09_infy_and_ibm_to_2026_11_25.csv", "ISO dates", 2, 120, "2026-11-25", []),
        ("r11_saudi_and_ibm.csv", "ISO dates", 2, 120, "2026-11-19", []),
        ("r13_semicolon.csv", "ISO dates", 1, 60, "2013-03-01", []),
        ("r14_datetimeindex.parquet", "typed dates", 1, 60, "2013-03-01", []),
        ("r15_yfinance_header.csv", "yfinance format", 1, 60, "2013-03-01", []),
        ("r16_tiingo_names.csv", "Tiingo format, ISO dates, raw prices, 1 split", 1, 103, "2003-05-30", []),
    ],
)
def test_each_file_is_read_as_it_was_meant(
    command: Any, name: str, read_as: str, symbols: int, bars: int, as_of: str, left_out: list[str]
) -> None:
    status, result, _ = command("audit", "--files", str(INPUTS / name))
    summary = result["summary"]
    assert status == 0
    assert read_as in summary["read_as"]
    assert (summary["symbols"], summary["bars"], summary["as_of"]) == (symbols, bars, as_of)
    assert summary["accept"] == bars
    found = [row["detail"] for row in result["verdicts"]]
    assert len(found) == len(left_out)
    assert all(words in detail for words, detail in zip(left_out, found, strict=True))


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("r01_dates_dd_mm_yy.csv", ["IBM"]),
        ("r02c_one_date_2031.csv", ["IBM"]),
        ("r04_leading_zeros.csv", ["000001", "000002"]),
        ("r05_ticker_NA.csv", ["AAPL", "NA"]),
    ],
)
def test_a_run_publishes_what_the_file_says(command: Any, tmp_path: Path, name: str, symbols: list[str]) -> None:
    status, _, error = command("run", "--quiet", "--latest", "--files", str(INPUTS / name))
    assert (status, error) == (0, "")
    (folder,) = (tmp_path / "var" / "published").glob("as_of=*")
    assert folder.name == "as_of=2013-03-01"
    published = pd.read_parquet(folder / "forecasts.parquet")
    assert sorted(published["symbol"].unique()) == symbols
    provenance = json.loads((folder / "manifest.json").read_text())["provenance"]
    assert provenance["prices_read_as"].startswith("Plain format, ")
    assert "Prices read as" in (folder / "report.html").read_text()


def test_dividends_that_the_prices_contain_are_not_counted_again(command: Any) -> None:
    status, result, _ = command("audit", "--files", str(INPUTS / "r10_auto_adjusted_with_dividends.csv"))
    (note,) = result["summary"]["notes"]
    assert (status, note["symbol"], note["rule"]) == (0, "CALM", "dividends_in_prices")
    assert "already adjusted for the 5 dividends" in note["detail"]


@pytest.mark.parametrize(
    ("name", "horizon", "estimated"),
    [
        ("r08_btc_and_ibm.csv", 3, {"BTC-USD": 0, "IBM": 0}),
        ("r09_infy_and_ibm_to_2026_11_25.csv", 30, {"IBM": 0, "INFY.NS": 5}),
        pytest.param("r11_saudi_and_ibm.csv", 3, {"2222.SR": 0, "IBM": 0}, marks=pytest.mark.slow),
    ],
)
def test_two_markets_in_a_file_are_each_forecast_on_their_own_days(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, horizon: int, estimated: dict[str, int]
) -> None:
    monkeypatch.setenv("PIPELINE_HORIZON", str(horizon))
    monkeypatch.setenv("PIPELINE_HOLDOUT_SESSIONS", "30")
    monkeypatch.setenv("PIPELINE_VALIDATION_SESSIONS", "30")
    status, _, error = command("run", "--quiet", "--latest", "--files", str(INPUTS / name))
    assert (status, error) == (0, "")
    (folder,) = (tmp_path / "var" / "published").glob("as_of=*")
    published = pd.read_parquet(folder / "forecasts.parquet")
    for symbol, rows in published.groupby("symbol"):
        sessions = Settings.load().clock.sessions_of(str(symbol))
        assert list(rows["target_session"]) == sessions.following(rows["last_session"].iloc[0], horizon)
    found = published.groupby("symbol")["target_session_estimated"].sum()
    assert found.to_dict() == estimated
