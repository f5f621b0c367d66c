"""Dates in price files: one format for the column, decided over all of it, and each odd row quoted."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.errors import BadFile, BadSetting
from tests.prices.sources.files.made_files import FEW, SESSIONS, TODAY, bars_of, days_of, opened, rows, said

SHORT = [day for day in SESSIONS if day.day <= 12][:6]
LOW_DAYS = [day for day in SESSIONS if day.day <= 12]


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("%Y-%m-%d", "ISO dates"),
        ("%Y/%m/%d", "ISO dates"),
        ("%Y-%m-%d 00:00:00", "ISO dates"),
        ("%Y-%m-%dT00:00:00.000Z", "ISO dates"),
        ("%Y-%m-%d 16:00:00-05:00", "ISO dates"),
        ("%Y-%m-%dT21:00:00Z", "ISO dates"),
        ("%Y-%m-%d 16:00 EST", "ISO dates"),
        ("%Y%m%d", "dates as YYYYMMDD"),
        ("%Y%m%d.0", "dates as YYYYMMDD"),
        ("%d/%m/%Y", "day-first dates"),
        ("%d.%m.%y", "day-first dates"),
        ("%d-%m-%y", "day-first dates"),
        ("%m/%d/%Y", "month-first dates"),
        ("%m-%d-%y", "month-first dates"),
        ("%m/%d/%Y 4:00:00 PM", "month-first dates"),
        ("%y/%m/%d", "year-first dates"),
        ("%b %d %Y", "dates with month names"),
        ('"%b %d, %Y"', "dates with month names"),
        ("%d-%b-%y", "dates with month names"),
        ("%d %B %Y", "dates with month names"),
        ("%a %b %d %Y", "dates with month names"),
        ('"%A, %B %d, %Y"', "dates with month names"),
    ],
)
def test_each_format_is_read_and_named(tmp_path: Path, pattern: str, named: str) -> None:
    source = opened(tmp_path / "p.csv", rows(day.strftime(pattern) for day in SESSIONS))
    assert days_of(source) == SESSIONS
    assert named in source.description()


@pytest.mark.parametrize(
    ("named", "unit", "shift"),
    [
        ("epoch seconds", 1, 0),
        ("epoch seconds", 1, 14.5 * 3600),
        ("epoch milliseconds", 1000, 0),
        ("epoch milliseconds", 1000, 5 * 3600),
        ("epoch microseconds", 10**6, 0),
        ("epoch nanoseconds", 10**9, 0),
    ],
)
def test_numbers_since_1970_are_dates_of_the_market(tmp_path: Path, named: str, unit: int, shift: float) -> None:
    stamps = [int((pd.Timestamp(day).timestamp() + shift) * unit) for day in SESSIONS]
    source = opened(tmp_path / "p.csv", rows(stamps))
    assert days_of(source) == SESSIONS
    assert named in source.description()


@pytest.mark.parametrize("suffix", ["", ".0"])
def test_excel_serial_numbers_are_dates(tmp_path: Path, suffix: str) -> None:
    source = opened(tmp_path / "p.csv", rows(f"{(day - date(1899, 12, 30)).days}{suffix}" for day in SESSIONS))
    assert days_of(source) == SESSIONS


@pytest.mark.parametrize(
    ("pattern", "readings"),
    [
        ("%d/%m/%y", ["2012-09-04 (day-first)", "2012-04-09 (month-first)"]),
        ("%m-%d-%Y", ["2012-04-09 (day-first)", "2012-09-04 (month-first)"]),
        ("%d.%m.%Y", ["2012-09-04 (day-first)", "2012-04-09 (month-first)"]),
    ],
)
def test_two_readings_are_refused_with_both_and_the_setting(tmp_path: Path, pattern: str, readings: list[str]) -> None:
    with pytest.raises(BadFile, match="PIPELINE_FILES_DATES") as caught:
        opened(tmp_path / "p.csv", rows(day.strftime(pattern) for day in SHORT)).symbols()
    assert all(reading in str(caught.value) for reading in readings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("day-first", date(2012, 9, 4)),
        ("month-first", date(2012, 4, 9)),
        ("year-first", date(2004, 9, 12)),
        ("%d/%m/%y", date(2012, 9, 4)),
        ("%m/%d/%y", date(2012, 4, 9)),
    ],
)
def test_the_setting_decides(tmp_path: Path, setting: str, expected: date) -> None:
    source = opened(tmp_path / "p.csv", rows(day.strftime("%d/%m/%y") for day in SHORT), dates=setting)
    assert expected in days_of(source)


def test_the_setting_leaves_other_formats_alone(tmp_path: Path) -> None:
    assert days_of(opened(tmp_path / "p.csv", rows(SESSIONS), dates="day-first")) == SESSIONS


def test_a_setting_without_sense_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="PIPELINE_FILES_DATES='europe': is neither day-first"):
        Settings.load(files_dates="europe")


@pytest.mark.parametrize("pattern", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%y-%m-%d"])
def test_a_reading_that_puts_many_bars_on_weekends_is_none(tmp_path: Path, pattern: str) -> None:
    assert days_of(opened(tmp_path / "p.csv", rows(day.strftime(pattern) for day in LOW_DAYS))) == LOW_DAYS


def test_weekends_tell_nothing_of_a_market_that_never_closes(tmp_path: Path) -> None:
    days = [date(2013, 1, 1) + timedelta(days=k) for k in range(200)]
    text = rows([day.strftime("%d/%m/%Y") for day in days if day.day <= 12], symbol="BTC-USD")
    with pytest.raises(BadFile, match="no row tells which"):
        opened(tmp_path / "p.csv", text).symbols()


@pytest.mark.parametrize(
    ("first", "second"), [("%d/%m/%y", "%m/%d/%y"), ("%Y-%m-%d", "%d/%m/%Y"), ("%Y%m%d", "%b %d %Y")]
)
def test_a_column_of_two_formats_is_refused(tmp_path: Path, first: str, second: str) -> None:
    dates = [day.strftime(first if k < 60 else second) for k, day in enumerate(SESSIONS)]
    with pytest.raises(BadFile, match="mixes formats"):
        opened(tmp_path / "p.csv", rows(dates)).symbols()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("n/a", "'n/a' is not a date"),
        ("2012-02-30", "'2012-02-30' is not a date"),
        ("05/09/2012", "'05/09/2012' is not a date"),
        ("", "the date is blank"),
        ("1812-09-05", "the date '1812-09-05' is before 1900"),
        ("2031-09-05", "the date '2031-09-05' is in the future"),
        ("2026-11-29", "the date '2026-11-29' is in the future"),
        ("2021-09-06", "a mistyped year"),
        ("1912-09-06", "a mistyped year"),
    ],
)
@pytest.mark.parametrize("place", [2, -1])
def test_a_date_that_cannot_be_is_a_fault_of_its_row(tmp_path: Path, text: str, fault: str, place: int) -> None:
    days: list[object] = list(SESSIONS)
    days[place] = text.replace("09-06", "03-01") if place == -1 else text
    source = opened(tmp_path / "p.csv", rows(days))
    bars = bars_of(source)
    expected = [day for k, day in enumerate(SESSIONS) if k != place % len(SESSIONS)]
    assert [stamp.date() for stamp in bars["session"]] == expected
    assert (source.first_session(), source.last_session()) == (expected[0], expected[-1])
    (detail,) = said(bars, "rejected")
    assert fault.replace("09-06", "03-01") in detail
    assert f"line {place % len(SESSIONS) + 2}: " in detail
    assert bars.attrs["rejected"][0].symbol == "IBM"


def test_tomorrow_is_no_future(tmp_path: Path) -> None:
    assert opened(tmp_path / "p.csv", rows([*SESSIONS, TODAY + timedelta(days=1)])).last_session() > TODAY


@pytest.mark.parametrize("text", ["someday", "120904", "2012", "4.9."])
def test_dates_of_no_known_format_are_refused_with_the_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadFile, match=f"column date: '{text}' is not a date .*PIPELINE_FILES_DATES"):
        opened(tmp_path / "p.csv", rows([text] * 5)).symbols()


@pytest.mark.parametrize(
    ("symbol", "zone"),
    [
        ("7203.T", "Asia/Tokyo"),
        ("IBM", "America/New_York"),
        ("BP.L", "Europe/London"),
        ("SAP.DE", "Europe/Berlin"),
        ("BHP.AX", "Australia/Sydney"),
    ],
)
@pytest.mark.parametrize("stored", ["UTC", "America/New_York", "Asia/Tokyo", "own"])
def test_a_local_midnight_is_the_date_of_its_market_wherever_it_was_stored(
    tmp_path: Path, symbol: str, zone: str, stored: str
) -> None:
    stamps = pd.DatetimeIndex(SESSIONS).tz_localize(zone).tz_convert(zone if stored == "own" else stored)
    assert days_of(opened(tmp_path / "p.csv", rows(stamps, symbol=symbol))) == SESSIONS
    frame = pd.DataFrame({"symbol": symbol, "date": stamps, "volume": 1.0})
    frame[["open", "high", "low", "close"]] = 10.0
    frame.to_parquet(tmp_path / "p.parquet")
    assert days_of(opened(tmp_path / "p.parquet", (tmp_path / "p.parquet").read_bytes())) == SESSIONS


def test_markets_in_one_file_each_keep_their_own_dates(tmp_path: Path) -> None:
    zones = {"7203.T": "Asia/Tokyo", "IBM": "America/New_York"}
    texts = [rows(pd.DatetimeIndex(SESSIONS).tz_localize(z).tz_convert("UTC"), symbol=s) for s, z in zones.items()]
    source = opened(tmp_path / "p.csv", texts[0] + texts[1].split("\n", 1)[1])
    bars = bars_of(source)
    for symbol in zones:
        assert [stamp.date() for stamp in bars.loc[bars["symbol"] == symbol, "session"]] == SESSIONS
    assert "moved from UTC" in source.description()


@pytest.mark.parametrize("asked", [("IBM",), ("ABC", "IBM")])
def test_dates_of_a_symbol_that_is_not_asked_for_refuse_nobody(tmp_path: Path, asked: tuple[str, ...]) -> None:
    other = [f"{day:%d/%m/%Y}" for day in FEW]
    text = rows(FEW) + "".join(
        rows(days, symbol=symbol).partition("\n")[2] for symbol, days in (("XYZ", other), ("ABC", FEW))
    )
    with pytest.raises(BadFile, match="mixes formats"):
        opened(tmp_path / "p.csv", text).symbols()
    source = opened(tmp_path / "p.csv", text, symbols=asked)
    bars = source.bars(asked, FEW[-1])
    assert {symbol: len(part) for symbol, part in bars.groupby("symbol")} == dict.fromkeys(asked, len(FEW))
    with pytest.raises(BadFile, match="mixes formats"):
        opened(tmp_path / "p.csv", text, symbols=("IBM", "XYZ")).symbols()
