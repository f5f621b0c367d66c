"""Which symbols are forecast from which session, and what is said of the others."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Settings
from pipeline.errors import NothingToForecast
from pipeline.forecast_schema import BASELINES
from pipeline.prices.sources.sample import SampleSource
from pipeline.storage.documents import to_document
from tests.jobs.backtest.walked import COLUMNS, LAST, NOW, plan


def test_with_too_little_history_the_baselines_are_judged_alone_and_the_reason_is_kept(new_home: Path) -> None:
    planned = plan(last=date(2012, 12, 14), symbols="FB", refit_every=63)
    result = to_document(jobs.backtest_all(planned, known_at=NOW, out=new_home.parent / "out.csv"))
    assert set(result["scores"]["models"]) == set(BASELINES)
    assert "too little history" in result["folds"][0]["reason"]
    assert result["gained_bp"] == []
    table = pd.read_csv(new_home.parent / "out.csv")
    assert list(table.columns) == COLUMNS
    assert table["as_of"].iloc[0] == "2012-12-03"


def test_a_symbol_of_another_market_is_forecast_from_its_own_last_session(new_home: Path) -> None:
    bars = SampleSource().bars(("IBM",), date(2013, 1, 31), date(2012, 1, 3))
    london = Settings.load().clock.sessions_on("XLON")
    other = bars[[london.is_session(day.date()) for day in bars["session"]]].assign(symbol="IBM.L")
    table = pd.concat([bars, other]).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    table.drop(columns="currency", errors="ignore").to_csv(new_home.parent / "prices.csv", index=False)
    planned = plan(
        date(2012, 12, 24), date(2012, 12, 28), symbols="", source="files", files=str(new_home.parent / "prices.csv")
    )
    jobs.backtest_all(planned, known_at=NOW, out=new_home.parent / "out.parquet")
    frame = pd.read_parquet(new_home.parent / "out.parquet")
    boxing_day = frame[(frame["as_of"] == date(2012, 12, 26)) & (frame["model"] == "random_walk")].set_index("symbol")
    closes = bars.set_index("session")["close"]
    assert boxing_day.loc["IBM", "last_close"].iloc[0] == closes["2012-12-26"]
    assert boxing_day.loc["IBM.L", "last_close"].iloc[0] == closes["2012-12-24"]
    assert boxing_day.loc["IBM.L", "target_session"].tolist() == [
        date(2012, 12, 27),
        date(2012, 12, 28),
        date(2012, 12, 31),
    ]


def test_doubt_about_the_last_session_does_not_take_the_past_away(new_home: Path) -> None:
    bars = SampleSource().bars(("IBM",), date(2012, 12, 20), date(2012, 1, 3))
    table = bars[bars["session"] != "2012-12-19"].rename(columns={"session": "date"})
    table[["symbol", "date", "open", "high", "low", "close", "volume"]].to_csv(
        new_home.parent / "prices.csv", index=False
    )
    planned = plan(date(2012, 12, 10), LAST, symbols="IBM", source="files", files=str(new_home.parent / "prices.csv"))
    jobs.ingest_all(planned, known_at=NOW)
    with pytest.raises(NothingToForecast):
        jobs.snapshot(planned.run, known_at=NOW)
    result = to_document(jobs.backtest_all(planned, known_at=NOW))
    assert result["scores"]["sessions"] == 4  # 10 to 13 December: the targets of later ones touch the missing session
    assert result["windows"]["forecast"] == 7  # and from 19 December itself there is none
