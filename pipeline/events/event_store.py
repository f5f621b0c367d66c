"""Writes of events: append-only and bitemporal. A move, a change and a cancellation are new rows of a later batch.

What an answer does not have any more:

- an event still to come of a complete symbol was cancelled;
- a past one may only be outside what the vendor still lists. It is withdrawn if the same answer lists an earlier event
  of the symbol and kind, which shows that it reaches further back; otherwise it stays. Either way, what was read
  before stays as it was: a withdrawal counts from its batch on.

A statement that says less, a time of day that is unknown where an earlier answer named it, is no change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from pipeline.database.engine import writing
from pipeline.database.schema import batches, event_findings, event_requests
from pipeline.database.schema import events as events_table
from pipeline.events.event import Announced, Event, EventFinding
from pipeline.events.event_checks import FIRST_DAY
from pipeline.market.clock import SessionClock
from pipeline.prices.store.rows import in_parts

Key = tuple[str, str, date]  # symbol, kind, day
_FINDING = ("symbol", "kind", "day", "verdict", "rule", "detail")


@dataclass(frozen=True, kw_only=True)
class EventChanges:
    """What one answer changed, in events; `findings` counts those that had not been reported before."""

    new: int = 0
    changed: int = 0
    cancelled: int = 0
    unchanged: int = 0
    findings: int = 0

    def __add__(self, other: "EventChanges") -> "EventChanges":
        return EventChanges(**{name: count + getattr(other, name) for name, count in asdict(self).items()})


@dataclass(frozen=True, kw_only=True)
class _Stored:
    time: str
    confirmed: bool
    cancelled: bool


def batch_source(source: str) -> str:
    """Return the source of a batch of events of the event source `source`, apart from that of prices."""
    return f"events:{source}"


class EventStore:
    """The events of one event source. Several processes may use it concurrently; writers are serialised."""

    def __init__(self, engine: Engine, source: str) -> None:
        self.engine = engine
        self.source = source

    def write(
        self,
        announced: Announced,
        known_at: datetime,
        *,
        findings: Sequence[EventFinding] = (),
    ) -> EventChanges:
        """Store what is new, changed or cancelled in an answer that has been checked, all or nothing. Idempotent.

        `known_at` (aware) is when the answer came.
        """
        with writing(self.engine) as connection:
            moment = self._not_before_the_last(connection, known_at)
            rows, counts = self._news(connection, announced, moment)
            if rows:
                self._insert(connection, rows, moment)
            new = self._note_findings(connection, findings, announced, moment)
        return EventChanges(**counts, findings=new)

    def requested(self, symbols: Iterable[str], clock: SessionClock, known_at: datetime) -> None:
        """Record that a run of the session of `clock` requested the events of these symbols, answered or not.

        Its replays then read what it read. A request after the end of the session's knowledge does not count.
        """
        with writing(self.engine) as connection:
            if self._not_before_the_last(connection, known_at) <= _naive(clock.known_by):
                self._note_request(connection, sorted({*symbols, ""}), clock)

    def _news(
        self, connection: Connection, announced: Announced, moment: datetime
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return the rows to append and how many events are new, changed, cancelled and unchanged."""
        stated = {(one.symbol, one.kind, one.day): one for one in announced.events}
        first = min((announced.first, *(one.day for one in announced.events)))
        stored = self._stored(connection, {*announced.complete, *(one.symbol for one in announced.events)}, first)
        counts = dict.fromkeys(("new", "changed", "cancelled", "unchanged"), 0)
        rows = []
        for key, event in sorted(stated.items()):
            what = _difference(stored.get(key), event)
            counts[what] += 1
            if what != "unchanged":
                rows.append(self._row(event, moment, stored.get(key)))
        for key in sorted(_gone(stored, stated, announced, moment.date())):
            counts["cancelled"] += 1
            rows.append(self._cancelled(key, stored[key]))
        return rows, counts

    def _stored(self, connection: Connection, symbols: set[str], first: date) -> dict[Key, _Stored]:
        """Return the newest revision of every event of some symbols from a day on."""
        columns = events_table.c
        found: dict[Key, _Stored] = {}
        for part in in_parts(sorted(symbols)):
            query = (
                select(columns.symbol, columns.kind, columns.day, columns.time, columns.confirmed, columns.cancelled)
                .where(columns.source == self.source, columns.symbol.in_(part), columns.day >= first)
                .order_by(columns.batch_id)
            )
            for symbol, kind, day, time, confirmed, cancelled in connection.execute(query):
                found[symbol, kind, day] = _Stored(time=time, confirmed=confirmed, cancelled=cancelled)
        return found

    def _insert(self, connection: Connection, rows: list[dict[str, Any]], moment: datetime) -> None:
        values = {"source": batch_source(self.source), "known_at": moment, "rows": len(rows)}
        key = connection.execute(insert(batches).values(**values)).inserted_primary_key
        assert key is not None
        connection.execute(insert(events_table), [row | {"batch_id": int(key[0])} for row in rows])

    def _note_request(self, connection: Connection, symbols: list[str], clock: SessionClock) -> None:
        """Record that a run of the session requested these symbols before its knowledge was final."""
        columns, session = event_requests.c, clock.as_of
        before = clock.market.sessions.shift(session, -1)
        for part in in_parts(symbols):
            mine = (columns.source == self.source, columns.symbol.in_(part))
            ends_before = update(event_requests).where(*mine, columns.last_session == before)
            connection.execute(ends_before.values(last_session=session))
            includes = select(columns.symbol).where(
                *mine, columns.first_session <= session, columns.last_session >= session
            )
            known = set(connection.execute(includes).scalars())
            days = {"source": self.source, "first_session": session, "last_session": session}
            if rows := [days | {"symbol": symbol} for symbol in part if symbol not in known]:
                connection.execute(insert(event_requests), rows)

    def _note_findings(
        self, connection: Connection, findings: Sequence[EventFinding], announced: Announced, moment: datetime
    ) -> int:
        """Store new findings, and settle those that an answer about the same symbol and days has no more."""
        columns = event_findings.c
        query = select(event_findings).where(columns.source == self.source, columns.settled_at.is_(None))
        known = {tuple(getattr(row, name) for name in _FINDING): row.id for row in connection.execute(query)}
        rows = {tuple(row[name] for name in _FINDING): row for row in map(_storable, findings)}
        new = [row for key, row in rows.items() if key not in known]
        if new:
            rest = {"source": self.source, "known_at": moment}
            connection.execute(insert(event_findings), [row | rest for row in new])
        gone = [id_ for key, id_ in known.items() if key not in rows and _is_about(announced, key[0], key[2])]
        for part in in_parts(gone):
            connection.execute(update(event_findings).where(columns.id.in_(part)).values(settled_at=moment))
        return len(new)

    def _row(self, event: Event, moment: datetime, before: _Stored | None) -> dict[str, Any]:
        stated = None if event.known_at is None else min(_naive(event.known_at), moment)
        return {
            "source": self.source,
            "symbol": event.symbol,
            "kind": event.kind,
            "day": event.day,
            "time": before.time if before is not None and event.time == "unknown" else event.time,
            "confirmed": event.confirmed,
            "cancelled": False,
            "known_at": stated,
        }

    def _cancelled(self, key: Key, stored: _Stored) -> dict[str, Any]:
        row = {"source": self.source, **dict(zip(("symbol", "kind", "day"), key, strict=True))}
        return row | {"time": stored.time, "confirmed": stored.confirmed, "cancelled": True, "known_at": None}

    def _not_before_the_last(self, connection: Connection, known_at: datetime) -> datetime:
        """Return `known_at`, or the time of the last batch if that is later: clocks may disagree."""
        mine = batches.c.source == batch_source(self.source)
        last = connection.execute(select(func.max(batches.c.known_at)).where(mine)).scalar()
        moment = _naive(known_at)
        return moment if last is None else max(moment, last)


def _is_about(announced: Announced, symbol: str, day: date | None) -> bool:
    """Whether an answer would have shown a finding about a symbol and day again."""
    return symbol in announced.complete and (day is None or announced.first <= max(day, FIRST_DAY))


def _storable(finding: EventFinding) -> dict[str, Any]:
    """Return a finding as columns: a source may state any text, and PostgreSQL takes no longer one, nor a NUL."""
    columns = event_findings.c
    clean = {
        name: value.replace("\0", "")[: getattr(columns[name].type, "length", None)]
        for name, value in asdict(finding).items()
        if isinstance(value, str)
    }
    return asdict(finding) | clean


def _difference(stored: _Stored | None, event: Event) -> str:
    if stored is None:
        return "new"
    same = event.confirmed == stored.confirmed and event.time in (stored.time, "unknown")
    return "unchanged" if same and not stored.cancelled else "changed"


def _gone(stored: dict[Key, _Stored], stated: dict[Key, Event], announced: Announced, today: date) -> Iterable[Key]:
    """Return the events that an answer shows to be cancelled, or, if past, to have been wrong."""
    earliest: dict[tuple[str, str], date] = {}
    for symbol, kind, day in stated:
        earliest[symbol, kind] = min(day, earliest.get((symbol, kind), day))
    for key, one in stored.items():
        symbol, kind, day = key
        is_whole = symbol in announced.complete and (announced.kinds is None or kind in announced.kinds)
        if one.cancelled or key in stated or not is_whole:
            continue
        reaches = day >= today or earliest.get((symbol, kind), date.max) < day
        if announced.first <= day <= announced.last and reaches:
            yield key


def _naive(moment: datetime) -> datetime:
    """Return an aware moment as the database stores it: UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
