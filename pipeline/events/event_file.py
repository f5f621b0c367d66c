"""A CSV or Parquet file of events, read as price files are: `symbol, date[, kind, time, known_at, confirmed]`.

Encodings, delimiters, compression and date formats are those of `pipeline.prices.sources.files`. A row without a
symbol is an event of the market. A row that cannot be read is left out with the reason.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.errors import BadFile, BadSymbol
from pipeline.events.event import EARNINGS, Announced, Event, EventFinding, Time
from pipeline.market.clock import MarketClock
from pipeline.market.symbols import parse_symbol
from pipeline.prices.sources.files.containers import tables
from pipeline.prices.sources.files.dates import Dates, parse_dates
from pipeline.prices.sources.files.headers import key_of
from pipeline.prices.sources.files.raw import RawTable, any_filled, as_text, coded
from pipeline.prices.sources.files.reading_options import FileOptions
from pipeline.prices.sources.files.typed_dates import typed_dates

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "tic", "tickersymbol", "stocksymbol", "act_symbol"),
    "date": ("date", "day", "reportdate", "earningsdate", "eventdate", "announcementdate", "exdate", "exdividenddate"),
    "kind": ("kind", "event", "eventtype", "type"),
    "time": ("time", "timeofday", "when", "hour", "session"),
    "known_at": ("knownat", "announcedat", "announced", "asof"),
    "confirmed": ("confirmed", "isconfirmed"),
}
_KINDS = {"": EARNINGS, "earnings_report": EARNINGS, "report": EARNINGS, "results": EARNINGS}
_KINDS |= {"dividend": "ex_dividend", "exdividend": "ex_dividend", "ex_date": "ex_dividend"}
_TIMES: dict[str, Time] = {"": "unknown", "unknown": "unknown", "tns": "unknown", "time_not_supplied": "unknown"}
_TIMES |= dict.fromkeys(("before_open", "bmo", "before_market_open", "pre_market", "premarket", "am"), "before_open")
_TIMES |= dict.fromkeys(("after_close", "amc", "after_market_close", "post_market", "after_hours", "pm"), "after_close")
_CLOCK = re.compile(r"(\d\d?):(\d\d)(:\d\d)?")
_OPEN, _CLOSE = time(9, 30), time(16, 0)  # of a stated hour: before the one, or from the other on
_YES, _NO = {"", "true", "yes", "y", "1", "confirmed"}, {"false", "no", "n", "0", "estimated", "estimate"}
_WEEKEND = 5
ORDERS = ("day-first", "month-first", "year-first")
Texts = list[str]


@dataclass(frozen=True)
class _Column:
    """A column of text by its distinct cells: what each row has."""

    texts: Texts
    text_N: NDArray[np.int64]

    def of(self, row: int) -> str:
        return self.texts[int(self.text_N[row])]


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One table of the file: its meaningful columns."""

    raw: RawTable
    columns: dict[str, _Column]
    days: tuple[Dates, NDArray[np.int64]]
    known: tuple[Dates, NDArray[np.int64]] | None


class EventFile:
    """Events from a file, or a folder of them; read whole each time, since it says what stands now."""

    name = "files"

    def __init__(self, path: Path, *, clock: MarketClock | None = None, dates: str = "") -> None:
        self.path = path
        self.clock = clock or MarketClock()
        self.dates = dates

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        """Return all events of `symbols` and of the market, which are whole from `first` to `last`.

        Raises BadFile where the file is missing or has no column of dates.
        """
        if not self.path.exists():
            raise BadFile(f"PIPELINE_EVENTS={self.path}: there is no such file")
        events: list[Event] = []
        findings: list[EventFinding] = []
        spelled = _spellings(symbols)
        for raw in tables(self.path):
            table = self._table(raw)
            for row in np.flatnonzero(any_filled(raw.columns, len(raw))).tolist():
                one = _event(table, row, spelled)
                if isinstance(one, EventFinding):
                    findings.append(one)
                elif one is not None:
                    events.append(one)
        complete = frozenset(symbols) | {""}  # what the file does not list does not take place
        return Announced(events=tuple(events), first=first, last=last, complete=complete, findings=tuple(findings))

    def _table(self, raw: RawTable) -> _Table:
        places = {key_of(title): place for place, title in reversed(list(enumerate(raw.header)))}
        found = {
            name: raw.columns[places[key]]
            for name, keys in ALIASES.items()
            if (key := next((key for key in keys if key in places), None)) is not None
        }
        if "date" not in found:
            raise BadFile(f"{raw.name} has no column date; needed are symbol and date")
        if "symbol" not in found:
            raise BadFile(f"{raw.name} has no column symbol; leave its cells empty for events of the market")
        names = [name for name in found if name not in ("date", "known_at")]
        columns = {name: _Column(*coded(as_text(found[name]))) for name in names}
        days = self._dates(raw, found["date"], self.dates)
        order = days[0].name.removesuffix(" dates")  # where both are ambiguous, one tells of the other
        order = order if order in ORDERS else self.dates
        known = self._dates(raw, found["known_at"], order) if "known_at" in found else None
        return _Table(raw=raw, columns=columns, days=days, known=known)

    def _dates(self, raw: RawTable, column: pa.ChunkedArray, order: str) -> tuple[Dates, NDArray[np.int64]]:
        """Return the moments of a column; `order` decides only where it is ambiguous."""
        options = FileOptions(clock=self.clock)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return typed_dates(column, options)
        texts, text_N = coded(as_text(column))
        if not any(texts):
            raise BadFile(f"{raw.name}: a column of dates is blank in every row")
        try:
            return parse_dates(raw.name, texts, options, _off_sessions), text_N
        except BadFile:
            if not order:
                raise
        return parse_dates(raw.name, texts, FileOptions(clock=self.clock, dates=order), _off_sessions), text_N


def _event(table: _Table, row: int, spelled: dict[str, str]) -> Event | EventFinding | None:
    """Return the event of a row, the reason why it states none, or None if it is of another symbol."""
    text = table.columns["symbol"].of(row)
    try:
        symbol = spelled.get(parse_symbol(text).replace(".", "-")) if text else ""
    except BadSymbol as error:
        return _unreadable(table, row, str(error))
    if symbol is None:
        return None
    kind = _kind(table.columns["kind"].of(row) if "kind" in table.columns else "")
    day, fault = _moment(table.days, row)
    if day is None:
        return _unreadable(table, row, fault, symbol, kind)
    stated = table.columns["time"].of(row) if "time" in table.columns else ""
    when = _time(stated)
    if when is None:
        return _unreadable(table, row, f"{stated!r} is not a time of day", symbol, kind, day.date())
    word = table.columns["confirmed"].of(row).casefold() if "confirmed" in table.columns else ""
    if word not in _YES | _NO:
        return _unreadable(table, row, f"{word!r} is neither true nor false", symbol, kind, day.date())
    known_at = None
    if table.known is not None:
        known_at, fault = _known_at(table.known, row)
        if fault:
            return _unreadable(table, row, f"known_at: {fault}", symbol, kind, day.date())
    return Event(symbol=symbol, kind=kind, day=day.date(), time=when, confirmed=word in _YES, known_at=known_at)


def _moment(dates: tuple[Dates, NDArray[np.int64]], row: int) -> tuple[datetime | None, str]:
    """Return the wall time of a row, or what is wrong with it."""
    at = int(dates[1][row])
    wall = dates[0].wall[at]
    if np.isnat(wall):
        return None, dates[0].faults.get(at, "the date is blank")
    moment: datetime = pd.Timestamp(wall).to_pydatetime()
    return moment, ""


def _known_at(dates: tuple[Dates, NDArray[np.int64]], row: int) -> tuple[datetime | None, str]:
    """Return when an event was announced: a bare date counts from its end, a time without a zone is UTC."""
    moment, fault = _moment(dates, row)
    if moment is None:
        return None, "" if fault == "the date is blank" else fault
    at = int(dates[1][row])
    if moment.time() == time(0) and not dates[0].has_zone[at]:
        return datetime.combine(moment.date(), time(23, 59, 59), tzinfo=UTC), ""
    offset = pd.Timedelta(minutes=int(dates[0].offset[at])).to_pytimedelta()
    return (moment - offset).replace(tzinfo=UTC), ""


def _kind(text: str) -> str:
    word = re.sub(r"[\s\-]+", "_", text.strip().casefold())
    return _KINDS.get(word, word)


def _time(text: str) -> Time | None:
    word = re.sub(r"[\s\-]+", "_", text.strip().casefold())
    if word in _TIMES:
        return _TIMES[word]
    if (match := _CLOCK.fullmatch(text.strip())) is None or int(match[1]) > 23 or int(match[2]) > 59:
        return None
    stated = time(int(match[1]), int(match[2]))
    if stated == time(0):
        return "unknown"
    return "before_open" if stated < _OPEN else "after_close" if stated >= _CLOSE else "unknown"


def _spellings(symbols: tuple[str, ...]) -> dict[str, str]:
    """Return the symbols by a spelling in which the class of a share is after a dash: `BRK.B` is `BRK-B`."""
    return {symbol.replace(".", "-"): symbol for symbol in symbols}


def _off_sessions(days: list[date | None]) -> float | None:
    """Return the share of weekends among the days of a column: another format shows by falling on many."""
    seen = [day for day in days if day is not None]
    return sum(day.weekday() >= _WEEKEND for day in seen) / len(seen) if seen else None


def _unreadable(
    table: _Table, row: int, reason: str, symbol: str = "", kind: str = "", day: date | None = None
) -> EventFinding:
    detail = f"{table.raw.where(row)}: {reason}: {table.raw.quote(row)!r}"
    return EventFinding(symbol=symbol, kind=kind, day=day, verdict="reject", rule="unreadable", detail=detail)
