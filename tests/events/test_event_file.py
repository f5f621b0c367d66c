"""A file of events, as people write them; what cannot be read is named with its line."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import BadFile
from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import FIRST_DAY
from pipeline.events.event_file import EventFile

LAST = date(2030, 1, 1)
SYMBOLS = ("AAPL", "BRK-B", "BP.L", "NA")


def read(path: Path, text: str | bytes | None = None, **options: str) -> Announced:
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return EventFile(path, **options).announced(SYMBOLS, FIRST_DAY, LAST)


def earnings(symbol: str, *day: int, **values: object) -> Event:
    return Event(symbol=symbol, kind="earnings", day=date(*day), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "known_at"),
    [
        ("symbol,date\nAAPL,2023-05-04\n", None),
        ("Ticker;Report Date\naapl;04.05.2023\nBRK.B;31.05.2023\n", None),
        ("Symbol\tEarnings Date\tKind\r\nAAPL\tMay 4, 2023\tEarnings\r\n", None),
        ("ticker|earnings_date|known_at\nAAPL|20230504|20230401\n", datetime(2023, 4, 1, 23, 59, 59, tzinfo=UTC)),
        ("symbol,date,announced_at\nAAPL,2023-05-04,2023-04-01T09:00Z\n", datetime(2023, 4, 1, 9, tzinfo=UTC)),
        ("symbol,date,known_at\nAAPL,2023-05-04,2023-04-01 09:00-04:00\n", datetime(2023, 4, 1, 13, tzinfo=UTC)),
        ("symbol,date\nAAPL,2023-05-04\n".encode("utf-16"), None),
        (gzip.compress(b"symbol,date\nAAPL,2023-05-04\n", mtime=0), None),
    ],
)
def test_delimiters_headers_encodings_and_date_formats(
    tmp_path: Path, text: str | bytes, known_at: datetime | None
) -> None:
    answer = read(tmp_path / "events.csv", text)
    assert answer.findings == ()
    assert answer.events[0] == earnings("AAPL", 2023, 5, 4, known_at=known_at)
    assert answer.complete == {"", *SYMBOLS}


def test_parquet_with_dates_of_its_own(tmp_path: Path) -> None:
    frame = pd.DataFrame({"symbol": ["AAPL", "NA"], "date": pd.to_datetime(["2023-05-04", "2023-05-05"])})
    frame.to_parquet(tmp_path / "events.parquet")
    assert [one.symbol for one in read(tmp_path / "events.parquet").events] == ["AAPL", "NA"]


def test_kinds_times_and_confirmation(tmp_path: Path) -> None:
    text = (
        "symbol,date,kind,time,confirmed\n"
        "AAPL,2023-05-04,,amc,\n"
        "AAPL,2023-05-12,Ex-Dividend,,true\n"
        "BRK.B,2023-05-05,report,08:00,no\n"
        "BP.L,2023-05-02,earnings,Before Open,yes\n"
        ",2023-05-03,central bank,14:00,\n"
        "NA,2023-05-09,earnings,17:30:00,estimated\n"
    )
    assert sorted(read(tmp_path / "e.csv", text).events, key=lambda one: (one.symbol, one.kind)) == [
        Event(symbol="", kind="central_bank", day=date(2023, 5, 3)),
        earnings("AAPL", 2023, 5, 4, time="after_close"),
        Event(symbol="AAPL", kind="ex_dividend", day=date(2023, 5, 12)),
        earnings("BP.L", 2023, 5, 2, time="before_open"),
        earnings("BRK-B", 2023, 5, 5, time="before_open", confirmed=False),
        earnings("NA", 2023, 5, 9, time="after_close", confirmed=False),
    ]


@pytest.mark.parametrize(
    ("symbol", "text", "time"),
    [
        ("AAPL", "16:00", "after_close"),
        ("AAPL", "15:59", "unknown"),
        ("AAPL", "9:30", "before_open"),
        ("AAPL", "4:05 PM", "after_close"),
        ("BP.L", "07:00", "before_open"),
        ("BP.L", "16:30", "after_close"),  # London's close, while New York trades
        ("BP.L", "16:00", "unknown"),
    ],
)
def test_a_time_on_the_clock_is_one_of_the_market(tmp_path: Path, symbol: str, text: str, time: str) -> None:
    (event,) = read(tmp_path / "e.csv", f"symbol,date,time\n{symbol},2023-05-04,{text}\n").events
    assert (event.day, event.time) == (date(2023, 5, 4), time)


@pytest.mark.parametrize(
    ("text", "day", "time"),
    [
        ("2023-05-04 16:30:00-04:00", date(2023, 5, 4), "after_close"),  # as yfinance has it
        ("2023-05-04T20:30Z", date(2023, 5, 4), "after_close"),
        ("2023-05-05T00:30Z", date(2023, 5, 4), "after_close"),  # an evening in New York
        ("2023-05-04 08:00", date(2023, 5, 4), "before_open"),
        ("2023-05-04T00:00Z", date(2023, 5, 4), "unknown"),
    ],
)
def test_a_date_with_a_time_tells_the_time_of_day(tmp_path: Path, text: str, day: date, time: str) -> None:
    (event,) = read(tmp_path / "e.csv", f"symbol,date\nAAPL,{text}\n").events
    assert (event.day, event.time) == (day, time)


def test_a_file_named_after_its_symbol_needs_no_column_for_it(tmp_path: Path) -> None:
    (tmp_path / "dates").mkdir()
    for name in ("AAPL", "BP.L"):
        (tmp_path / "dates" / f"{name}.csv").write_text("Earnings Date,EPS Estimate\n2023-05-04,1.43\n")
    assert {one.symbol for one in read(tmp_path / "dates").events} == {"AAPL", "BP.L"}


def test_rows_that_cannot_be_read_are_named_and_the_others_stay(tmp_path: Path) -> None:
    text = (
        "symbol,date,time\nAAPL,2023-05-04,\nAAPL,soon,\nAAPL,,\nA B/C,2023-05-04,\n"
        "BRK.B,2023-05-06,teatime\nOTHER,2023-05-04,\n"
    )
    answer = read(tmp_path / "e.csv", text)
    assert answer.events == (earnings("AAPL", 2023, 5, 4),)
    assert {(one.verdict, one.rule) for one in answer.findings} == {("reject", "unreadable")}
    assert [one.detail.split(":")[0] for one in answer.findings] == ["line 3", "line 4", "line 5", "line 6"]
    assert "'soon' is not a date" in answer.findings[0].detail
    assert "'teatime' is not a time of day" in answer.findings[3].detail


def test_ambiguous_dates_are_decided_by_the_setting_of_price_files(tmp_path: Path) -> None:
    text = "symbol,date,known_at\nAAPL,04/05/2023,02/03/2023\n"
    with pytest.raises(BadFile, match="PIPELINE_FILES_DATES"):
        read(tmp_path / "e.csv", text)
    (event,) = read(tmp_path / "e.csv", dates="day-first").events
    assert (event.day, event.known_at) == (date(2023, 5, 4), datetime(2023, 3, 2, 23, 59, 59, tzinfo=UTC))


def test_an_unambiguous_file_does_not_depend_on_the_setting_of_price_files(tmp_path: Path) -> None:
    answer = read(tmp_path / "e.csv", "symbol,date\nAAPL,2023-05-04\n", dates="%d.%m.%y")
    assert answer.events == (earnings("AAPL", 2023, 5, 4),)


def test_one_column_of_dates_tells_the_order_of_the_other(tmp_path: Path) -> None:
    (event,) = read(tmp_path / "e.csv", "symbol,date,known_at\nAAPL,23.05.2023,02.03.2023\n").events
    assert event.known_at == datetime(2023, 3, 2, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,price\nAAPL,3\n", "no column date"),
        ("date,time\n2023-05-04,\n", "has no column symbol, and its name is none"),
        ("", "no rows"),
        ("{}", "JSON"),
        ("symbol,date\nAAPL,\n", "blank in every row"),
    ],
)
def test_a_file_that_is_no_calendar_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        read(tmp_path / "e.csv", text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="PIPELINE_EVENTS"):
        read(tmp_path / "none.csv")
