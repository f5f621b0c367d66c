"""As-of reads of events: what was known of them by the end of a session's knowledge (`SessionClock.known_by`).

A symbol is `live` for a session if a run of that session requested its events in time, whether there was an answer or
not. Of a live symbol nothing counts that became known later, so that a replay reads what the run read, byte for byte.
The events of other symbols were not requested in time (days on which nothing ran, history from before the first
ingestion), and what was known on that day cannot be determined: their newest known dates are used instead, and
labelled as reconstructed. A date whose source states when it was announced is known from then, and not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby

import pandas as pd
from sqlalchemy import Engine, func, select

from pipeline.database.engine import reading
from pipeline.database.schema import batches, event_requests
from pipeline.database.schema import events as events_table
from pipeline.events.event import COLUMNS, Calendar, empty_calendar
from pipeline.events.event_store import batch_source
from pipeline.market.clock import SessionClock
from pipeline.prices.store.rows import in_parts


@dataclass(frozen=True, slots=True)
class Revision:
    """One statement about an event, as its batch brought it."""

    symbol: str
    kind: str
    day: date
    batch: int
    time: str
    confirmed: bool
    cancelled: bool
    stated: datetime | None  # when it was announced, where the source says so


@dataclass(frozen=True, kw_only=True)
class _Interval:
    """How an event stood from a moment on, None where that is not known, until another, None if it still does."""

    revision: Revision
    since: datetime | None
    until: datetime | None


def read_calendar(engine: Engine, source: str, symbols: Sequence[str], clock: SessionClock, last: date) -> Calendar:
    """Return the events of `symbols` and of the market up to the day `last`, as known for the session of `clock`."""
    cutoff = clock.known_by.astimezone(UTC).replace(tzinfo=None)
    names = sorted({*symbols, ""})
    # The batches first: what a writer adds in the meantime belongs to none of them and is not read.
    moments = batch_moments(engine, source)
    known = max((batch for batch, moment in moments.items() if moment <= cutoff), default=0)
    live = _live(engine, source, names, clock.as_of)
    first = first_batches(engine, source, names)
    found = [one for one in read_revisions(engine, source, names, last) if one.batch in moments]
    intervals: list[_Interval] = []
    for (symbol, _kind, _day), group in groupby(found, key=lambda one: (one.symbol, one.kind, one.day)):
        revisions = list(group)
        if symbol in live:
            revisions = [one for one in revisions if one.batch <= known]
        begun = first.get(symbol, 0)
        one = _intervals(revisions, moments, begun, moments.get(begun))
        intervals += one if symbol in live else _reconstructed(one, cutoff)
    return Calendar(frame=_frame(intervals))


def batch_moments(engine: Engine, source: str) -> dict[int, datetime]:
    """Return when each batch of an event source became known (UTC, without a zone)."""
    with reading(engine) as connection:
        query = select(batches).where(batches.c.source == batch_source(source))
        return {row.id: row.known_at for row in connection.execute(query)}


def _live(engine: Engine, source: str, symbols: list[str], session: date) -> frozenset[str]:
    columns, found = event_requests.c, set[str]()
    with reading(engine) as connection:
        for part in in_parts(symbols):
            query = select(columns.symbol).where(
                columns.source == source,
                columns.symbol.in_(part),
                columns.first_session <= session,
                columns.last_session >= session,
            )
            found |= set(connection.execute(query).scalars())
    return frozenset(found)


def first_batches(engine: Engine, source: str, symbols: list[str]) -> dict[str, int]:
    """Return the first batch with an event of each symbol that has any."""
    columns = events_table.c
    found: dict[str, int] = {}
    with reading(engine) as connection:
        for part in in_parts(symbols):
            mine = (columns.source == source, columns.symbol.in_(part))
            query = select(columns.symbol, func.min(columns.batch_id).label("first")).where(*mine)
            found |= {row.symbol: row.first for row in connection.execute(query.group_by(columns.symbol))}
    return found


def read_revisions(engine: Engine, source: str, symbols: list[str], last: date) -> list[Revision]:
    """Return all revisions of the events up to a day, sorted by symbol, kind, day and batch."""
    columns = events_table.c
    names = (columns.symbol, columns.kind, columns.day, columns.batch_id, columns.time)
    found = []
    with reading(engine) as connection:
        for part in in_parts(symbols):
            query = select(*names, columns.confirmed, columns.cancelled, columns.known_at).where(
                columns.source == source, columns.symbol.in_(part), columns.day <= last
            )
            found += [Revision(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda one: (one.symbol, one.kind, one.day, one.batch))


def _intervals(
    revisions: list[Revision], moments: dict[int, datetime], begun: int, begun_at: datetime | None
) -> list[_Interval]:
    """Return how one event stood; its first revision may be older than the ingestion of its symbol, which began then.

    An event that was there in the first batch, or took place before it, has no known beginning.
    """
    found = []
    ends = [*(moments[one.batch] for one in revisions[1:]), None]
    for number, (one, until) in enumerate(zip(revisions, ends, strict=False)):  # without revisions there is no end
        if one.cancelled:
            continue
        since: datetime | None = moments[one.batch]
        if not number:
            before = begun_at is not None and (one.batch == begun or one.day < begun_at.date())
            since = one.stated or (None if before else since)
        found.append(_Interval(revision=one, since=since, until=until))
    return found


def _reconstructed(intervals: list[_Interval], cutoff: datetime) -> list[_Interval]:
    """Return how one event stood by what is known now, for a session for which nobody requested it in time.

    What was announced after the cutoff by its source's own statement was not known. What became known here after it
    counts as known at a time that is not known. How an event stood when something else is known by now is left out.
    """
    found: list[_Interval] = []
    for one in intervals:
        if one.revision.stated is not None and one.revision.stated > cutoff:
            continue
        if one.until is not None and one.until > cutoff:
            continue
        since = one.since
        if since is not None and since > cutoff:
            since = found[-1].until if found else None
        found.append(_Interval(revision=one.revision, since=since, until=one.until))
    return found


def _frame(intervals: list[_Interval]) -> pd.DataFrame:
    rows = [
        (
            one.revision.symbol, one.revision.kind, one.revision.day, one.revision.time, one.revision.confirmed,
            one.since, one.until,
        )
        for one in intervals
    ]  # fmt: skip
    frame = pd.DataFrame.from_records(rows, columns=list(COLUMNS))
    for name in ("day", "known_from", "known_until"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
    return frame.astype(empty_calendar().dtypes.to_dict())
