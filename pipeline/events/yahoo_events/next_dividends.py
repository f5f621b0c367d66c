"""The next or last ex-dividend date of a symbol, from its summary: one request a symbol.

Past ones are in the prices' dividends.
"""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from pipeline.errors import BadUpstream, PipelineError
from pipeline.events.event import EX_DIVIDEND, Event
from pipeline.events.yahoo_events.answer_parts import Part, listed
from pipeline.events.yahoo_events.event_requests import EventRequests
from pipeline.events.yahoo_events.market_calendar import moment_of

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange

MOST_SYMBOLS = 100  # a request each: for more symbols none is asked


def dividends_of(requests: EventRequests, symbols: Iterable[str], first: date, last: date) -> Part:
    """Return the ex-dividend dates of `symbols` from `first` to `last`."""
    events, complete, failed = [], set(), {}
    for symbol in sorted(symbols):
        try:
            day = requests.summary(symbol, _ex_dividend)
        except PipelineError as error:
            failed[symbol] = str(error)
            continue
        complete.add(symbol)
        if day and first <= day <= last:
            events.append(Event(symbol=symbol, kind=EX_DIVIDEND, day=day))
    reason = next(iter(failed.values()), "")
    notes = (f"no ex-dividend dates of {listed(failed)}: {reason}",) if failed else ()
    return Part(events=tuple(events), complete=frozenset(complete), notes=notes)


def _ex_dividend(exchange: "Exchange") -> date | None:
    """Return the date, which is midnight in UTC; None where the symbol pays none."""
    dates = exchange.result.get("calendarEvents")
    if not isinstance(dates, dict):
        raise BadUpstream("Yahoo's summary has other fields than before (no calendarEvents)")
    stated = dates.get("exDividendDate")
    if stated is None or stated == {}:
        return None
    moment = moment_of(stated.get("raw") if isinstance(stated, dict) else stated)
    if moment is None:
        raise BadUpstream(f"Yahoo's ex-dividend date cannot be ({stated!r})")
    return moment.date()
