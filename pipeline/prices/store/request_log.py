"""Request log: how the last request for each symbol ended, so that an interrupted load resumes, and the sessions that
were missing when a run proceeded, so that the run and its replays report the same reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects.postgresql import Insert as InsertIntoPostgresql
from sqlalchemy.dialects.sqlite import Insert as InsertIntoSqlite

from pipeline.database.engine import reading, writing
from pipeline.database.schema import last_requests as last_requests_table
from pipeline.database.schema import missing_sessions
from pipeline.prices.store.rows import in_parts

# complete: the last session is stored · incomplete: not yet · stale, delisted: not for several sessions ·
# unknown: the vendor does not know the symbol · held: in quarantine · failed: no valid answer
Outcome = Literal["complete", "incomplete", "held", "stale", "delisted", "unknown", "failed"]


@dataclass(frozen=True, kw_only=True)
class RequestOutcome:
    """How the last request for a symbol ended."""

    symbol: str
    through: date  # the last session asked for
    outcome: Outcome
    detail: str = ""
    asked_at: datetime | None = None  # aware


def record(engine: Engine, source: str, requests: list[RequestOutcome], now: datetime) -> None:
    """Record how requests ended, replacing the previous request of each symbol."""
    if not requests:
        return
    moment = now.astimezone(UTC).replace(tzinfo=None)
    rows = [
        {
            "source": source,
            "symbol": one.symbol,
            "asked_at": moment,
            "through": one.through,
            "outcome": one.outcome,
            "detail": one.detail,
        }
        for one in requests
    ]
    new = _insert(engine, last_requests_table)
    changed = {name: new.excluded[name] for name in ("asked_at", "through", "outcome", "detail")}
    with writing(engine) as connection:
        connection.execute(new.on_conflict_do_update(index_elements=["source", "symbol"], set_=changed), rows)


def last_requests(engine: Engine, source: str, symbols: tuple[str, ...]) -> dict[str, RequestOutcome]:
    """Return the last request for each of the symbols that were ever requested."""
    columns = last_requests_table.c
    found = {}
    with reading(engine) as connection:
        for part in in_parts(symbols):
            query = select(columns.symbol, columns.asked_at, columns.through, columns.outcome, columns.detail).where(
                columns.source == source, columns.symbol.in_(part)
            )
            for row in connection.execute(query):
                found[row.symbol] = RequestOutcome(
                    symbol=row.symbol,
                    through=row.through,
                    outcome=row.outcome,
                    detail=row.detail,
                    asked_at=row.asked_at.replace(tzinfo=UTC),
                )
    return found


def record_missing(engine: Engine, source: str, requests: Iterable[RequestOutcome], now: datetime) -> None:
    """Record the sessions that a run proceeds without: those of the incomplete requests."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    rows = [
        {
            "source": source,
            "symbol": one.symbol,
            "session": one.through,
            "asked_at": moment,
            "outcome": one.outcome,
            "detail": one.detail,
        }
        for one in requests
        if one.outcome != "complete"
    ]
    if rows:
        with writing(engine) as connection:
            connection.execute(_insert(engine, missing_sessions).on_conflict_do_nothing(), rows)


def missed(
    connection: Connection, source: str, last_of: Mapping[str, date], by: datetime | None = None
) -> dict[str, str]:
    """Return the reason for each symbol whose last session was missing when a run proceeded, up to `by` (aware)."""
    columns = missing_sessions.c
    query = select(columns.symbol, columns.session, columns.detail).where(columns.source == source)
    if by is not None:
        query = query.where(columns.asked_at <= by.astimezone(UTC).replace(tzinfo=None))
    found: dict[str, str] = {}
    days = sorted(set(last_of.values()))
    for part in in_parts(list(last_of)):
        mine = query.where(columns.symbol.in_(part), columns.session.in_(days)).order_by(columns.asked_at)
        found |= {symbol: why for symbol, day, why in connection.execute(mine) if last_of[symbol] == day}
    return found


def _insert(engine: Engine, table: Table) -> InsertIntoSqlite | InsertIntoPostgresql:
    return InsertIntoSqlite(table) if engine.dialect.name == "sqlite" else InsertIntoPostgresql(table)
