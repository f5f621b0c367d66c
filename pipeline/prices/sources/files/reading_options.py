"""Options of reading a price file: everything that the result depends on besides the bytes of the file."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from pipeline.errors import BadSymbol
from pipeline.market.clock import MarketClock

FIRST_DAY = date(1900, 1, 1)
# Without `today`, only later dates than this count as being in the future.
_NO_CLOCK = date(2100, 1, 1)


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Options of the reader; hashable, since they are part of the cache key."""

    symbols: tuple[str, ...] = ()  # those requested; empty: all
    clock: MarketClock = field(default_factory=MarketClock)  # the calendars of symbols
    dates: str = ""  # day-first, month-first, year-first or a strptime format
    decimal: Literal["", "point", "comma"] = ""
    today: date | None = None

    @property
    def last_day(self) -> date:
        """The last date that a row may have: tomorrow, since markets east of here are a day ahead."""
        return _NO_CLOCK if self.today is None else self.today + timedelta(days=1)

    def calendar_of(self, symbol: str) -> str:
        """Return the code of the calendar whose days a symbol's dates are read by.

        A symbol of an unknown market is refused when a run is planned, with the reason. Here it must not stop the
        others, so its dates are read as those of the schedule's exchange.
        """
        try:
            return self.clock.market_of(symbol).calendar
        except BadSymbol:
            return self.clock.exchange
