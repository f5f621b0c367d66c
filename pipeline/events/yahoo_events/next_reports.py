"""The last and the next report of many symbols, from their quotes: a hundred symbols a request.

Quotes say what the calendar does not: whether a date is an estimate, and the dates of shares outside the US.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadUpstream, SourceError
from pipeline.events.event import EARNINGS, Event
from pipeline.events.yahoo_events.answer_parts import Part, listed, merged
from pipeline.events.yahoo_events.event_requests import QUOTES_SYMBOLS, EventRequests
from pipeline.events.yahoo_events.market_calendar import moment_of
from pipeline.events.yahoo_events.report_times import day_and_time
from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange

# Between two reports of a company that Yahoo follows: half a year and some weeks. A longer gap means a stale date.
_LONGEST_GAP = timedelta(days=230)


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The dates that a quote states: of the last report, and of the next one as a day or as a range of days."""

    last: datetime | None
    start: datetime | None
    end: datetime | None
    estimated: bool

    @property
    def is_odd(self) -> bool:
        """Whether the dates are not in order."""
        return bool(self.start and self.end and self.end < self.start) or bool(
            self.start and self.last and self.start < self.last
        )

    @property
    def is_whole(self) -> bool:
        """Whether the last and the next report are stated and no report lies between them."""
        return bool(self.last and self.start and self.start - self.last <= _LONGEST_GAP) and not self.is_odd

    @property
    def is_confirmed(self) -> bool:
        """Whether the next report is at one time that the company has announced."""
        return bool(self.start) and not self.estimated and self.end in (None, self.start)


def read_quotes(requests: EventRequests, symbols: Iterable[str]) -> tuple[dict[str, Quote], str]:
    """Return the quotes of `symbols` and why some are missing; empty if they were all answered."""
    names = sorted(set(symbols))
    quotes: dict[str, Quote] = {}
    for at in range(0, len(names), QUOTES_SYMBOLS):
        batch = tuple(names[at : at + QUOTES_SYMBOLS])
        try:
            quotes |= requests.quotes(batch, partial(_read, batch))
        except SourceError as error:
            return quotes, str(error)
    return quotes, ""


def _read(asked: tuple[str, ...], exchange: "Exchange") -> dict[str, Quote]:
    result = exchange.envelope.get("result")
    if not isinstance(result, list):
        raise BadUpstream("the dates of the next reports: Yahoo's answer has other fields than before (no result)")
    given = {item.get("symbol"): item for item in result if isinstance(item, dict)}
    if given and given.keys().isdisjoint(asked):
        raise BadUpstream(f"asked Yahoo for the quotes of {listed(asked)}, and was answered with those of others")
    return {symbol: _quote(given[symbol]) for symbol in asked if symbol in given}


def _quote(item: dict[str, Any]) -> Quote:
    return Quote(
        last=moment_of(item.get("earningsTimestamp")),
        start=moment_of(item.get("earningsTimestampStart")),
        end=moment_of(item.get("earningsTimestampEnd")),
        estimated=item.get("isEarningsDateEstimate") is not False,
    )


def reports_of_quote(symbol: str, quote: Quote, first: date, last: date, sessions: Sessions) -> Part:
    """Return the reports of a quote from `first` to `last`: of a range of days, the first one."""
    if quote.is_odd:
        return Part(notes=(f"{symbol}: Yahoo's dates of the last and the next report are not in order",))
    events = [event for event in _events(symbol, quote, sessions) if first <= event.day <= last]
    return Part(events=merged(events), complete=frozenset({symbol}) if quote.is_whole else frozenset())


def with_confirmed(part: Part, quotes: Mapping[str, Quote], clock: MarketClock) -> Part:
    """Return `part` with the reports confirmed that a quote states as past, or as announced for the same day."""
    stated = {
        (event.symbol, event.day)
        for symbol, quote in quotes.items()
        for event in _events(symbol, quote, clock.sessions_of(symbol))
        if event.confirmed and not quote.is_odd
    }
    events = (replace(event, confirmed=True) if (event.symbol, event.day) in stated else event for event in part.events)
    return replace(part, events=tuple(events))


def _events(symbol: str, quote: Quote, sessions: Sessions) -> list[Event]:
    """Return the last and the next report of a quote."""
    events = []
    for moment, confirmed in ((quote.last, True), (quote.start, quote.is_confirmed)):
        if moment:
            day, time = day_and_time(moment, "", sessions)
            events.append(Event(symbol=symbol, kind=EARNINGS, day=day, time=time, confirmed=confirmed))
    return events
