"""What a person may say about a price file, and what its reading depends on besides its bytes."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from pipeline.errors import BadSymbol
from pipeline.market.exchanges import Mapped, market_of

FIRST_DAY = date(1900, 1, 1)
# Without a clock, no date is taken to be in the future but those beyond this.
_NO_CLOCK = date(2100, 1, 1)


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Settings of the reader; hashable, as a part of the key of what was read."""

    symbols: tuple[str, ...] = ()  # those asked for; empty: all
    exchange: str = "XNYS"  # of symbols that name no market
    markets: Mapped = ()  # calendars of suffixes and indices that the user has named
    dates: str = ""  # day-first, month-first, year-first or a strptime format
    decimal: Literal["", "point", "comma"] = ""
    today: date | None = None

    @property
    def last_day(self) -> date:
        """The last date that a row may have: tomorrow, since markets east of here are a day ahead."""
        return _NO_CLOCK if self.today is None else self.today + timedelta(days=1)

    def calendar_of(self, symbol: str) -> str:
        """Return the code of the calendar whose days a symbol's dates are read by.

        A symbol whose market is not known is refused when a run is planned, with its reason. Here it must not stop the
        others, so its dates are read as those of `exchange`.
        """
        try:
            return market_of(symbol, self.exchange, self.markets).calendar
        except BadSymbol:
            return self.exchange
