"""The sample and files: real splits and dividends found, causal, and bad files refused in one line."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import BadFile, BadSetting, BadSymbol
from pipeline.prices.adjustments import actions_from_adjusted, recent_closes, splits_already_applied, total_return
from pipeline.prices.sources.files import FilesSource
from pipeline.prices.sources.sample import SampleSource
from tests.prices.quality.made import (
    check,
    notes,
    series,
    with_dividends,
)

SAMPLE = SampleSource()
END = date(2013, 3, 1)


def bars(symbol: str, last: date = END) -> pd.DataFrame:
    return SAMPLE.bars((symbol,), last).set_index("session")


def test_the_sample_is_what_it_says() -> None:
    assert SAMPLE.symbols() == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    counts = SAMPLE.bars(SAMPLE.symbols(), END)["symbol"].value_counts()
    assert counts.to_dict() == {"AAPL": 3270, "IBM": 3270, "MSFT": 3270, "GOOG": 2148, "FB": 196}


@pytest.mark.parametrize(("symbol", "days"), [("AAPL", ["2000-06-21", "2005-02-28"]), ("MSFT", ["2003-02-18"])])
def test_the_real_splits_are_found_and_no_others(symbol: str, days: list[str]) -> None:
    splits = bars(symbol)["split_ratio"]
    assert splits[splits != 1].to_dict() == {pd.Timestamp(day): 2.0 for day in days}


def test_the_special_dividend_of_microsoft_is_found() -> None:
    dividend = bars("MSFT")["dividend"]
    assert dividend[pd.Timestamp("2004-11-15")] == pytest.approx(3.08, abs=0.06)  # $3 and the usual 8 cents
    assert (bars("GOOG")["dividend"] == 0).all()
    assert (bars("IBM")["dividend"] > 0).sum() == 52  # four a year


def test_total_return_sees_through_splits() -> None:
    returns = total_return(bars("AAPL"))
    assert abs(returns[pd.Timestamp("2005-02-28")]) < 0.05


def test_recent_closes_are_on_the_scale_of_the_last_bar() -> None:
    frame = SAMPLE.bars(("AAPL",), date(2005, 3, 10))
    closes = recent_closes(frame, 20).set_index("session")["close"]
    assert closes[pd.Timestamp("2005-02-25")] == pytest.approx(bars("AAPL")["close"][pd.Timestamp("2005-02-25")] / 2)
    assert closes.iloc[-1] == frame["close"].iloc[-1]


def test_what_comes_later_moves_no_earlier_dividend() -> None:
    early = SAMPLE.bars(("MSFT",), date(2004, 11, 15))
    frame = SAMPLE.bars(("MSFT",), END)
    pd.testing.assert_frame_equal(frame.iloc[: len(early)], early)


def test_a_reverse_split_is_a_split() -> None:
    close = np.array([1.0, 1.01, 10.1, 10.0])
    dividend, ratio = actions_from_adjusted(close, np.array([10.0, 10.1, 10.1, 10.0]))
    assert ratio.tolist() == pytest.approx([1, 1, 0.1, 1])
    assert dividend.tolist() == [0, 0, 0, 0]


def test_an_adjusted_close_is_told_from_a_raw_one() -> None:
    ratio = np.array([1.0, 1, 2, 1])
    assert not splits_already_applied(np.array([10.0, 10.2, 5.0, 5.1]), ratio)
    assert splits_already_applied(np.array([5.0, 5.1, 5.0, 5.1]), ratio)


@pytest.fixture
def table() -> pd.DataFrame:
    frame = SAMPLE.bars(("IBM", "MSFT"), END).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    return frame.drop(columns="currency")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_gives_what_was_written(tmp_path: Path, table: pd.DataFrame, suffix: str) -> None:
    path = tmp_path / f"prices{suffix}"
    shuffled = table.sample(frac=1, random_state=1)
    shuffled.to_csv(path, index=False) if suffix == ".csv" else shuffled.to_parquet(path)
    source = FilesSource(path)
    expected = SAMPLE.bars(("IBM", "MSFT"), date(2013, 2, 1)).assign(currency="")
    pd.testing.assert_frame_equal(source.bars(("IBM", "MSFT"), date(2013, 2, 1)), expected)
    assert source.last_session() == END


def test_a_file_shows_what_its_prices_are(tmp_path: Path, table: pd.DataFrame) -> None:
    raw = SAMPLE.bars(("AAPL", "IBM"), END).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    later = raw.groupby("symbol")["splits"].transform(
        lambda splits: splits[::-1].cumprod()[::-1].shift(-1, fill_value=1)
    )
    prices = ["open", "high", "low", "close"]
    for name, frame in {"raw": raw, "split_adjusted": raw.assign(**{one: raw[one] / later for one in prices})}.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
        source = FilesSource(tmp_path / f"{name}.parquet")
        source.bars(("AAPL", "IBM"), END)
        assert (source.basis("AAPL"), source.basis("IBM")) == (name, "as_given")


def test_a_file_that_grows_is_read_again(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "prices.csv"
    table[table["date"] < "2013-03-01"].to_csv(path, index=False)
    assert FilesSource(path).last_session() == date(2013, 2, 28)
    table.to_csv(path, index=False)
    assert FilesSource(path).last_session() == END


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("symbol,date,open,high,low,close\nA,2020-01-02,1,1,1,1\n", "no column volume"),
        ("symbol,date,open,high,low,close,volume\n", "has no rows"),
        ("symbol,date,open,high,low,close,volume\n../x,2020-01-02,1,1,1,1,1\n", "is not a symbol"),
        ("symbol,date,open,high,low,close,volume\nA,someday,1,1,1,1,1\n", "column date"),
        ('"', "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(BadFile) as caught:
        FilesSource(path).last_session()
    assert words in str(caught.value)
    assert "bad.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        FilesSource(tmp_path / "none.csv")
    with pytest.raises(BadSetting, match="PIPELINE_FILES"):
        FilesSource(None)
    with pytest.raises(BadSymbol, match="the sample has no TSLA"):
        SAMPLE.bars(("AAPL", "TSLA"), END)


def test_a_volume_that_is_not_given_is_none(tmp_path: Path, table: pd.DataFrame) -> None:
    table.loc[table["symbol"] == "IBM", "volume"] = np.nan
    table.assign(dividends=np.nan).to_csv(tmp_path / "prices.csv", index=False)
    found = FilesSource(tmp_path / "prices.csv").bars(("IBM", "MSFT"), END)
    assert (found.loc[found["symbol"] == "IBM", "volume"] == 0).all()
    assert (found["dividend"] == 0).all()


@pytest.mark.parametrize("zone", ["-05:00", "+09:00", ""])
def test_hours_are_made_into_days_and_stamps_keep_their_date(tmp_path: Path, zone: str) -> None:
    days = series(count=20)
    hours = pd.concat([days.assign(hour=hour) for hour in (9, 11, 15)]).sample(frac=1, random_state=2)
    stamps = hours["session"] + pd.to_timedelta(hours["hour"], unit="h")
    table = hours.assign(date=stamps.dt.strftime("%Y-%m-%d %H:%M:%S") + zone).drop(columns=["session", "hour"])
    table.to_csv(tmp_path / "hours.csv", index=False)
    source = FilesSource(tmp_path / "hours.csv")
    bars = source.bars(source.symbols(), source.last_session())
    assert bars["session"].tolist() == days["session"].tolist()
    assert bars["volume"].tolist() == (3 * days["volume"]).tolist()
    assert notes(check(bars)) == ["not_daily"]


def test_asking_for_less_of_a_file_changes_nothing_of_it(tmp_path: Path) -> None:
    bars = with_dividends({30: 0.02, 60: 0.1}).rename(columns={"session": "date", "adjusted_close": "adj_close"})
    bars.drop(columns=["dividend", "split_ratio", "currency"]).to_csv(tmp_path / "p.csv", index=False)
    source = FilesSource(tmp_path / "p.csv")
    whole = source.bars(("A",), source.last_session())
    first = whole["session"].iloc[50].date()
    pd.testing.assert_frame_equal(source.bars(("A",), source.last_session(), first), whole[50:].reset_index(drop=True))
