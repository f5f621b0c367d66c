"""Headers as vendors write them: each is read, and the description says whose it is."""

from pathlib import Path

import pytest

from pipeline.errors import BadFile
from tests.prices.sources.files.made_files import FEW, HEADER, bars_of, days_of, opened, rows, said, without_symbol

PLAIN = "Date,Open,High,Low,Close,Volume"
YFINANCE = {
    "one ticker": "Price,Close,High,Low,Open,Volume\nTicker,IBM,IBM,IBM,IBM,IBM\nDate,,,,,",
    "no names": ",Close,High,Low,Open,Volume\n,IBM,IBM,IBM,IBM,IBM",
    "ticker first": "Ticker,IBM,IBM,IBM,IBM,IBM\nPrice,Close,High,Low,Open,Volume\nDate,,,,,",
}


@pytest.mark.parametrize(
    ("name", "described", "header", "line"),
    [
        ("IBM.csv", "Plain format", PLAIN, "{d},1,2,.5,1.5,100"),
        ("IBM.csv", "Yahoo format", "Date,Open,High,Low,Close,Adj Close,Volume", "{d},1,2,.5,1.5,1.4,100"),
        ("^GSPC.csv", "Yahoo", "Date,Open,High,Low,Close*,Adj Close**,Volume", '"{d:%b %d, %Y}",1,2,.5,1.5,1.4,100'),
        (
            "p.csv",
            "yfinance format",
            "Symbol,Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
            "IBM,{d},1,2,.5,1.5,100,0,0",
        ),
        (
            "p.csv",
            "Stooq format, dates as YYYYMMDD",
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            "IBM,D,{d:%Y%m%d},000000,1,2,.5,1.5,100,0",
        ),
        ("ibm_us_d.csv", "Plain format", PLAIN, "{d},1,2,.5,1.5,100"),
        ("IBM.csv", "Nasdaq format", "Date,Close/Last,Volume,Open,High,Low", "{d:%m/%d/%Y},$1.5,100,$1,$2,$.5"),
        (
            "IBM Historical Data.csv",
            "Investing.com format",
            '"Date","Price","Open","High","Low","Vol.","Change %"',
            '"{d:%b %d, %Y}","1.5","1","2",".5","0.1K","0.5%"',
        ),
        (
            "daily_adjusted_IBM.csv",
            "Alpha Vantage format",
            "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
            "{d},1,2,.5,1.5,1.5,100,0.0,1.0",
        ),
        ("IBM.csv", "Alpha Vantage", ",1. open,2. high,3. low,4. close,5. volume", "{d},1,2,.5,1.5,100"),
        (
            "p.csv",
            "Tiingo format",
            "symbol,date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
            "IBM,{d}T00:00:00.000Z,1.5,2,.5,1,100,1,2,.5,1,100,0.0,1.0",
        ),
        (
            "p.csv",
            "Quandl/WIKI format",
            "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume",
            "IBM,{d},1,2,.5,1.5,100.0,0.0,1.0,1,2,.5,1.5,100.0",
        ),
        ("p.csv", "Kaggle format", "date,open,high,low,close,volume,Name", "{d},1,2,.5,1.5,100,IBM"),
        ("p.csv", "Plain", "date,open,high,low,close,volume,Name,Symbol", "{d},1,2,.5,1.5,100,Int. Business,IBM"),
        ("p.csv", "Plain", f"Some prices\nmade today\n\n{HEADER}", "IBM,{d},1,2,.5,1.5,100"),
        ("p.csv", "Plain", f"sep=,\n{HEADER}", "IBM,{d},1,2,.5,1.5,100"),
        ("p.csv", "Plain", f",{HEADER}", "7,IBM,{d},1,2,.5,1.5,100"),
        ("p.csv", "Plain", HEADER, "7,IBM,{d},1,2,.5,1.5,100"),
        ("p.csv", "Plain", HEADER, "IBM,{d},1,2,.5,1.5,100,"),
        ("IBM.csv", "Plain", ",open,high,low,close,volume", "{d},1,2,.5,1.5,100"),
        ("IBM.csv", "yfinance format", YFINANCE["one ticker"], "{d},1.5,2,.5,1,100"),
        ("IBM.csv", "yfinance format", YFINANCE["no names"], "{d},1.5,2,.5,1,100"),
        ("IBM.csv", "yfinance format", YFINANCE["ticker first"], "{d},1.5,2,.5,1,100"),
    ],
)
def test_each_header_is_read(tmp_path: Path, name: str, described: str, header: str, line: str) -> None:
    source = opened(tmp_path / name, without_symbol(header, line))
    bars = bars_of(source)
    symbol = "^GSPC" if name.startswith("^") else "IBM"
    assert bars["symbol"].unique().tolist() == [symbol]
    assert [stamp.date() for stamp in bars["session"]] == FEW
    assert bars[["open", "high", "low", "close", "volume"]].iloc[-1].tolist() == [1.0, 2.0, 0.5, 1.5, 100.0]
    assert described in source.description()
    assert not bars.attrs["rejected"]
    assert not bars.attrs["notes"]


@pytest.mark.parametrize("order", ["field first", "ticker first"])
def test_several_tickers_side_by_side_are_rows_of_their_own(tmp_path: Path, order: str) -> None:
    fields = ["Close", "High", "Low", "Open", "Volume"]
    pairs = [(field, name) for field in fields for name in ("IBM", "NA")]
    pairs = pairs if order == "field first" else sorted(pairs, key=lambda pair: pair[1])
    levels = [",".join(["Price", *(p[0] for p in pairs)]), ",".join(["Ticker", *(p[1] for p in pairs)])]
    levels = levels if order == "field first" else levels[::-1]
    values = dict(zip(fields, (1.5, 2, 0.5, 1, 100), strict=True))
    lines = [f"{day}," + ",".join(str(values[f]) for f, _ in pairs) for day in FEW]
    only = "2013-03-01," + ",".join(str(values[f]) if name == "NA" else "" for f, name in pairs)
    source = opened(tmp_path / "p.csv", "\n".join([*levels, "Date" + "," * len(pairs), *lines, only]))
    bars = bars_of(source)
    assert bars["symbol"].value_counts().to_dict() == {"IBM": len(FEW), "NA": len(FEW) + 1}
    assert (bars["close"] == 1.5).all()


def test_raw_prices_with_splits_and_dividends_are_used_as_they_are(tmp_path: Path) -> None:
    lines = [f"{HEADER},divCash,splitFactor"]
    for k, day in enumerate(FEW):
        price = 100 if k < 6 else 50
        lines.append(f"IBM,{day},{price},{price},{price},{price},100,{0.5 if k == 3 else 0},{2 if k == 6 else 1}")
    source = opened(tmp_path / "p.csv", "\n".join(lines))
    bars = bars_of(source)
    assert bars["dividend"].sum() == 0.5
    assert bars["split_ratio"].tolist() == [1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert source.description() == "Tiingo format, ISO dates, raw prices, 1 split, 1 dividend"
    assert source.description(FEW[2]) == "Tiingo format, ISO dates, prices as given, 0 splits, 0 dividends"


def test_a_time_of_its_own_makes_moments(tmp_path: Path) -> None:
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<VOL>"
    lines = [f"{day:%Y.%m.%d}\t{hour}:00:00\t1\t2\t.5\t1.5\t100" for day in FEW for hour in (10, 11)]
    bars = bars_of(opened(tmp_path / "EURUSD.csv", "\n".join([header, *lines])))
    assert bars["volume"].tolist() == [200] * len(FEW)
    assert [row.rule for row in bars.attrs["notes"]] == ["not_daily"]


@pytest.mark.parametrize(
    ("column", "noted"),
    [("Split Adj Factor", True), ("adjustment_factor", True), ("sector", False), ("adjOpen", False), ("vwap", False)],
)
def test_a_column_that_may_matter_and_is_not_used_is_named(tmp_path: Path, column: str, noted: bool) -> None:
    text = without_symbol(f"{HEADER},{column}", "IBM,{d},1,2,.5,1.5,100,7")
    assert said(bars_of(opened(tmp_path / "p.csv", text)), "notes") == (
        [f"the column {column!r} is not used"] if noted else []
    )


def test_a_column_that_is_there_twice_is_one_if_equal_and_refused_if_not(tmp_path: Path) -> None:
    header = f"{HEADER},Close"
    bars = bars_of(opened(tmp_path / "p.csv", without_symbol(header, "IBM,{d},1,2,.5,1.5,100,1.5")))
    assert said(bars, "notes") == ["the columns 'close' and 'Close' are equal and read as one"]
    with pytest.raises(BadFile, match="'close' and 'Close', which are one name and differ"):
        opened(tmp_path / "p.csv", without_symbol(header, "IBM,{d},1,2,.5,1.5,100,1.6")).symbols()


@pytest.mark.parametrize("name", ["prices.csv", "HistoricalData_17.csv", "my prices.csv", "aapl.csv"])
def test_a_file_without_a_symbol_is_refused_unless_one_is_asked_for(tmp_path: Path, name: str) -> None:
    text = without_symbol(PLAIN, "{d},1,2,.5,1.5,100")
    with pytest.raises(BadFile, match=r"has no column symbol, .*--symbols"):
        opened(tmp_path / name, text).symbols()
    with pytest.raises(BadFile, match="has no column symbol"):
        opened(tmp_path / name, text, symbols=("IBM", "MSFT")).symbols()
    assert opened(tmp_path / name, text, symbols=("IBM",)).symbols() == ("IBM",)


@pytest.mark.parametrize("column", ["date", "open", "high", "low", "close", "volume"])
def test_a_column_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    text = rows(FEW).replace(column, "something", 1)
    with pytest.raises(BadFile, match=f"p.csv has no column {column}; needed are"):
        opened(tmp_path / "p.csv", text).symbols()


def test_names_are_compared_without_case_spaces_and_signs(tmp_path: Path) -> None:
    assert (
        days_of(opened(tmp_path / "p.csv", rows(FEW).replace(HEADER, "Symbol, DATE ,Open,HIGH,low,Close ,Vol."))) == FEW
    )
