"""Prices that contain their dividends already: found by missing falls on ex-dates, and not counted twice."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.database.engine import open_database
from pipeline.market.clock import MarketClock
from pipeline.prices.adjustments import total_return
from pipeline.prices.applied_dividends import dividends_in_prices
from pipeline.prices.ingestion.ingest import ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.sources.files import FilesSource
from pipeline.prices.sources.sample import SampleSource
from pipeline.prices.store.writer import PriceStore
from tests.prices.quality.made import PRICES, check, notes, series

SHARED = Path(__file__).resolve().parents[3] / "shared"
ENOUGH = {30 + 40 * number: 0.012 for number in range(8)}  # eight dividends of 1.2 %
FEW = {60: 0.004}


def paying(shares: dict[int, float], *, adjusted: bool, digits: int | None = 2, seed: int = 1) -> pd.DataFrame:
    """Prices on a grid of cents that fall by their dividends, or those adjusted for them as yfinance does it."""
    bars = series(seed=seed, count=360)
    factor = np.ones(len(bars))
    for row, share in shares.items():
        bars.loc[row:, PRICES] *= 1 - share
    bars[PRICES] = bars[PRICES].round(2)
    for row, share in shares.items():
        bars.loc[row, "dividend"] = round(bars.loc[row - 1, "close"] * share, 4)
        factor[:row] *= 1 - bars.loc[row, "dividend"] / bars.loc[row - 1, "close"]
    if adjusted:
        bars[PRICES] = bars[PRICES].mul(factor, axis=0)
    return bars if digits is None else bars.assign(**{name: bars[name].round(digits) for name in PRICES})


def written(bars: pd.DataFrame, path: Path) -> FilesSource:
    names = {"session": "date", "dividend": "dividends", "split_ratio": "splits", "adjusted_close": "adj_close"}
    bars.drop(columns="currency").rename(columns=names).to_csv(path, index=False)
    return FilesSource(path)


def answer(bars: pd.DataFrame) -> str:
    return dividends_in_prices(bars, bars["dividend"].to_numpy(), bars["split_ratio"].to_numpy()).answer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("shares", "adjusted", "digits", "expected"),
    [
        (ENOUGH, True, None, "applied"),
        (ENOUGH, True, 2, "applied"),
        (ENOUGH, False, 2, "not_applied"),
        (ENOUGH, False, None, "not_applied"),
        (FEW, True, 2, "not applied"),
        (FEW, False, 2, "not applied"),
        ({}, False, 2, "not applied"),
    ],
    ids=["auto-adjusted", "adjusted and rounded", "raw", "raw with decimals", "one rounded", "one raw", "none"],
)
def test_missing_falls_on_ex_dates_tell_adjusted_prices(
    shares: dict[int, float], adjusted: bool, digits: int | None, expected: str, seed: int
) -> None:
    found = answer(paying(shares, adjusted=adjusted, digits=digits, seed=seed))
    assert found == expected if expected in ("applied", "not_applied") else found != "applied"


@pytest.mark.parametrize("change", ["weekly", "halved", "stale"])
def test_what_is_no_evidence_decides_nothing(change: str) -> None:
    bars = paying(ENOUGH, adjusted=True)
    if change == "weekly":
        bars = bars.assign(session=bars["session"].iloc[0] + pd.to_timedelta(7 * np.arange(len(bars)), unit="D"))
    if change == "halved":  # every price falls by half of its dividend: illiquid or taxed, not adjusted
        for row, share in ENOUGH.items():
            bars.loc[row:, PRICES] *= 1 - share / 2
    if change == "stale":  # nothing is traded on ex-dates
        for row in ENOUGH:
            bars.loc[row, PRICES] = bars.loc[row - 1, "close"]
    assert answer(bars) != "applied"


def test_no_dividend_is_counted_twice_and_the_series_says_so(tmp_path: Path) -> None:
    source = written(paying(ENOUGH, adjusted=True, digits=None), tmp_path / "p.csv")
    bars = source.bars(("A",), source.last_session())
    assert (bars["dividend"] == 0).all()
    assert total_return(bars).sum() == pytest.approx(np.log(bars["close"].iloc[-1] / bars["close"].iloc[0]))
    checked = check(bars)
    assert notes(checked) == ["dividends_in_prices"]
    assert "8 dividends" in checked.notes[0].detail
    assert checked.counts() == {"accept": len(bars) - 1, "warn": 1, "quarantine": 0, "reject": 0}


def test_dividends_of_raw_prices_are_counted(tmp_path: Path) -> None:
    raw = paying(ENOUGH, adjusted=False)
    bars = (source := written(raw, tmp_path / "p.csv")).bars(("A",), source.last_session())
    assert bars["dividend"].tolist() == raw["dividend"].tolist()
    assert notes(check(bars)) == []


def test_an_adjusted_close_that_steps_by_the_dividends_says_that_the_close_is_raw(tmp_path: Path) -> None:
    bars = paying(ENOUGH, adjusted=True, digits=None)
    factor = np.ones(len(bars))
    for row in ENOUGH:
        factor[:row] *= 1 - bars.loc[row, "dividend"] / bars.loc[row - 1, "close"]
    source = written(bars.assign(adjusted_close=bars["close"] * factor), tmp_path / "p.csv")
    assert (source.bars(("A",), source.last_session())["dividend"] > 0).sum() == len(ENOUGH)


def test_rows_after_the_session_change_nothing(tmp_path: Path) -> None:
    bars = paying(ENOUGH, adjusted=True, digits=None)
    last = bars["session"].iloc[250].date()
    whole = written(bars, tmp_path / "whole.csv").bars(("A",), last)
    poisoned = bars.copy()
    poisoned.loc[251:, PRICES] *= np.random.default_rng(1).uniform(0.5, 2, (len(bars) - 251, 1))
    poisoned.loc[251:, "dividend"] = 5.0
    pd.testing.assert_frame_equal(written(poisoned, tmp_path / "poisoned.csv").bars(("A",), last), whole)


def test_an_earlier_session_asked_for_later_counts_no_dividend_again(tmp_path: Path) -> None:
    bars = paying(ENOUGH, adjusted=True, digits=None)
    source = written(bars, tmp_path / "p.csv")
    store = PriceStore(open_database(f"sqlite:///{tmp_path / 'p.db'}"), "files")
    early, late = bars["session"].iloc[80].date(), bars["session"].iloc[-1].date()
    assert (source.bars(("A",), early)["dividend"] > 0).sum() == 2  # too few to tell by

    def ingest(last: date) -> dict[str, int]:
        request = Request(
            symbols=("A",),
            clock=MarketClock().at(last),
            known_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        return asdict(ingest_bars(source, store, request).appended)

    assert ingest(early) == {"new": 81, "revised": 0, "unchanged": 0, "held_back": 0, "rewritten": 0}
    assert ingest(late)["revised"] == 2  # the evidence has come: both dividends are stored as none
    for last in (early, late, early):
        assert ingest(last)["revised"] == 0
    assert store.recent(("A",), None)["dividend"].sum() == 0


@pytest.mark.parametrize("symbol", ["IBM", "MSFT", "AAPL"])
def test_the_sample_is_raw_and_adjusted_for_its_dividends_it_is_found(symbol: str) -> None:
    bars = SampleSource().bars((symbol,), date(2013, 3, 1))
    assert answer(bars) != "applied"
    step = np.append(1.0, 1 - bars["dividend"].to_numpy()[1:] * bars["split_ratio"].to_numpy()[1:] / bars["close"][:-1])
    factor = np.append(np.cumprod(step[::-1])[::-1][1:], 1.0)
    assert answer(bars.assign(open=bars["open"] * factor, close=bars["close"] * factor)) == "applied"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real series is not here")
@pytest.mark.parametrize("keeps_adjusted", [True, False])
def test_no_real_raw_series_is_taken_for_adjusted(keeps_adjusted: bool, tmp_path: Path) -> None:
    for path in sorted((SHARED / "data" / "faults" / "yahoo").glob("*-1d-*.csv")):
        if not path.stem.endswith("-fixed") and "no-bad" not in path.name:
            continue
        table = pd.read_csv(path).rename(columns=lambda name: name.lower().replace("datetime", "date"))
        if "dividends" not in table:
            continue
        table = table.assign(symbol="A", date=table["date"].astype(str).str[:10])
        table.drop(columns=[] if keeps_adjusted else ["adj close"]).to_csv(tmp_path / path.name, index=False)
        source = FilesSource(tmp_path / path.name)
        assert "listed_dividend" not in source.bars(("A",), source.last_session()), path.name


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real series is not here")
def test_a_real_auto_adjusted_series_is_found() -> None:
    source = FilesSource(SHARED / "inputs" / "r10_auto_adjusted_with_dividends.csv")
    bars = source.bars(("CALM",), source.last_session())
    assert (bars["dividend"] == 0).all()
    assert (bars["listed_dividend"] > 0).sum() == 5
