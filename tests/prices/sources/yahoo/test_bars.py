"""What comes out of the source: sessions, prices and actions as Yahoo has them, and nothing that is not complete."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import BadSetting, BadSymbol, NoData
from pipeline.prices.adjustments import total_return
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import COLUMNS
from pipeline.prices.sources import open_source
from pipeline.prices.sources.sample import SampleSource
from pipeline.prices.sources.yahoo.yahoo_source import YahooSource
from tests.prices.sources.yahoo.conftest import MakeSource
from tests.prices.sources.yahoo.server import Yahoo

FIRST, LAST = date(2013, 2, 1), date(2013, 3, 1)


def test_the_settings_open_it(make_source: MakeSource) -> None:
    settings = make_source(source="yahoo", symbols="IBM").settings
    source = open_source(settings)
    assert (source.name, source.live, source.overlap, source.basis("IBM")) == ("yahoo", True, 10, "split_adjusted")
    assert len(source.bars(("IBM",), LAST, FIRST)) == 20  # by the real clock, through PIPELINE_YAHOO_URL


def test_it_has_no_list_of_symbols(source: YahooSource) -> None:
    with pytest.raises(BadSetting, match=r"PIPELINE_SYMBOLS.*AAPL"):
        source.symbols()
    with pytest.raises(BadSymbol, match="PIPELINE_SYMBOLS"):
        source.bars((), LAST)


def test_total_returns_are_those_of_the_raw_prices(source: YahooSource) -> None:
    bars = source.bars(("AAPL", "IBM"), LAST)
    raw = SampleSource().bars(("AAPL", "IBM"), LAST)
    pd.testing.assert_frame_equal(bars[["symbol", "session"]], raw[["symbol", "session"]])
    np.testing.assert_allclose(total_return(bars)[1:], total_return(raw)[1:], atol=1e-6)
    assert list(bars.columns[: len(COLUMNS)]) == COLUMNS


def test_prices_carry_their_splits_and_say_which(source: YahooSource) -> None:
    bars = source.bars(("AAPL",), LAST).set_index("session")
    assert (bars["split_ratio"] == 1).all()
    assert bars["listed_split"][bars["listed_split"] != 1].to_dict() == {
        pd.Timestamp("2000-06-21"): 2.0,
        pd.Timestamp("2005-02-28"): 2.0,
    }
    raw = SampleSource().bars(("AAPL",), LAST).set_index("session")
    assert bars["close"]["2000-03-01"] == pytest.approx(raw["close"]["2000-03-01"] / 4, abs=1e-5)
    assert bars["volume"]["2000-03-01"] == pytest.approx(raw["volume"]["2000-03-01"] * 4)


def test_a_close_is_not_adjusted_for_dividends(source: YahooSource) -> None:
    bars = source.bars(("IBM",), LAST).set_index("session")
    paid = bars["dividend"][bars["dividend"] > 0]
    assert len(paid) > 40
    before = bars[["close", "adjusted_close"]].shift()
    factor = (bars["adjusted_close"] / bars["close"]) / (before["adjusted_close"] / before["close"])
    expected = 1 / (1 - bars["dividend"] / before["close"])
    np.testing.assert_allclose(factor[1:], expected[1:], atol=1e-5)


def test_a_funds_capital_gain_is_told_apart_from_its_dividends(source: YahooSource) -> None:
    bars = source.bars(("VFINX",), LAST)
    gain = bars[bars["capital_gain"] > 0]
    assert gain["capital_gain"].tolist() == [0.75]
    assert gain["dividend"].tolist() == [0.0]


def test_exactly_the_days_asked_for_are_asked_for(source: YahooSource, yahoo: Yahoo) -> None:
    source.bars(("IBM",), LAST, FIRST)
    (asked,) = yahoo.asked("IBM")
    assert asked.period1 == int(pd.Timestamp("2013-02-01", tz="America/New_York").timestamp())
    assert asked.period2 == int(pd.Timestamp("2013-03-02", tz="America/New_York").timestamp())
    assert asked.params["interval"] == "1d"
    assert asked.params["events"] == "div,splits,capitalGains"


def test_the_whole_history_begins_where_calendars_do(source: YahooSource, yahoo: Yahoo) -> None:
    bars = source.bars(("IBM",), LAST)
    (asked,) = yahoo.asked("IBM")
    assert asked.period1 == int(pd.Timestamp("1990-01-01", tz="America/New_York").timestamp())
    assert bars["session"].min() == pd.Timestamp("2000-03-01")


def test_nothing_outside_the_days_asked_for_passes(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "running")  # appended whatever was asked
    bars = source.bars(("IBM",), date(2013, 2, 15), FIRST)
    assert (bars["session"].min(), bars["session"].max()) == (pd.Timestamp("2013-02-01"), pd.Timestamp("2013-02-15"))


def test_days_that_were_not_asked_for_are_left_out(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "any day")
    bars = source.bars(("IBM",), date(2013, 2, 15), FIRST)
    assert (bars["session"].min(), bars["session"].max()) == (pd.Timestamp("2013-02-01"), pd.Timestamp("2013-02-15"))


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2013, 3, 1, 14, 31, tzinfo=UTC), "2013-02-28"),  # a minute after the opening
        (datetime(2013, 3, 1, 20, 59, tzinfo=UTC), "2013-02-28"),  # a minute before the close
        (datetime(2013, 3, 1, 21, 29, tzinfo=UTC), "2013-02-28"),  # closed, and not yet settled
        (datetime(2013, 3, 1, 21, 30, tzinfo=UTC), "2013-03-01"),
    ],
)
def test_the_running_day_never_passes(make_source: MakeSource, yahoo: Yahoo, now: datetime, last: str) -> None:
    bars = make_source(now=now).bars(("IBM",), LAST, FIRST)
    assert bars["session"].max() == pd.Timestamp(last)
    yahoo.today = date(2013, 2, 28)
    yahoo.fail("IBM", "running")  # the first of March, while it runs
    if last == "2013-02-28":
        bars = make_source(now=now).bars(("IBM",), LAST, FIRST)
        assert bars["session"].max() == pd.Timestamp("2013-02-28")


def test_a_day_that_is_not_complete_is_not_even_asked_for(make_source: MakeSource, yahoo: Yahoo) -> None:
    source = make_source(now=datetime(2013, 3, 1, 15, tzinfo=UTC))
    with pytest.raises(NoData, match=r"no complete session since 2013-03-01.*2013-02-28"):
        source.bars(("IBM",), LAST, LAST)
    assert yahoo.requests == []


def test_each_market_has_its_own_clock(make_source: MakeSource) -> None:
    source = make_source(now=datetime(2013, 3, 1, 7, tzinfo=UTC))  # Tokyo has closed, London has not opened
    bars = source.bars(("7203.T", "BP.L", "IBM"), LAST, FIRST)
    assert bars.groupby("symbol")["session"].max().to_dict() == {
        "7203.T": pd.Timestamp("2013-03-01"),
        "BP.L": pd.Timestamp("2013-02-28"),
        "IBM": pd.Timestamp("2013-02-28"),
    }


def test_each_series_has_its_currency(source: YahooSource, yahoo: Yahoo) -> None:
    bars = source.bars(("7203.T", "BP.L", "IBM"), LAST, FIRST)
    currencies = bars.groupby("symbol")["currency"].agg(set).to_dict()
    assert currencies == {"7203.T": {"JPY"}, "BP.L": {"GBp"}, "IBM": {"USD"}}
    yahoo.fail("BP.L", "unit", currency="GBP", by=0.01)
    pounds = source.bars(("BP.L",), LAST, FIRST)
    assert set(pounds["currency"]) == {"GBP"}
    assert bars.attrs["notes"] == []
    said = Note(symbol="BP.L", rule="currency", detail="its prices are in GBP, not in GBp")
    assert pounds.attrs["notes"] == [said]
    pence = bars[bars["symbol"] == "BP.L"]["close"].to_numpy()
    np.testing.assert_allclose(pounds["close"] * 100, pence, rtol=1e-6)


def test_currencies_and_coins_have_days_too(source: YahooSource) -> None:
    bars = source.bars(("BTC-USD", "EURUSD=X"), date(2013, 2, 24), date(2013, 2, 18))
    days = bars.groupby("symbol")["session"].agg(lambda days: [day.day for day in days]).to_dict()
    assert days == {"BTC-USD": [18, 19, 20, 21, 22, 23, 24], "EURUSD=X": [18, 19, 20, 21, 22]}


def test_a_missing_close_stays_missing(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "nan close")
    last = source.bars(("IBM",), LAST, FIRST).iloc[-1]
    assert last["session"] == pd.Timestamp(LAST)
    assert np.isnan(last["close"])
    assert last["open"] > 0


def test_a_session_of_nulls_is_kept_and_a_holiday_of_nulls_is_not(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "null row", session="2013-02-20")
    yahoo.fail("IBM", "padding", day="2013-02-18")  # Presidents' Day
    bars = source.bars(("IBM",), LAST, FIRST).set_index("session")
    assert bars.loc["2013-02-20", ["open", "high", "low", "close"]].isna().all()
    assert pd.Timestamp("2013-02-18") not in bars.index


def test_a_missing_session_is_not_made_up(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "missing", session="2013-02-20")
    bars = source.bars(("IBM",), LAST, FIRST)
    assert len(bars) == 19
    assert bars["close"].notna().all()


def test_order_does_not_matter(source: YahooSource, yahoo: Yahoo) -> None:
    ordered = source.bars(("AAPL",), LAST)
    yahoo.fail("AAPL", "shuffled")
    pd.testing.assert_frame_equal(source.bars(("AAPL",), LAST), ordered)


def test_the_same_bar_twice_is_one_bar(source: YahooSource, yahoo: Yahoo) -> None:
    once = source.bars(("IBM",), LAST, FIRST)
    yahoo.fail("IBM", "duplicate", session="2013-02-20")
    pd.testing.assert_frame_equal(source.bars(("IBM",), LAST, FIRST), once)


def test_two_different_bars_of_a_session_both_show(source: YahooSource, yahoo: Yahoo) -> None:
    once = source.bars(("IBM",), LAST, FIRST).set_index("session")["close"]
    yahoo.fail("IBM", "duplicate", session="2013-02-20", by=1.1)
    bars = source.bars(("IBM",), LAST, FIRST).set_index("session")["close"]
    close = once["2013-02-20"]
    assert sorted(bars["2013-02-20"]) == pytest.approx([close, close * 1.1])
    assert bars.drop(pd.Timestamp("2013-02-20")).equals(once.drop(pd.Timestamp("2013-02-20")))


def test_the_last_session_listed_twice_is_its_later_row(source: YahooSource, yahoo: Yahoo) -> None:
    once = source.bars(("IBM",), LAST, FIRST)["close"].iloc[-1]
    yahoo.fail("IBM", "duplicate", by=1.001)
    bars = source.bars(("IBM",), LAST, FIRST)
    assert len(bars) == 20
    assert bars["close"].iloc[-1] == pytest.approx(once * 1.001)


def test_a_split_rewrites_the_history_by_one_ratio(source: YahooSource, yahoo: Yahoo) -> None:
    before = source.bars(("IBM",), LAST)
    yahoo.fail("IBM", "split today", ratio=2.0)
    after = source.bars(("IBM",), LAST)
    np.testing.assert_allclose(after["close"] * 2, before["close"], rtol=1e-6)
    np.testing.assert_allclose(after["dividend"] * 2, before["dividend"], rtol=1e-4)
    assert after["listed_split"].iloc[-1] == 2


def test_a_later_split_is_not_known_before_it_happens(make_source: MakeSource, yahoo: Yahoo) -> None:
    yahoo.today = date(2005, 2, 25)  # the session before Apple's second split
    source = make_source(now=datetime(2005, 2, 26, 12, tzinfo=UTC))
    bars = source.bars(("AAPL",), date(2005, 2, 25), date(2005, 1, 3))
    raw = SampleSource().bars(("AAPL",), date(2005, 2, 25)).set_index("session")["close"]
    assert bars["close"].iloc[-1] == pytest.approx(raw["2005-02-25"], abs=1e-5)
    assert (bars["listed_split"] == 1).all()


def test_a_dividend_is_not_moved_to_the_session_before(source: YahooSource, yahoo: Yahoo) -> None:
    bars = source.bars(("IBM",), LAST, FIRST).set_index("session")
    paid = bars.index[bars["dividend"] > 0]
    assert list(paid) == [pd.Timestamp("2013-02-06")]
    yahoo.fail("IBM", "missing", session="2013-02-06")
    bars = source.bars(("IBM",), LAST, FIRST)
    assert len(bars) == 19
    assert (bars["dividend"] == 0).all()


def test_the_running_day_alone_is_no_data(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "no rows")
    yahoo.fail("IBM", "running", session="2013-03-04")
    with pytest.raises(NoData, match="IBM"):
        source.bars(("IBM",), LAST, FIRST)


def test_an_address_is_an_address(make_source: MakeSource) -> None:
    source = YahooSource(make_source().settings.model_copy(update={"yahoo_url": "localhost:8000"}))
    with pytest.raises(BadSetting, match="PIPELINE_YAHOO_URL"):
        source.bars(("IBM",), LAST, FIRST)


def test_events_fall_on_the_exchanges_own_date(source: YahooSource) -> None:
    bars = source.bars(("AIR.NZ",), LAST)
    raw = SampleSource().bars(("IBM",), LAST).tail(len(bars))
    assert ((bars["dividend"] > 0).to_numpy() == (raw["dividend"] > 0).to_numpy()).all()
    assert (bars["dividend"] > 0).sum() > 20


def test_midnight_an_hour_early_is_the_same_day(source: YahooSource, yahoo: Yahoo) -> None:
    right = source.bars(("EURUSD=X",), LAST, FIRST)
    yahoo.fail("EURUSD=X", "an hour early", since="2013-02-20")
    pd.testing.assert_frame_equal(source.bars(("EURUSD=X",), LAST, FIRST), right)
