"""Series whose bars are all a day early or late: said once, and held back."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.prices.quality import check_bars, gaps
from pipeline.prices.quality.shifted import shift_of
from tests.prices.quality.made import LONDON, NEW_YORK, check, notes, series

TOKYO = Sessions("XTKS")


def moved(bars: pd.DataFrame, by: int, rows: slice = slice(None)) -> pd.DataFrame:
    other = bars.copy()
    other.loc[rows, "session"] += pd.Timedelta(by, unit="D")
    return other


@pytest.mark.parametrize("exchange", [NEW_YORK, LONDON, TOKYO], ids=["New York", "London", "Tokyo"])
@pytest.mark.parametrize("count", [15, 60, 260])
@pytest.mark.parametrize(("by", "words"), [(-1, ("early", "Sundays, none on Fridays")), (1, ("late", "Saturdays"))])
def test_bars_a_day_off_are_held_back(exchange: Sessions, count: int, by: int, words: tuple[str, str]) -> None:
    bars = moved(series(count=count, exchange=exchange), by)
    checked = check_bars(bars, MarketClock(exchange=exchange.exchange))
    assert checked.kept.empty
    assert set(checked.verdicts["rule"]) >= {"shifted"}
    assert notes(checked) == ["shifted"]
    assert "every bar seems to be one day" in checked.notes[0].detail
    assert all(word in checked.notes[0].detail for word in words)
    assert gaps(bars, MarketClock(exchange=exchange.exchange).at(bars["session"].iloc[-1].date())).empty


def test_bars_a_day_off_in_summer_time_alone_are_held_back() -> None:
    bars = series("BP.L", count=250, exchange=LONDON)
    summer = bars.index[(bars["session"] >= "2020-03-30") & (bars["session"] <= "2020-10-24")]
    checked = check(moved(bars, -1, slice(summer[0], summer[-1])))
    assert checked.kept.empty
    assert notes(checked) == ["shifted"]
    assert "every bar of a part, 2020-03 to 2020-10, seems to be one day early" in checked.notes[0].detail


@pytest.mark.parametrize("exchange", [NEW_YORK, LONDON, TOKYO], ids=["New York", "London", "Tokyo"])
def test_another_exchange_or_single_odd_days_are_no_shift(exchange: Sessions) -> None:
    bars = series(exchange=exchange)
    assert "shifted" not in notes(check(bars))
    odd = pd.concat([bars, bars.iloc[[40]].assign(session=pd.Timestamp("2020-03-01"))])
    assert "shifted" not in notes(check(odd))


@pytest.mark.parametrize("weekdays", [range(7), (6, 0, 1, 2, 3)], ids=["every day", "Sunday to Thursday"])
def test_a_market_with_another_week_is_no_shift(weekdays: range | tuple[int, ...]) -> None:
    every = np.arange(np.datetime64("2020-01-05"), np.datetime64("2020-12-20")).astype(np.int64)
    days = every[np.isin((every + 3) % 7, list(weekdays))]
    days = np.delete(days, [40, 41, 70, 90, 91, 120, 121, 150, 180, 210])  # its own holidays
    sessions = np.array(NEW_YORK.between(date(2020, 1, 1), date(2020, 12, 31)), "datetime64[D]").astype(np.int64)
    assert shift_of(days, sessions, "XNYS") is None


def test_a_bar_or_two_say_nothing() -> None:
    assert "shifted" not in notes(check(moved(series(count=4), -1)))
