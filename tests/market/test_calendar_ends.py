"""Where a calendar ends, and where one begins: sessions are estimated and say so, and no other symbol is affected."""

import io
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline import jobs
from pipeline.config import Overrides, Settings
from pipeline.errors import BadSymbol
from pipeline.jobs import health_checks
from pipeline.market.calendar_ends import warnings
from pipeline.market.sessions import Sessions
from pipeline.publishing import reader
from pipeline.publishing.terminal.overview import Overview
from pipeline.publishing.terminal.symbol_text import Detail
from pipeline.storage.documents import to_document
from tests.small import SMALL

BOMBAY, RIYADH = Sessions("XBOM"), Sessions("XSAU")


@pytest.mark.parametrize(
    ("exchange", "last", "following"),
    [
        ("XBOM", "2026-12-30", ["2026-12-31", "2027-01-01", "2027-01-04"]),
        ("XSHG", "2026-12-31", ["2027-01-01", "2027-01-04", "2027-01-05"]),
        ("XSES", "2027-01-07", ["2027-01-08", "2027-01-11", "2027-01-12"]),
        ("XSAU", "2029-12-31", ["2030-01-01", "2030-01-02", "2030-01-03"]),
        ("XSAU", "2030-01-03", ["2030-01-06", "2030-01-07", "2030-01-08"]),  # from Sunday to Thursday
        ("XSAU", "2020-12-30", ["2020-12-31", "2021-01-03", "2021-01-04"]),  # recorded from 2021 on
        ("24/7", "2040-12-31", ["2041-01-01", "2041-01-02", "2041-01-03"]),
    ],
)
def test_beyond_the_recorded_years_the_trading_week_goes_on(exchange: str, last: str, following: list[str]) -> None:
    sessions = Sessions(exchange)
    found = sessions.following(date.fromisoformat(last), 3)
    assert [str(day) for day in found] == following
    assert [sessions.shift(date.fromisoformat(last), count) for count in (1, 2, 3)] == found
    assert sessions.between(found[0], found[-1]) == found
    assert sessions.shift(found[-1], -3) == date.fromisoformat(last)
    assert all(sessions.last_complete(sessions.complete_at(day)) == day for day in found)


@pytest.mark.parametrize(
    ("exchange", "until"),
    [
        ("XNYS", "2040-12-31"),
        ("XLON", "2040-12-31"),
        ("XHKG", "2040-12-31"),
        ("XTAI", "2040-12-31"),
        ("XAMS", "2040-12-31"),  # few holidays, none of them irregular
        ("XBOM", "2026-12-31"),
        ("XSAU", "2029-12-31"),
        ("XIDX", "2025-12-31"),  # the package states no end, but its religious holidays are listed up to here
        ("XKAR", "2025-12-31"),
        ("XBKK", "2029-12-31"),
    ],
)
def test_a_calendar_is_known_as_far_as_its_irregular_holidays_are_listed(exchange: str, until: str) -> None:
    assert str(Sessions(exchange).recorded_until) == until


def test_where_only_some_holidays_are_known_these_are_kept() -> None:
    jakarta = Sessions("XIDX")
    assert jakarta.is_estimated(date(2027, 8, 16))
    assert not jakarta.is_session(date(2027, 8, 17))  # Independence Day
    assert jakarta.complete_at(date(2027, 8, 16)).hour == 9


def test_an_estimated_session_keeps_the_usual_hours_of_its_market() -> None:
    known, estimated = date(2026, 12, 31), date(2027, 1, 1)
    assert BOMBAY.complete_at(estimated) - BOMBAY.complete_at(known) == timedelta(days=1)
    assert BOMBAY.opens_at(estimated) - BOMBAY.opens_at(known) == timedelta(days=1)
    assert [BOMBAY.is_estimated(day) for day in (known, estimated)] == [False, True]
    assert not RIYADH.is_session(date(2030, 1, 4))  # a Friday


def test_what_a_calendar_covers_does_not_depend_on_today() -> None:
    assert not Sessions("XNYS").is_session(date(2035, 7, 4))
    assert not Sessions("XNYS").is_estimated(date(2035, 7, 3))


@pytest.mark.parametrize(
    ("today", "says"),
    [
        ("2026-10-30", None),
        ("2026-11-27", "the calendar XBOM is known up to 2026-12-31 in exchange_calendars"),
        ("2027-01-05", "the calendar XBOM is known up to 2026-12-31 in exchange_calendars"),
    ],
)
def test_the_end_is_announced_sixty_days_ahead(today: str, says: str | None) -> None:
    found = warnings([BOMBAY, BOMBAY, Sessions("XNYS")], date.fromisoformat(today))
    assert [says is not None and text.startswith(says) and "upgrade the package" in text for text in found] == [
        True
    ] * (says is not None)


def prices(last: date, symbols: tuple[str, ...], folder: Path) -> Path:
    """Write 300 sessions of each symbol, up to `last`, on its own calendar."""
    rng, parts = np.random.default_rng(5), []
    for symbol in symbols:
        settings = Settings.load(markets="XX=24/5")
        days = settings.clock.sessions_of(symbol).between(last - timedelta(days=440), last)[-300:]
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        parts.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "date": [str(day) for day in days],
                    "open": close * 1.001,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": 1000.0,
                }
            )
        )
    path = folder / "prices.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path


def run(now: datetime, path: Path, **overrides: object) -> tuple[dict, reader.Published, pd.DataFrame]:
    given = {**SMALL, "symbols": "", "source": "files", "files": str(path), **overrides}
    planned = jobs.plan(key=None, now=now, overrides=Overrides(given), provenance={})
    results = to_document(jobs.run_all(planned, known_at=now))
    folder = Settings.load().published / results["publish"]["place"]
    frame = pd.read_parquet(Path(results["publish"]["folder"]) / "forecasts.parquet")
    return {"plan": to_document(planned), **results}, reader.read_published(folder), frame


@pytest.mark.parametrize(
    ("now", "last", "estimated", "first"),
    [
        ("2026-12-24T23:00", "2026-12-24", {"INFY.NS": 26, "600000.SS": 25, "IBM": 0}, "2026-12-28"),
        ("2027-01-05T23:00", "2027-01-05", {"INFY.NS": 30, "600000.SS": 30, "IBM": 0}, "2027-01-06"),
    ],
)
def test_a_run_near_the_end_of_a_calendar_publishes_everybody(
    now: str, last: str, estimated: dict[str, int], first: str, tmp_path: Path, home: Path
) -> None:
    path = prices(date.fromisoformat(last), tuple(estimated), tmp_path)
    results, published, frame = run(datetime.fromisoformat(now).replace(tzinfo=UTC), path, horizon=30)

    assert frame.groupby("symbol")["target_session_estimated"].sum().to_dict() == estimated
    assert frame.groupby("symbol").size().to_dict() == dict.fromkeys(estimated, 30)
    for symbol, part in frame.groupby("symbol"):
        own = [date.fromisoformat(str(day)[:10]) for day in part["target_session"]]
        sessions = Settings.load().clock.sessions_of(str(symbol))
        assert own == sessions.following(date.fromisoformat(str(part["last_session"].iloc[0])[:10]), 30)
    steps = {each.symbol: each.steps for each in published.forecasts.forecasts}
    assert steps["IBM"][0].target_session == date.fromisoformat(first)
    assert sum(step.target_session_estimated for step in steps["INFY.NS"]) == estimated["INFY.NS"]

    told = [text for text in results["publish"]["warnings"] if "exchange_calendars" in text]
    assert [text.split()[2] for text in told] == ["XBOM", "XSHG"]
    assert results["plan"]["warnings"] == told
    assert "estimated dates: 600000.SS, INFY.NS" in results["publish"]["headline"]
    page = (Path(results["publish"]["folder"]) / "report.html").read_text()
    assert "Dates marked ~ are estimated" in page
    assert "the calendar XBOM is known up to 2026-12-31" in page
    csv = (Path(results["publish"]["folder"]) / "forecasts.csv").read_text()
    assert csv.splitlines()[0].endswith("last_session,target_session_estimated")
    assert "~" in shown(Overview(published=published), 120)


def test_a_refused_symbol_stops_nobody_else(tmp_path: Path, home: Path) -> None:
    path = prices(date(2024, 3, 1), ("IBM", "FOO.XX"), tmp_path)
    now = datetime(2024, 3, 2, 12, tzinfo=UTC)
    results, published, frame = run(now, path, horizon=2)
    assert set(frame["symbol"]) == {"IBM"}
    assert [each.symbol for each in published.forecasts.withheld] == ["FOO.XX"]
    reason = published.forecasts.withheld[0].reason
    assert "PIPELINE_MARKETS=XX=" in reason
    assert "FOO.XX" not in reason  # it stands in front of it wherever it is shown
    assert "1 withheld" in results["publish"]["headline"]

    _, published, frame = run(now, path, horizon=2, markets="XX=24/5")
    assert set(frame["symbol"]) == {"IBM", "FOO.XX"}
    assert not frame["target_session_estimated"].any()

    with pytest.raises(BadSymbol, match=r"FOO\.XX: the suffix \.XX"):
        jobs.plan(
            key=None,
            now=now,
            overrides=Overrides({"source": "files", "files": str(path), "symbols": "FOO.XX"}),
            provenance={},
        )


@pytest.mark.parametrize(
    ("today", "warns"), [(date(2026, 10, 1), []), (date(2026, 12, 24), ["XBOM"]), (date(2027, 1, 5), ["XBOM"])]
)
def test_the_doctor_warns_of_calendars_that_end_and_names_refused_symbols(
    today: date, warns: list[str], tmp_path: Path, empty_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(empty_home, home)
    path = prices(date(2026, 9, 30), ("IBM", "INFY.NS", "FOO.XX"), tmp_path)
    monkeypatch.setenv("PIPELINE_SOURCE", "files")
    monkeypatch.setenv("PIPELINE_FILES", str(path))
    now = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    found = {row.what: row for row in health_checks.examine(now=now)}["calendars"]
    assert found.ok
    assert found.warning
    assert "FOO.XX: the suffix .XX" in found.found
    assert [code for code in ("XBOM", "XNYS") if f"the calendar {code} " in found.found] == warns


def test_every_date_that_is_shown_is_the_symbols_own(tmp_path: Path, home: Path) -> None:
    path = prices(date(2024, 3, 1), ("IBM", "BTC-USD", "2222.SR"), tmp_path)
    results, published, _ = run(datetime(2024, 3, 2, 12, tzinfo=UTC), path, horizon=2)
    days = {
        "BTC-USD": ("Thu 29 Feb", "Fri 1 Mar", "Sat 2 Mar"),
        "IBM": ("Fri 1 Mar", "Mon 4 Mar", "Tue 5 Mar"),
        "2222.SR": ("Thu 29 Feb", "Sun 3 Mar", "Mon 4 Mar"),
    }
    assert published.forecasts.horizon == 2
    assert "2 sessions ahead" in results["publish"]["headline"]
    wide = shown(Overview(published=published), 170)
    for symbol, texts in days.items():
        row = next(line for line in wide.splitlines() if line.startswith(symbol))
        assert [text for text in texts if text in row] == list(texts)
    assert not any(text in line for line in wide.splitlines() if "80 %" in line for text in ("Mar", "Feb"))
    narrow = shown(Overview(published=published), 80)
    assert "…" not in narrow
    page = (Path(results["publish"]["folder"]) / "report.html").read_text()
    for symbol, (_, first, last) in days.items():
        row = page.partition(f'<tr data-symbol="{symbol}"')[2].partition("</tr>")[0]
        assert [text for text in (first, last) if text in row] == [first, last]
    for one in published.forecasts.forecasts:
        detail = shown(Detail(forecast=one, record=[], as_of=date(2024, 3, 1), model="lstm", reason=""), 100)
        assert all(text in detail for text in days[one.symbol][1:])
        closed = "Friday 1 March" if one.symbol == "IBM" else "Thursday 29 February"
        assert f"close of {closed}" in detail
    assert json.loads((Path(results["publish"]["folder"]) / "forecasts.json").read_text()) == to_document(
        published.forecasts
    )


def shown(what: object, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()
