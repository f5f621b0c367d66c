"""Several markets in one run: each symbol by its own calendar, and none sees what its market could not have known."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Overrides, Settings
from pipeline.errors import BadSetting, BadSymbol
from pipeline.market import exchange_tables
from pipeline.market.clock import MarketClock
from pipeline.market.exchanges import market_of
from pipeline.modeling.data import splits
from pipeline.modeling.data.features import future_returns, make_features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import usable_origins, with_targets
from pipeline.prices.bars import as_bars

AS_OF = date(2021, 7, 2)  # a Friday before a holiday in New York
NOW = datetime(2021, 7, 5, 12, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB.L", "CCC-USD", "DDD.T", "EURUSD=X")


@pytest.mark.parametrize(
    ("symbol", "calendar", "currency"),
    [
        ("AAPL", "XNYS", ""),
        ("BRK-B", "XNYS", ""),
        ("BP.L", "XLON", "GBp"),
        ("7203.T", "XTKS", "JPY"),
        ("BTC-USD", "24/7", "USD"),
        ("EURUSD=X", "24/5", ""),
        ("^GSPC", "XNYS", "USD"),
        ("^N225", "XTKS", "JPY"),
        ("ES=F", "CMES", ""),
        ("BRK.B", "XNYS", ""),
        ("BF.B", "XNYS", ""),
        ("AAC.U", "XNYS", ""),
        ("SPCE.WS", "XNYS", ""),
        ("BAC.PRA", "XNYS", ""),
        ("BAC.PR.L", "XNYS", ""),  # the series L of a preferred share, not London
        ("CEZ.PR", "XPRA", "CZK"),
        ("RIO.V", "XTSE", "CAD"),
        ("MTX.F", "XFRA", "EUR"),
        ("2222.SR", "XSAU", "SAR"),
        ("^TASI.SR", "XSAU", "SAR"),
        ("PTT.BK", "XBKK", "THB"),
        ("GGAL.BA", "XBUE", "ARS"),
        ("OTP.BD", "XBUD", "HUF"),
        ("SMSN.IL", "XLON", "USD"),
        ("INFY.NS", "XBOM", "INR"),
        ("0P0000XXXX.TO", "XTSE", "CAD"),
        ("^NSEI", "XBOM", "INR"),
        ("^AEX", "XAMS", "EUR"),
        ("^SSMI", "XSWX", "CHF"),
        ("^JKSE", "XIDX", "IDR"),
        ("BTC-CHF", "24/7", "CHF"),
        ("ETH-BTC", "24/7", "BTC"),
        ("AAPL.US", "XNYS", "USD"),
        ("CLZ26.NYM", "CMES", ""),
    ],
)
def test_a_symbol_says_where_it_is_traded(symbol: str, calendar: str, currency: str) -> None:
    market = market_of(symbol, "XNYS")
    assert (market.calendar, market.currency) == (calendar, currency)


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("FOO.XX", "the suffix .XX belongs to no market.*PIPELINE_MARKETS=XX="),
        ("BRK.B.XX", "the suffix .XX"),
        ("0700.2", "the suffix .2"),
        ("QNBK.QA", "no calendar of the exchange of .QA .Doha.*PIPELINE_MARKETS=QA="),
        ("^CASE30.CA", "no calendar of the exchange of .CA .Cairo"),
        ("^UNHEARD", "this index is not known.*PIPELINE_MARKETS=.UNHEARD="),
        ("^UNHEARD-USD", "this index is not known"),
        ("FOO=Z", "=Z is neither =X"),
    ],
)
def test_a_symbol_of_no_known_market_is_refused_with_the_setting(symbol: str, says: str) -> None:
    with pytest.raises(BadSymbol, match=says) as caught:
        market_of(symbol, "XNYS")
    assert str(caught.value).startswith(f"{symbol}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "symbol", "calendar", "currency"),
    [
        ("XX=24/5", "FOO.XX", "24/5", ""),
        (".xx=xsau", "FOO.XX", "XSAU", ""),
        ("QA=XSAU, KW=XSAU", "QNBK.QA", "XSAU", ""),
        ("^UNHEARD=XLON", "^UNHEARD", "XLON", ""),
        ("L=XNYS", "BP.L", "XNYS", "GBp"),  # before the built-in table, whose currency stays
        ("B=XLON", "BRK.B", "XLON", ""),
        ("AAPL=XLON", "AAPL", "XNYS", ""),  # a suffix, not a symbol
    ],
)
def test_a_setting_maps_suffixes_and_indices_to_calendars(
    setting: str, symbol: str, calendar: str, currency: str
) -> None:
    market = Settings.load(markets=setting).clock.market_of(symbol)
    assert (market.calendar, market.currency) == (calendar, currency)
    again = Settings.load(markets=Settings.load(markets=setting).model_dump(mode="json")["markets"])
    assert again.clock.market_of(symbol) == market


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("SR", "'SR' is not SUFFIX=CALENDAR"),
        ("SR=", "not SUFFIX=CALENDAR"),
        ("=XSAU", "not SUFFIX=CALENDAR"),
        ("SR=QQQQ", "'QQQQ' is not a calendar"),
        ("S!R=XSAU", "'S!R' is neither a suffix"),
        ("SR=XSAU,SR=XNYS", "SR is mapped to two calendars"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(setting: str, says: str) -> None:
    with pytest.raises(BadSetting, match=says) as caught:
        Settings.load(markets=setting)
    assert str(caught.value).startswith("PIPELINE_MARKETS=")


@pytest.mark.slow
def test_every_market_has_a_calendar() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for market in {*exchange_tables.BY_SUFFIX.values(), *exchange_tables.BY_INDEX.values()}:
        assert Settings.load().clock.sessions_on(market.calendar).last_complete(now) <= now.date()


def test_a_calendar_goes_back_as_far_as_it_is_recorded() -> None:
    settings = Settings.load()
    assert settings.clock.sessions_on("XTKS").is_session(date(1997, 1, 6))
    assert settings.clock.sessions_on("XNYS").is_session(date(1990, 1, 2))


@pytest.mark.parametrize("exchange", ["XTAE", "ASEX", "XBSE"])
def test_a_calendar_that_cannot_be_built_is_estimated_throughout(exchange: str) -> None:
    sessions = Settings.load().clock.sessions_on(exchange)
    assert sessions.is_estimated(AS_OF)
    assert sessions.is_session(AS_OF) == (exchange != "XTAE")  # a Friday: Tel Aviv has traded Sunday to Thursday
    assert sessions.is_session(date(2026, 11, 27))  # and Monday to Friday since January 2026
    assert sessions.complete_at(date(2026, 11, 26)).hour in (15, 16)


def prices() -> pd.DataFrame:
    clock = MarketClock()
    rng = np.random.default_rng(3)
    parts = []
    for symbol in SYMBOLS:
        sessions = clock.sessions_of(symbol).between(date(2018, 1, 2), date(2021, 7, 5))
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, len(sessions))))
        parts.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "date": pd.to_datetime(sessions),
                    "open": close * 1.001,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": rng.integers(1_000, 2_000, len(sessions)).astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def panel(table: pd.DataFrame) -> Panel:
    return panel_from_bars(as_bars(table.rename(columns={"date": "session"})), MarketClock().at(AS_OF))


def until_as_of(table: pd.DataFrame) -> pd.DataFrame:
    last = pd.to_datetime(table["symbol"].map(MarketClock().at(AS_OF).last))
    return table[table["date"] <= last]


def test_a_holiday_elsewhere_is_no_gap() -> None:
    features = make_features(panel(until_as_of(prices())))
    origins = usable_origins(features, 60).at(features.panel.last)
    assert len(origins) == len(SYMBOLS)


def test_a_market_sees_nothing_of_another_ones_day() -> None:
    table = until_as_of(prices())
    other = table.copy()
    values = ["open", "high", "low", "close"]
    other.loc[other["symbol"] == "AAA", values] *= np.linspace(1, 3, (other["symbol"] == "AAA").sum())[:, None]
    one, two = make_features(panel(table)), make_features(panel(other))
    tokyo = one.panel.symbols.index("DDD.T")
    assert one.x_STF[tokyo].tobytes() == two.x_STF[tokyo].tobytes()


def test_no_target_of_a_block_lies_in_the_next_on_any_calendar() -> None:
    features = make_features(panel(until_as_of(prices())))
    found = features.panel
    origins = with_targets(usable_origins(features, 30), future_returns(found.return_ST, 5))
    fold = splits.split(origins, found, horizon=5, holdout=100, validation=80)
    for before, after in [(fold.train, fold.validation), (fold.validation, fold.test)]:
        assert len(before)
        assert found.days(before.s_N, before.t_N + 5).max() < found.days(after.s_N, after.t_N).min()


def test_one_run_forecasts_five_markets(tmp_path: Path, home: Path) -> None:
    prices().to_parquet(tmp_path / "prices.parquet", index=False)
    overrides = {
        "source": "files",
        "files": str(tmp_path / "prices.parquet"),
        "training_steps": 20,
        "holdout_sessions": 60,
        "validation_sessions": 40,
        "horizon": 2,
    }
    planned = jobs.plan(key=None, now=NOW, as_of=AS_OF, overrides=Overrides(overrides), provenance={})
    published = jobs.run_all(planned, known_at=NOW).publish
    frame = pd.read_parquet(Path(published.folder) / "forecasts.parquet")
    targets = {symbol: [str(day)[:10] for day in part["target_session"]] for symbol, part in frame.groupby("symbol")}
    assert targets == {
        "AAA": ["2021-07-06", "2021-07-07"],  # Monday is Independence Day, observed
        "BBB.L": ["2021-07-05", "2021-07-06"],
        "CCC-USD": ["2021-07-02", "2021-07-03"],
        "DDD.T": ["2021-07-05", "2021-07-06"],
        "EURUSD=X": ["2021-07-02", "2021-07-05"],  # its day ends with midnight in Greenwich, after New York's
    }
    assert set(frame["as_of"].astype(str).str[:10]) == {str(AS_OF)}
