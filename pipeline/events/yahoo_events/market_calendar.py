"""The US calendar of reports: of all companies, week by week and page by page, or of some symbols by their names.

Of all companies is fewer requests for many symbols. Yahoo sorts its pages by what the companies are worth now, so a row
may slip to another page between two requests. That and every other sign of a part is a failure: what was read is used,
but no date that is missing counts as cancelled.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadUpstream, SourceError
from pipeline.events.event import EARNINGS, Event
from pipeline.events.yahoo_events.answer_parts import Part, listed, merged
from pipeline.events.yahoo_events.event_requests import CALENDAR_ROWS, CALENDAR_SYMBOLS, EventRequests
from pipeline.events.yahoo_events.report_times import day_and_time
from pipeline.market.clock import MarketClock

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange

_WEEK = timedelta(days=7)
_ONE_DAY = timedelta(days=1)
_HALVES = 20  # requests for halves of an answer that was more than a page
_MOST_PAGES = 100  # a week: the busiest ones have some 3,000 reports
# The columns by their labels, for an answer that has no ids.
_BY_LABEL = {
    "Symbol": "ticker",
    "Event Start Date": "startdatetime",
    "Reported EPS": "epsactual",
    "Market Cap (Intraday)": "intradaymarketcap",
}

Row = dict[str, Any]


@dataclass
class Reading:
    """What was read of the calendar, the symbols of which it is all, and why it is not all of the others."""

    rows: list[Row] = field(default_factory=list)
    complete: frozenset[str] = frozenset()
    failure: str = ""


def read_market(requests: EventRequests, symbols: frozenset[str], first: date, last: date) -> Reading:
    """Return the rows of all companies for the days from `first` to `last` and some around them."""
    reading = Reading(complete=symbols)
    for start, end in _weeks(first, last + 2 * _ONE_DAY):  # an evening in New York is the next day in UTC
        try:
            _read_week(requests, start, end, reading.rows)
        except SourceError as error:
            reading.failure = f"{error} (days from {start} to {end - _ONE_DAY})"
            reading.complete = frozenset()
            break
    return reading


def read_symbols(requests: EventRequests, symbols: frozenset[str], first: date, last: date) -> Reading:
    """Return the rows of `symbols` for the days from `first` to `last` and some around them, some symbols a request."""
    reading = Reading()
    names = sorted(symbols)
    waiting = [names[at : at + CALENDAR_SYMBOLS] for at in range(0, len(names), CALENDAR_SYMBOLS)]
    left = 2 * len(waiting) + _HALVES
    while waiting:
        batch = waiting.pop()
        left -= 1
        try:
            rows, total = requests.calendar(first, last + 2 * _ONE_DAY, partial(_page_of, batch), symbols=batch)
        except SourceError as error:
            reading.failure = reading.failure or str(error)
            continue
        reading.rows += rows
        is_whole = len(rows) == total or (total is None and len(rows) < CALENDAR_ROWS)
        if rows and is_whole:
            reading.complete |= set(batch)
        elif rows and len(batch) > 1 and left > len(waiting) + 1:
            waiting += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        else:
            failure = f"the calendar of reports: Yahoo's answer about {listed(batch)} is empty or not whole"
            reading.failure = reading.failure or failure
    return reading


def _page_of(symbols: list[str], exchange: "Exchange") -> tuple[list[Row], int | None]:
    """Return a page of some symbols; raises BadUpstream for one of others."""
    rows, total = read_page(exchange)
    if others := {str(row["ticker"]) for row in rows} - set(symbols):
        raise BadUpstream(f"asked Yahoo for the reports of {listed(symbols)}, and was answered with {listed(others)}")
    return rows, total


def _weeks(first: date, end: date) -> Iterator[tuple[date, date]]:
    """Yield spans of at most a week, about equally long: short ones could be empty by right."""
    count = -(-(end - first).days // 7)
    days = [first + timedelta(days=(end - first).days * at // count) for at in range(count + 1)]
    yield from pairwise(days)


def _read_week(requests: EventRequests, start: date, end: date, rows: list[Row]) -> None:
    """Append the rows of some days; raises SourceError where they may not be all."""
    seen: set[str] = set()
    count = total = last = 0
    overlap = False
    for _ in range(_MOST_PAGES):
        page, stated = requests.calendar(start, end, read_page, offset=count)
        total = max(total, stated or 0)
        if not page:
            break
        keys = {_key(row) for row in page}
        if keys <= seen:
            raise BadUpstream("the calendar of reports: Yahoo gives the same page again")
        overlap = overlap or not keys.isdisjoint(seen)
        seen |= keys
        rows.extend(page)
        count, last = count + len(page), len(page)
        if stated is not None and count >= total:
            break
    _require_whole(count, total, last, overlap=overlap, weekdays=_weekdays(start, end))


def _require_whole(count: int, total: int, last: int, *, overlap: bool, weekdays: int) -> None:
    """Raise BadUpstream for signs that `count` rows, `last` of them on the last page, are not all."""
    if count < total:
        raise BadUpstream(f"the calendar of reports: {total} rows are announced, and {count} were given")
    if not total and last >= CALENDAR_ROWS:
        raise BadUpstream(
            f"the calendar of reports: after {count} rows it ends with a full page, so more may be missing"
        )
    if overlap:
        raise BadUpstream("the calendar of reports: pages overlap, so rows between them may be missing")
    if not count and weekdays:
        raise BadUpstream("the calendar of reports: Yahoo's answer is empty")


def read_page(exchange: "Exchange") -> tuple[list[Row], int | None]:
    """Return the rows of a page and how many there are on all pages, None where it is not stated.

    Raises BadUpstream for an answer with other fields than those known.
    """
    result = exchange.result
    listed = result.get("documents")
    documents = [document for document in listed if isinstance(document, dict)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or len(documents) < len(listed):
        raise BadUpstream("the calendar of reports: Yahoo's answer has other fields than before (no documents)")
    total = result.get("total")
    rows: list[Row] = []
    for document in documents:
        given = document.get("rows")
        described = document.get("columns")
        columns = [_column(column) for column in (described if isinstance(described, list) else [])]
        if not isinstance(given, list) or (given and not {"ticker", "startdatetime"} <= set(columns)):
            known = ", ".join(filter(None, columns)) or "none"
            raise BadUpstream(f"the calendar of reports: Yahoo's answer has other columns than before ({known})")
        fitting = [row for row in given if isinstance(row, list) and len(row) == len(columns)]
        if len(fitting) < len(given):
            raise BadUpstream("the calendar of reports: Yahoo's answer has rows that do not fit its columns")
        rows += [dict(zip(columns, row, strict=True)) for row in fitting]
    return rows, total if type(total) is int else None


def _column(column: Any) -> str:
    if not isinstance(column, dict):
        return ""
    label = str(column.get("label", ""))
    by_label = _BY_LABEL.get(label, label)
    if by_label == "startdatetime" and column.get("type") == "STRING":  # two columns have this label
        by_label = "startdatetimetype"
    return str(column.get("id") or by_label)


def _key(row: Row) -> str:
    return json.dumps({name: row[name] for name in row if name != "intradaymarketcap"}, sort_keys=True, default=str)


def _weekdays(start: date, end: date) -> int:
    return sum((start + timedelta(days=at)).weekday() < 5 for at in range((end - start).days))


def reports_of(reading: Reading, symbols: frozenset[str], first: date, last: date, clock: MarketClock) -> Part:
    """Return the reports of `symbols` from `first` to `last`; confirmed are those with a result."""
    events, odd = [], {}
    for row in reading.rows:
        symbol = row.get("ticker")
        if not isinstance(symbol, str) or symbol not in symbols:
            continue
        moment = moment_of(row["startdatetime"])
        if moment is None or not first - _WEEK <= moment.date() <= last + _WEEK:
            odd[symbol] = f"{symbol} on {row['startdatetime']!r}"
            continue
        timing = str(row.get("startdatetimetype") or "")
        day, time = day_and_time(moment, timing, clock.sessions_of(symbol))
        if first <= day <= last:
            reported = bool(row.get("epsactual"))  # 0 where there is none
            events.append(Event(symbol=symbol, kind=EARNINGS, day=day, time=time, confirmed=reported))
    notes = [f"{reading.failure}; dates that are not in it are kept"] if reading.failure else []
    if odd:
        notes.append(f"the calendar of reports has dates that cannot be: {listed(odd.values())}")
    return Part(events=merged(events), complete=reading.complete - set(odd), notes=tuple(notes))


def moment_of(value: object) -> datetime | None:
    """Return the moment of a text in ISO 8601 or of seconds or milliseconds since 1970; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        if not isinstance(value, str):
            return datetime.fromtimestamp(value / 1000 if abs(value) > 1e11 else value, UTC)
        moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
