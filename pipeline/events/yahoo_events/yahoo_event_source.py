"""Yahoo as a source of events: reports of the coming weeks for all symbols at once, past ones symbol by symbol.

What fails is a note of the answer, never an error: prices go on without. A symbol counts as complete only where nothing
about it failed, so that an outage cancels no event.
"""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.errors import BadSymbol, PipelineError, cause_of
from pipeline.events.event import EARNINGS, Announced
from pipeline.events.yahoo_events.answer_parts import Part, listed, merged
from pipeline.events.yahoo_events.event_requests import EventRequests
from pipeline.events.yahoo_events.market_calendar import read_market, read_symbols, reports_of
from pipeline.events.yahoo_events.next_dividends import MOST_SYMBOLS, dividends_of
from pipeline.events.yahoo_events.next_reports import Quote, read_quotes, reports_of_quote, with_confirmed
from pipeline.events.yahoo_events.report_dates import past_reports
from pipeline.prices.sources.retry import RetryBudget
from pipeline.prices.sources.yahoo.yahoo_client import checked, utc_now

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import YahooSession

# Days before today that the calendar is asked for; earlier ones come from each symbol's own page.
RECENT = timedelta(days=31)
# US shares up to which the calendar is asked for their reports only, fifty a request; for more, for those of all
# companies, a hundred reports a request.
BY_NAME = 1000
_ONE_DAY = timedelta(days=1)


class YahooEvents:
    """Reports and ex-dividend dates from Yahoo. All requests of one source object share one retry budget.

    An answer that begins at most `RECENT` days ago costs a few requests for all symbols. One that begins earlier costs
    a request more for each symbol: ask that only for symbols whose history is not stored. One at a time in a process,
    as for prices.
    """

    name = "yahoo"

    def __init__(
        self,
        settings: Settings,
        *,
        session: "YahooSession | None" = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        retry: RetryBudget | None = None,
        by_name: int = BY_NAME,
    ) -> None:
        self.settings = settings
        self.by_name = by_name
        self.retry = retry or RetryBudget(sleep=sleep)
        self._clock = clock
        self._session = session

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        """Return the events of `symbols` from `first` to `last`; of the market there are none."""
        today = self._clock().date()
        requests = EventRequests(self.settings, self.retry, self._session)
        names, refused = self._shares(symbols)
        parts = [refused]
        boundary = first if first >= today - RECENT else min(today, last + _ONE_DAY)
        complete = names
        if boundary <= last:
            parts.append(self._guarded(lambda: self._coming(requests, names, boundary, last)))
            complete = complete & parts[-1].complete
        if first < boundary:
            parts.append(self._guarded(lambda: self._past(requests, names, first, boundary - _ONE_DAY)))
            complete = complete & parts[-1].complete
        return Announced(
            events=merged(event for part in parts for event in part.events),
            first=first,
            last=last,
            complete=complete,
            kinds=frozenset({EARNINGS}) if len(names) > MOST_SYMBOLS else None,  # then no dividends are requested
            notes=tuple(note for part in parts for note in part.notes),
        )

    def _shares(self, symbols: tuple[str, ...]) -> tuple[frozenset[str], Part]:
        """Return the symbols that can have events: not indices, currencies and futures; and what was refused."""
        names, notes = set(), []
        for symbol in symbols:
            try:
                calendar = self.settings.clock.market_of(checked(symbol)).calendar
            except BadSymbol as error:
                notes.append(f"no events of {symbol}: {error}")
                continue
            if not symbol.startswith("^") and "=" not in symbol and calendar != "24/7":
                names.add(symbol)
        return frozenset(names), Part(notes=tuple(notes))

    def _guarded(self, ask: Callable[[], Part]) -> Part:
        """Return a part; one without events where something fails that no part foresees."""
        try:
            return ask()
        except Exception as error:  # noqa: BLE001  a calendar must not stop the prices
            return Part(notes=(f"no events from Yahoo: {cause_of(error)}",))

    def _coming(self, requests: EventRequests, names: frozenset[str], first: date, last: date) -> Part:
        """Return the reports and dividends around today, with the calendar for US shares and quotes for others."""
        american = frozenset(name for name in names if _is_american(name))
        others = names - american
        part = Part()
        if american:
            read = read_symbols if len(american) <= self.by_name else read_market
            part = reports_of(read(requests, american, first, last), american, first, last, self.settings.clock)
        open_dates = {event.symbol for event in part.events if not event.confirmed}
        quotes, failure = read_quotes(requests, open_dates | others) if open_dates | others else ({}, "")
        part = with_confirmed(part, quotes, self.settings.clock)
        abroad = [self._abroad(name, quotes, first, last) for name in sorted(others)]
        notes = [*part.notes, *(note for one in abroad for note in one.notes)]
        if failure:
            notes.append(f"which dates are estimates is not known for all: {failure}")
        complete = part.complete.union(*(one.complete for one in abroad))
        events = merged([*part.events, *(event for one in abroad for event in one.events)])
        if len(names) > MOST_SYMBOLS:
            return Part(events=events, complete=complete, notes=tuple(notes))
        dividends = dividends_of(requests, names, first, last)
        return Part(
            events=(*events, *dividends.events),
            complete=complete & dividends.complete,
            notes=(*notes, *dividends.notes),
        )

    def _abroad(self, name: str, quotes: dict[str, Quote], first: date, last: date) -> Part:
        if name not in quotes:
            return Part()
        return reports_of_quote(name, quotes[name], first, last, self.settings.clock.sessions_of(name))

    def _past(self, requests: EventRequests, names: frozenset[str], first: date, last: date) -> Part:
        """Return past reports, a request for each symbol."""
        parts, failed = [], {}
        for name in sorted(names):
            try:
                sessions = self.settings.clock.sessions_of(name)
                parts.append(requests.dates(name, partial(past_reports, name, first, last, sessions)))
            except PipelineError as error:
                failed[name] = str(error)
        notes = [note for part in parts for note in part.notes]
        if failed:
            notes.append(f"no past reports of {listed(failed)}: {next(iter(failed.values()))}")
        return Part(
            events=tuple(event for part in parts for event in part.events),
            complete=frozenset().union(*(part.complete for part in parts)),
            notes=tuple(notes),
        )


def _is_american(symbol: str) -> bool:
    """Whether the US calendar has a share: Yahoo gives those of all other countries a suffix."""
    return "." not in symbol
