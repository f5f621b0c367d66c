"""A CSV or Parquet file of events, read as price files are: `symbol, date[, kind, time, known_at, confirmed]`.

Encodings, delimiters, compression and date formats are those of `pipeline.prices.sources.files`. A row without a
symbol is an event of the market. A row that cannot be read is left out with the reason.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.errors import BadFile, BadSymbol
from pipeline.events.event import Announced, Event, EventFinding, Time
from pipeline.events.event_words import ALIASES, COLUMN_NAMES, is_confirmed, kind_of, time_of_day
from pipeline.events.market_times import time_of
from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.market.symbols import parse_symbol
from pipeline.prices.sources.files.containers import tables
from pipeline.prices.sources.files.dates import Dates, parse_dates
from pipeline.prices.sources.files.headers import key_of
from pipeline.prices.sources.files.names import symbol_of
from pipeline.prices.sources.files.raw import RawTable, any_filled, as_text, coded
from pipeline.prices.sources.files.reading_options import FileOptions
from pipeline.prices.sources.files.typed_dates import typed_dates

_ORDERS = ("day-first", "month-first", "year-first")
_WEEKEND = 5
_MIDNIGHT, _END_OF_DAY = time(0), time(23, 59, 59)
Codes = NDArray[np.int64]


class _Unreadable(Exception):
    """A cell that cannot be read, with what is known of its row."""

    def __init__(self, reason: str, symbol: str = "", kind: str = "", day: date | None = None) -> None:
        super().__init__(reason)
        self.symbol, self.kind, self.day = symbol, kind, day


@dataclass(frozen=True)
class _Column:
    """A column of text by its distinct cells."""

    texts: list[str]
    text_N: Codes

    def of(self, row: int) -> str:
        return self.texts[int(self.text_N[row])]


@dataclass(frozen=True)
class _Moments:
    """A column of dates or timestamps by its distinct cells."""

    dates: Dates
    text_N: Codes

    def of(self, row: int) -> tuple[datetime | None, str]:
        """Return the moment of a row, aware if its zone is stated, or what is wrong with it."""
        at = int(self.text_N[row])
        wall = self.dates.wall[at]
        if np.isnat(wall):
            return None, self.dates.faults.get(at, "the date is blank")
        moment: datetime = wall.astype("datetime64[s]").astype(object)
        if self.dates.has_zone[at]:
            moment = (moment - timedelta(minutes=int(self.dates.offset[at]))).replace(tzinfo=UTC)
        return moment, ""

    def is_midnight(self, row: int) -> bool:
        """Whether a row is a date without a time, in whatever zone."""
        wall = self.dates.wall[int(self.text_N[row])]
        return bool(wall.astype("datetime64[D]") == wall)

    def day(self, row: int) -> date:
        """Return the date of a row as it is written."""
        found: date = self.dates.wall[int(self.text_N[row])].astype("datetime64[D]").astype(object)
        return found


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One table of the file: its meaningful columns, and the requested symbols by a common spelling."""

    raw: RawTable
    columns: dict[str, _Column]
    days: _Moments
    known: _Moments | None
    symbol: str  # of a table without such a column
    spelled: dict[str, str]
    clock: MarketClock

    def cell(self, name: str, row: int) -> str:
        return self.columns[name].of(row) if name in self.columns else ""


class EventFile:
    """Events from a file, or a folder of them; read whole each time, since it says what stands now."""

    name = "files"

    def __init__(self, path: Path, *, clock: MarketClock | None = None, dates: str = "") -> None:
        self.path = path
        self.clock = clock or MarketClock()
        self.dates = dates  # the order of dates where it is ambiguous

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        """Return all events of `symbols` and of the market, which are whole from `first` to `last`.

        Raises BadFile where the file is missing or has no column of dates.
        """
        if not self.path.exists():
            raise BadFile(f"PIPELINE_EVENTS={self.path}: there is no such file")
        events: list[Event] = []
        findings: list[EventFinding] = []
        for raw in tables(self.path, COLUMN_NAMES):
            table = self._table(raw, symbols)
            for row in np.flatnonzero(any_filled(raw.columns, len(raw))).tolist():
                try:
                    event = _event(table, row)
                except _Unreadable as fault:
                    findings.append(_finding(table, row, fault))
                    continue
                if event is not None:
                    events.append(event)
        complete = frozenset(symbols) | {""}  # what the file does not list does not take place
        return Announced(events=tuple(events), first=first, last=last, complete=complete, findings=tuple(findings))

    def _table(self, raw: RawTable, symbols: tuple[str, ...]) -> _Table:
        places = {key_of(title): place for place, title in reversed(list(enumerate(raw.header)))}
        found = {
            name: raw.columns[places[key]]
            for name, keys in ALIASES.items()
            if (key := next((key for key in keys if key in places), None)) is not None
        }
        if "date" not in found:
            raise BadFile(f"{raw.name} has no column date; needed are symbol and date")
        constant = raw.constants.get("symbol", "")
        names = [name for name in found if name not in ("date", "known_at")]
        days = self._moments(raw, found["date"], self.dates)
        order = days.dates.name.removesuffix(" dates")  # where both are ambiguous, one tells of the other
        order = order if order in _ORDERS else self.dates
        return _Table(
            raw=raw,
            columns={name: _Column(*coded(as_text(found[name]))) for name in names},
            days=days,
            known=self._moments(raw, found["known_at"], order) if "known_at" in found else None,
            symbol="" if "symbol" in found else constant or symbol_of(raw.name, symbols),
            spelled={_spelling(symbol): symbol for symbol in symbols},
            clock=self.clock,
        )

    def _moments(self, raw: RawTable, column: pa.ChunkedArray, order: str) -> _Moments:
        """Return the moments of a column; `order` decides only where it is ambiguous."""
        options = FileOptions(clock=self.clock)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return _Moments(*typed_dates(column, options))
        texts, text_N = coded(as_text(column))
        if not any(texts):
            raise BadFile(f"{raw.name}: a column of dates is blank in every row")
        try:
            return _Moments(parse_dates(raw.name, texts, options, _weekends), text_N)
        except BadFile:
            if not order:
                raise
        return _Moments(parse_dates(raw.name, texts, FileOptions(clock=self.clock, dates=order), _weekends), text_N)


def _event(table: _Table, row: int) -> Event | None:
    """Return the event of a row, None if it is of a symbol that was not requested. Raises _Unreadable."""
    text = table.cell("symbol", row) or table.symbol
    try:
        symbol = table.spelled.get(_spelling(parse_symbol(text))) if text else ""
    except BadSymbol as error:
        raise _Unreadable(str(error)) from None
    if symbol is None:
        return None
    kind = kind_of(table.cell("kind", row))
    day, when = _day_and_time(table, row, symbol, kind)
    word = table.cell("confirmed", row)
    if (confirmed := is_confirmed(word)) is None:
        raise _Unreadable(f"{word!r} is neither true nor false", symbol, kind, day)
    known_at, fault = _known_at(table.known, row) if table.known is not None else (None, "")
    if fault:
        raise _Unreadable(f"known_at: {fault}", symbol, kind, day)
    return Event(symbol=symbol, kind=kind, day=day, time=when, confirmed=confirmed, known_at=known_at)


def _day_and_time(table: _Table, row: int, symbol: str, kind: str) -> tuple[date, Time]:
    """Return the day on the symbol's market, and the time of day: in words, on the clock, or that of the date."""
    moment, fault = table.days.of(row)
    if moment is None:
        raise _Unreadable(fault, symbol, kind)
    sessions = _sessions(table.clock, symbol)
    zone = ZoneInfo(sessions.zone)
    dated = table.days.is_midnight(row)
    local = moment.astimezone(zone) if moment.tzinfo and not dated else moment
    day = table.days.day(row) if dated else local.date()
    text = table.cell("time", row)
    stated = time_of_day(text)
    if stated is None:
        raise _Unreadable(f"{text!r} is not a time of day", symbol, kind, day)
    if isinstance(stated, str):
        clock = local.time() if not text and not dated else _MIDNIGHT
        if clock == _MIDNIGHT:
            return day, stated
        stated = clock
    if stated == _MIDNIGHT:
        return day, "unknown"
    return day, time_of(datetime.combine(day, stated, tzinfo=zone), day, sessions)


def _known_at(known: _Moments, row: int) -> tuple[datetime | None, str]:
    """Return when an event was announced: a bare date counts from its end, a time without a zone is UTC."""
    moment, fault = known.of(row)
    if moment is None:
        return None, "" if fault == "the date is blank" else fault
    if moment.tzinfo is not None:
        return moment, ""
    return datetime.combine(moment.date(), _END_OF_DAY if known.is_midnight(row) else moment.time(), tzinfo=UTC), ""


def _sessions(clock: MarketClock, symbol: str) -> Sessions:
    try:
        return clock.sessions_of(symbol) if symbol else clock.sessions
    except BadSymbol:  # refused when the run was planned
        return clock.sessions


def _spelling(symbol: str) -> str:
    """Return a spelling in which the class of a share is after a dash: `BRK.B` is `BRK-B`."""
    return symbol.replace(".", "-")


def _weekends(days: list[date | None]) -> float | None:
    """Return the share of weekends among the days of a column: another format shows by falling on many."""
    seen = [day for day in days if day is not None]
    return sum(day.weekday() >= _WEEKEND for day in seen) / len(seen) if seen else None


def _finding(table: _Table, row: int, fault: _Unreadable) -> EventFinding:
    detail = f"{table.raw.where(row)}: {fault}: {table.raw.quote(row)!r}"
    return EventFinding(
        symbol=fault.symbol, kind=fault.kind, day=fault.day, verdict="reject", rule="unreadable", detail=detail
    )
