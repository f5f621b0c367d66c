"""Scheduled events: what one is, what a source answers, and what a run knows.

An event belongs to a symbol, or to the market where `symbol` is empty. Its identity is symbol, kind and day: an event
that is moved is cancelled on one day and announced on another. `day` is as the source states it; an event on a weekend
or holiday takes effect in the next session of its market.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol

import pandas as pd

# The kinds that a symbol can have. A market-wide event may be of any other kind, such as `central_bank`.
EARNINGS, EX_DIVIDEND = "earnings", "ex_dividend"
SYMBOL_KINDS = (EARNINGS, EX_DIVIDEND)
# When on its day: before the open or after the close of the symbol's market; a report after the close moves the next
# session. `unknown` also covers a time during the session.
Time = Literal["before_open", "after_close", "unknown"]
TIMES: tuple[Time, ...] = ("before_open", "after_close", "unknown")

# The columns of a calendar (`Calendar.frame`): text, text, day, one of TIMES, bool, UTC, UTC.
COLUMNS = ("symbol", "kind", "day", "time", "confirmed", "known_from", "known_until")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event as a source states it."""

    symbol: str  # empty: of the market
    kind: str
    day: date
    time: Time = "unknown"
    confirmed: bool = True  # False: estimated by the vendor
    known_at: datetime | None = None  # aware; when it was announced, where the source states it


EventVerdict = Literal["warn", "quarantine", "reject"]  # `warn`: stored nevertheless


@dataclass(frozen=True, kw_only=True)
class EventFinding:
    """An event, or a row that states one, that is odd or was held back, and why."""

    symbol: str  # empty: of the market, or not readable
    kind: str
    day: date | None  # None: not readable
    verdict: EventVerdict
    rule: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Announced:
    """The answer of a source: all events of `complete` symbols from `first` to `last`, and of others what it has.

    An event of a complete symbol within these days that an earlier answer had and this one has not was cancelled; see
    `pipeline.events.event_store` for past ones.
    """

    events: tuple[Event, ...]
    first: date
    last: date
    complete: frozenset[str] = frozenset()  # with "" for the events of the market
    kinds: frozenset[str] | None = None  # of which it has all events of complete symbols; None: of all kinds
    notes: tuple[str, ...] = ()  # what was odd or failed, a sentence each; the prices go on without
    findings: tuple[EventFinding, ...] = ()  # rows that state no event


class EventSource(Protocol):
    """A source of events. It never stops a run: what fails is a note of its answer."""

    name: str

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        """Return the events of `symbols` and of the market, from `first` to `last`, both included."""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """What a run knows of events: everything known by its session, with when it became known.

    `frame` has a row for each interval in which an event stood as described. `known_from` is NaT for an event whose
    day alone is known, not when it was announced (reconstructed): one that was there at the first ingestion of its
    symbol or took place before it, unless the source states when it was announced. `known_until` is when it was
    cancelled or changed, NaT while it stands. Sorted by symbol, kind, day and known_from; one row for each of them at
    any moment.
    """

    frame: pd.DataFrame = field(default_factory=lambda: empty_calendar())

    @property
    def reconstructed(self) -> int:
        """The number of rows of which it is not known when they became known."""
        return int(self.frame["known_from"].isna().sum())


def empty_calendar() -> pd.DataFrame:
    """Return a calendar frame without rows."""
    types = {"day": "datetime64[s]", "confirmed": "bool", "known_from": "datetime64[s]", "known_until": "datetime64[s]"}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, "str")) for name in COLUMNS})
