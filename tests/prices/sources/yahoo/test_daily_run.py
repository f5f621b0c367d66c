"""The whole daily run on Yahoo's answers, day after day and with faults: what is published, and what is said."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.errors import RateLimited, UnknownSymbol
from pipeline.prices.sources.yahoo.yahoo_source import YahooSource
from pipeline.storage.documents import to_document
from tests.prices.sources.yahoo.server import Yahoo

WEDNESDAY, THURSDAY, FRIDAY = date(2013, 2, 27), date(2013, 2, 28), date(2013, 3, 1)
SYMBOLS = "AAPL, IBM, MSFT"


@pytest.fixture(autouse=True)
def _settings(empty_home: Path, home: Path, yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(empty_home, home)
    monkeypatch.setitem(YahooSource.__init__.__kwdefaults__, "sleep", lambda _seconds: None)
    for name, value in {
        "SOURCE": "yahoo",
        "SYMBOLS": SYMBOLS,
        "YAHOO_URL": yahoo.url,
        "TRAINING_STEPS": 5,
        "BATCH_SIZE": 32,
        "CONTEXT_LENGTH": 10,
        "HIDDEN_SIZE": 8,
        "HOLDOUT_SESSIONS": 60,
        "VALIDATION_SESSIONS": 40,
    }.items():
        monkeypatch.setenv(f"PIPELINE_{name}", str(value))


def evening(session: date) -> datetime:
    return datetime(session.year, session.month, session.day, 23, tzinfo=UTC)


def run(yahoo: Yahoo, session: date, symbols: str = SYMBOLS, **more: Any) -> dict[str, Any]:
    """The run of a session in its evening; `more` are further settings of the request."""
    yahoo.today = max(yahoo.today, session) if more.pop("late", False) else session
    overrides = {"symbols": symbols, **more}
    planned = jobs.plan(key=None, now=evening(session), as_of=session, overrides=Overrides(overrides), provenance={})
    return to_document(jobs.run_all(planned, known_at=evening(session)))


def published(done: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, str]]:
    folder = Path(done["publish"]["folder"])
    told = json.loads((folder / "forecasts.json").read_text())
    frame = pd.read_parquet(folder / "forecasts.parquet")
    return frame, {row["symbol"]: row["reason"] for row in told["withheld"]}


@pytest.mark.slow
def test_day_after_day_only_what_is_new_is_asked_for(yahoo: Yahoo) -> None:
    run(yahoo, WEDNESDAY)
    before = {name: len(yahoo.asked(name)) for name in ("AAPL", "IBM", "MSFT")}
    done = run(yahoo, THURSDAY)
    assert done["ingest"]["new"] == 3
    for name, count in before.items():
        (asked,) = yahoo.asked(name)[count:]
        assert asked.period1 is not None
        assert datetime.fromtimestamp(asked.period1, UTC).date() > date(2013, 2, 1)
    frame, withheld = published(done)
    assert set(frame["symbol"]) == {"AAPL", "IBM", "MSFT"}
    assert withheld == {}


@pytest.mark.slow
def test_a_symbol_with_a_doubtful_present_gets_no_forecast_and_the_reason(yahoo: Yahoo) -> None:
    run(yahoo, WEDNESDAY)
    yahoo.fail("MSFT", "nan close")
    yahoo.fail("IBM", "no rows")
    frame, withheld = published(run(yahoo, THURSDAY))
    assert set(frame["symbol"]) == {"AAPL"}
    assert "quarantine" in withheld["MSFT"]
    assert "2013-02-28" in withheld["IBM"]
    yahoo.heal()
    frame, withheld = published(run(yahoo, FRIDAY))
    assert set(frame["symbol"]) == {"AAPL", "IBM", "MSFT"}
    assert withheld == {}


@pytest.mark.slow
def test_a_split_rewrites_the_history_and_moves_no_return(yahoo: Yahoo) -> None:
    run(yahoo, WEDNESDAY)
    yahoo.fail("AAPL", "split today", ratio=7)
    done = run(yahoo, THURSDAY)
    assert done["ingest"]["rewritten"] == 1
    frame, withheld = published(done)
    assert withheld == {}
    apple = frame[frame["symbol"] == "AAPL"]
    assert (apple["q0.95"] / apple["last_close"]).max() < 1.3  # a split taken for a fall would make the range huge


def test_an_unknown_symbol_is_named_and_the_others_are_forecast(yahoo: Yahoo) -> None:
    frame, withheld = published(run(yahoo, THURSDAY, symbols="AAPL, NOPE"))
    assert set(frame["symbol"]) == {"AAPL"}
    assert "does not know NOPE" in withheld["NOPE"]
    with pytest.raises(UnknownSymbol):
        run(yahoo, THURSDAY, symbols="NOPE")


def test_a_rate_limit_for_all_is_said_and_nothing_is_published(yahoo: Yahoo, home: Path) -> None:
    yahoo.fail("*", "429")
    with pytest.raises(RateLimited, match="3 of 3"):
        run(yahoo, THURSDAY)
    assert not (home / "published").exists()


def test_a_backfill_gives_the_bytes_of_the_live_run(yahoo: Yahoo, home: Path) -> None:
    run(yahoo, WEDNESDAY)
    live = jobs_snapshot(run(yahoo, THURSDAY))
    yahoo.fail("AAPL", "correction", session="2013-02-26", by=1.01)
    yahoo.fail("IBM", "split today", ratio=2)
    run(yahoo, FRIDAY)
    again = jobs.plan(
        key="again", now=evening(FRIDAY), as_of=THURSDAY, overrides=Overrides({"symbols": SYMBOLS}), provenance={}
    )
    jobs.ingest_all(again, known_at=evening(FRIDAY))
    assert jobs.snapshot(again.run, known_at=evening(FRIDAY)).digest == live


def jobs_snapshot(done: dict[str, Any]) -> str:
    return str(done["snapshot"]["digest"])
