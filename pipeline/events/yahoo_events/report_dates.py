"""Past reports of a symbol, from the page of its dates: one request for some 24 years of quarters."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd

from pipeline.errors import BadUpstream, NoData
from pipeline.events.event import EARNINGS, Event
from pipeline.events.yahoo_events.answer_parts import Part, merged
from pipeline.events.yahoo_events.event_requests import DATES_ROWS
from pipeline.events.yahoo_events.report_times import day_and_time
from pipeline.market.sessions import Sessions

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange

_SYMBOL, _DATE = "Symbol", "Earnings Date"
# October 30, 2025 at 4 PM EDT
_WHEN = re.compile(r"(\w+ \d{1,2}, \d{4})(?: at (\d{1,2})(?::(\d\d))? ?([AP]M)(?: (\w+))?)?")
_ZONES = {
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "GMT": "UTC",
    "UTC": "UTC",
    "BST": "Europe/London",
    "CET": "Europe/Paris",
    "CEST": "Europe/Paris",
    "JST": "Asia/Tokyo",
}
_LONGEST_AHEAD = timedelta(days=2 * 366)
_EARLIEST = date(1970, 1, 1)


def past_reports(symbol: str, first: date, last: date, sessions: Sessions, exchange: "Exchange") -> Part:
    """Return a symbol's reports from `first` to `last`; complete if the page goes back that far.

    Raises NoData for a page without dates, BadUpstream for one of another symbol or with other columns.
    """
    texts = list(_texts(exchange.text, symbol))
    events, odd = [], []
    for text in texts:
        if found := _moment(text):
            day, at = day_and_time(*found, sessions)
            events.append(Event(symbol=symbol, kind=EARNINGS, day=day, time=at))
        if not found or not _EARLIEST <= day <= last + _LONGEST_AHEAD:
            odd.append(text)
    is_whole = len(texts) < DATES_ROWS or min((event.day for event in events), default=last) <= first
    notes = (f"{symbol}: dates of past reports that cannot be: {', '.join(map(repr, odd[:3]))}",) if odd else ()
    return Part(
        events=merged(event for event in events if first <= event.day <= last),
        complete=frozenset({symbol}) if is_whole and not odd else frozenset(),
        notes=notes,
    )


def _texts(text: str, symbol: str) -> Iterator[str]:
    """Yield the texts of the dates on a page, in its order."""
    try:
        tables = pd.read_html(StringIO(text)) if "<table" in text else []
    except ValueError:
        tables = []
    if not tables:
        raise NoData(f"{symbol}: Yahoo lists no past reports")
    table = tables[0]
    if missing := {_SYMBOL, _DATE} - {str(name) for name in table.columns}:
        raise BadUpstream(f"{symbol}: Yahoo's page of past reports has no column {', '.join(sorted(missing))}")
    if others := sorted({str(name) for name in table[_SYMBOL]} - {symbol}):
        raise BadUpstream(f"asked Yahoo for the reports of {symbol}, and was answered with those of {others[0]!r}")
    for value in table[_DATE]:
        if isinstance(value, str) and value != "-":
            yield value


def _moment(text: str) -> tuple[datetime, str] | None:
    """Return the moment and Yahoo's word for its time: midnight of the page's zone is a day without a time."""
    match = _WHEN.fullmatch(text.strip())
    if match is None:
        return None
    try:
        day = datetime.strptime(match[1], "%B %d, %Y").date()
        clock = datetime.strptime(f"{match[2]}:{match[3] or 0} {match[4]}", "%I:%M %p").time() if match[2] else time(0)
    except ValueError:
        return None
    zone = _ZONES.get(match[5] or "")
    if clock == time(0) or zone is None:
        return datetime.combine(day, time(0), UTC), "TNS"
    return datetime.combine(day, clock, ZoneInfo(zone)), "TAS"
