"""The market clock: which sessions a symbol trades on, and what one session of the schedule's exchange means for it.

`MarketClock` answers for all sessions, `MarketClock.at(as_of)` for one of them. Neither reads the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache

from pipeline.market import exchanges
from pipeline.market.calendar_ends import warnings
from pipeline.market.exchange_tables import Market
from pipeline.market.exchanges import Mapped
from pipeline.market.sessions import Sessions


@dataclass(frozen=True, kw_only=True)
class MarketClock:
    """The exchange that the schedule follows, and the calendar of every symbol."""

    exchange: str = "XNYS"  # a calendar code; also the market of symbols that name none
    markets: Mapped = ()  # calendars of suffixes and indices, with precedence over the built-in table
    close_delay: timedelta = timedelta(minutes=30)  # from the close of a session until its bar counts as complete

    @property
    def sessions(self) -> Sessions:
        """The sessions of the exchange that the schedule follows."""
        return self.sessions_on(self.exchange)

    def sessions_on(self, calendar: str) -> Sessions:
        """Return the sessions of a calendar, by its code."""
        return Sessions(calendar, self.close_delay)

    def market_of(self, symbol: str) -> Market:
        """Return the market that a symbol is traded on. Raises BadSymbol if it is not known."""
        return exchanges.market_of(symbol, self.exchange, self.markets)

    def sessions_of(self, symbol: str) -> Sessions:
        """Return the sessions of the market that a symbol is traded on. Raises BadSymbol if it is not known."""
        return self.sessions_on(self.market_of(symbol).calendar)

    def refusals(self, symbols: Iterable[str]) -> dict[str, str]:
        """Return the reason for each of the symbols whose market is not known."""
        return exchanges.refusals(symbols, self.exchange, self.markets)

    def calendar_warnings(self, symbols: Iterable[str], today: date) -> list[str]:
        """Return a warning for each calendar, of the schedule or of a symbol, that ends within 60 days of `today`."""
        return warnings([self.sessions, *map(self.sessions_of, symbols)], today)

    def at(self, as_of: date) -> "SessionClock":
        """Return the clock as of one session of the schedule's exchange."""
        return SessionClock(market=self, as_of=as_of)


@dataclass(frozen=True, kw_only=True)
class SessionClock:
    """A market clock as of one session of the exchange that the schedule follows."""

    market: MarketClock
    as_of: date

    def last(self, symbol: str) -> date:
        """Return the last session of a symbol's market that is complete when `as_of` is, on the schedule's exchange.

        A market that closes later has not completed its session of the same day. Raises BadSymbol if the market is not
        known.
        """
        calendar = self.market.market_of(symbol).calendar
        if calendar == self.market.exchange:
            return self.as_of
        return _last_complete(calendar, self.market.close_delay, self._complete_at)

    @cached_property
    def known_by(self) -> datetime:
        """The moment (UTC) up to which data that becomes known belongs to `as_of`: the next session is complete."""
        sessions = self.market.sessions
        return sessions.complete_at(sessions.shift(self.as_of, 1))

    @cached_property
    def _complete_at(self) -> datetime:
        # An estimated session may have turned out to be a holiday since.
        sessions = self.market.sessions
        return sessions.complete_at(sessions.at_or_before(self.as_of))


@lru_cache(maxsize=256)
def _last_complete(calendar: str, close_delay: timedelta, moment: datetime) -> date:
    return Sessions(calendar, close_delay).last_complete(moment)
