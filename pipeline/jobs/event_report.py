"""Scheduled events on request: those to come, what is known of past ones, how dates moved, and what was odd."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Engine, select

from pipeline.config import Overrides
from pipeline.database.engine import open_database, reading
from pipeline.database.schema import event_findings
from pipeline.events.date_moves import DateMoves, date_moves
from pipeline.events.event import Calendar, EventFinding
from pipeline.events.event_asof import read_calendar
from pipeline.events.event_sources import NONE, event_source_of
from pipeline.jobs.event_ingestion import last_day_of
from pipeline.jobs.planning import plan_run


@dataclass(frozen=True, kw_only=True)
class ComingEvent:
    """An event to come, as it stands: since when it is known, None if that is not known."""

    symbol: str  # empty: of the market
    kind: str
    day: date
    time: str
    confirmed: bool
    known_from: str | None


@dataclass(frozen=True, kw_only=True)
class KnownEvents:
    """How many events are known of a symbol, of how many the date of announcement is not known, and their days."""

    symbol: str
    kind: str
    events: int
    reconstructed: int
    first: date
    last: date


@dataclass(frozen=True, kw_only=True)
class EventReport:
    """The events of a source as known for a session."""

    as_of: date
    source: str
    coming: Sequence[ComingEvent]
    known: Sequence[KnownEvents]
    without: Sequence[str]  # symbols of which no event is known
    moves: Sequence[DateMoves]
    findings: Sequence[EventFinding]


def event_report(overrides: Overrides, *, now: datetime, as_of: date | None) -> EventReport:
    """Return what the store knows of scheduled events for a session; nothing is requested from the source."""
    run = plan_run(
        key="events", now=now, as_of=as_of, interval_end=None, manual=True, overrides=overrides, provenance={}
    )
    settings = run.settings
    source = event_source_of(settings)
    if source == NONE:
        return EventReport(
            as_of=run.as_of, source=source, coming=(), known=(), without=run.symbols, moves=(), findings=()
        )
    engine = open_database(settings.database)
    calendar = read_calendar(engine, source, run.symbols, settings.clock.at(run.as_of), last_day_of(run))
    known = _known(calendar)
    listed = {one.symbol for one in known}
    return EventReport(
        as_of=run.as_of,
        source=source,
        coming=_coming(calendar, run.as_of),
        known=known,
        without=[symbol for symbol in run.symbols if symbol not in listed],
        moves=date_moves(engine, source, run.symbols),
        findings=_findings(engine, source, {*run.symbols, ""}),
    )


def _coming(calendar: Calendar, as_of: date) -> list[ComingEvent]:
    frame = calendar.frame
    rows = frame[frame["known_until"].isna() & (frame["day"].dt.date > as_of)].sort_values(["day", "symbol", "kind"])
    return [
        ComingEvent(
            symbol=row.symbol,
            kind=row.kind,
            day=row.day.date(),
            time=row.time,
            confirmed=bool(row.confirmed),
            known_from=None if str(row.known_from) == "NaT" else f"{row.known_from.isoformat()}Z",
        )
        for row in rows.itertuples(index=False)
    ]


def _known(calendar: Calendar) -> list[KnownEvents]:
    standing = calendar.frame[calendar.frame["known_until"].isna()]
    return [
        KnownEvents(
            symbol=str(symbol),
            kind=str(kind),
            events=len(rows),
            reconstructed=int(rows["known_from"].isna().sum()),
            first=rows["day"].min().date(),
            last=rows["day"].max().date(),
        )
        for (symbol, kind), rows in standing.groupby(["symbol", "kind"], sort=True)
    ]


def _findings(engine: Engine, source: str, symbols: set[str]) -> list[EventFinding]:
    columns = event_findings.c
    names = ("symbol", "kind", "day", "verdict", "rule", "detail")
    mine = (columns.source == source, columns.settled_at.is_(None))
    query = select(*(columns[name] for name in names)).where(*mine).order_by(columns.id)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [EventFinding(**dict(zip(names, row, strict=True))) for row in rows if row.symbol in symbols]
