"""Types of what is published about scheduled events and the width of ranges: a part of `forecasts.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from pipeline.storage.documents import OMIT_NONE


@dataclass(frozen=True, kw_only=True)
class ScheduledEvent:
    """An event of a symbol, or of the market where `symbol` is empty, as known when the forecast was made."""

    symbol: str
    kind: str
    day: date
    time: str  # before_open, after_close or unknown
    confirmed: bool  # False: estimated by the vendor
    known_since: Annotated[datetime | None, OMIT_NONE] = None  # UTC; None: not recorded
    sessions: tuple[date, ...] = ()  # those of the forecast that the news of a report may move


@dataclass(frozen=True, kw_only=True)
class PastRanges:
    """How many of the last 90 % ranges of sessions that a report may have moved contained the close, of how many."""

    inside: int
    ranges: int


@dataclass(frozen=True, kw_only=True)
class WidthFactors:
    """The width of the 90 % range of one step over its usual width, and four factors whose product it is."""

    target_session: date
    ratio: float
    market: float
    volatility: float
    event: float
    model: float


@dataclass(frozen=True, kw_only=True)
class SymbolOutlook:
    """The scheduled events of a symbol and the width of its ranges."""

    events: tuple[ScheduledEvent, ...] = ()  # by day
    past_ranges: Annotated[PastRanges | None, OMIT_NONE] = None
    widths: tuple[WidthFactors, ...] = ()  # one per step; none with too little history

    @property
    def moving(self) -> tuple[ScheduledEvent, ...]:
        """The events that may move a session of the forecast."""
        return tuple(event for event in self.events if event.sessions)


@dataclass(frozen=True, kw_only=True)
class EventOutlook:
    """The outlook of every symbol with one, and the events of the market; empty without a calendar."""

    symbols: Mapping[str, SymbolOutlook] = field(default_factory=dict)
    market: tuple[ScheduledEvent, ...] = ()
