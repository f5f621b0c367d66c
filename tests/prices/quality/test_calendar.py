"""Rules about sessions: phantoms, gaps, calendars, weekly bars."""

from datetime import date

import pandas as pd
import pytest

from pipeline.prices.quality import gaps
from tests.prices.quality.made import (
    CLOCK,
    LONDON,
    PRICES,
    check,
    notes,
    rows_of,
    scaled,
    series,
)


@pytest.mark.parametrize("copied", [PRICES, []])
def test_a_bar_on_a_holiday_is_a_phantom_or_trading_on_no_session(copied: list[str]) -> None:
    bars = series()
    at = bars.index[bars["session"] == "2020-01-17"][0]
    phantom = bars.loc[[at if copied else at + 1]].assign(session=pd.Timestamp("2020-01-20"))
    if not copied:
        bars = bars.drop(index=at + 1)
    checked = check(pd.concat([bars, phantom]))
    assert checked.verdicts["rule"].tolist() == ["phantom" if copied else "no_session"]
    assert checked.verdicts["verdict"].tolist() == ["quarantine"]


@pytest.mark.parametrize("symbol", ["BP", "BP-L"])
def test_a_symbol_on_the_wrong_calendar_is_said_once(symbol: str) -> None:
    bars = series(symbol, exchange=LONDON)
    checked = check(bars)
    assert checked.verdicts.empty
    assert notes(checked) == ["wrong_calendar"]
    assert gaps(bars, CLOCK.at(bars["session"].iloc[-1].date())).empty


def test_another_spelling_is_known_even_where_nothing_is_traded() -> None:
    bars = series("AET-L", exchange=LONDON, count=110)
    bars = bars[bars["session"] >= "2020-05-05"].assign(volume=0.0, open=14.55, high=14.55, low=14.55, close=14.55)
    assert check(bars.reset_index(drop=True)).verdicts.empty


def test_gaps_are_sessions_without_a_bar_by_the_market_of_each_symbol() -> None:
    bars = pd.concat([series().drop(index=10), series("BP.L", exchange=LONDON).drop(index=20)])
    missing = gaps(bars, CLOCK.at(series()["session"].iloc[-1].date()))
    expected = [("A", series()["session"][10]), ("BP.L", series(exchange=LONDON)["session"][20])]
    assert list(zip(missing["symbol"], missing["session"], strict=True)) == expected
    assert set(missing["rule"]) == {"gap"}


def test_weekly_bars_are_said_once_and_still_checked_for_units() -> None:
    weekly = series(count=400).iloc[::5].reset_index(drop=True)
    checked = check(scaled(weekly, [30], 0.01))
    assert rows_of(weekly, checked, "unit") == [30]
    assert notes(checked) == ["not_daily"]
    assert gaps(weekly, CLOCK.at(date(2021, 6, 1))).empty
