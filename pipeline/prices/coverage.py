"""How the last request for each symbol ended: what lets an interrupted load go on, and tells why a bar is missing."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from pipeline.database.engine import reading, writing
from pipeline.database.schema import coverage
from pipeline.prices.rows import in_parts

# complete: its last session has come · incomplete: it has not, yet · stale, delisted: it has not for long ·
# unknown: the vendor has never heard of it · held: it came and is in quarantine · failed: no answer that makes sense
Outcome = Literal["complete", "incomplete", "held", "stale", "delisted", "unknown", "failed"]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The last request for one symbol."""

    symbol: str
    through: date  # the last session asked for
    outcome: Outcome
    detail: str = ""
    asked_at: datetime | None = None  # aware


def note(engine: Engine, source: str, requests: list[Coverage], now: datetime) -> None:
    """Keep how requests ended, each in the place of the symbol's request before."""
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
    new = (insert_sqlite if engine.dialect.name == "sqlite" else insert_postgresql)(coverage)
    changed = {name: new.excluded[name] for name in ("asked_at", "through", "outcome", "detail")}
    with writing(engine) as connection:
        connection.execute(new.on_conflict_do_update(index_elements=["source", "symbol"], set_=changed), rows)


def last_requests(engine: Engine, source: str, symbols: tuple[str, ...]) -> dict[str, Coverage]:
    """Return the last request for each of the symbols that were ever asked for."""
    columns = coverage.c
    found = {}
    with reading(engine) as connection:
        for part in in_parts(symbols):
            query = select(columns.symbol, columns.asked_at, columns.through, columns.outcome, columns.detail).where(
                columns.source == source, columns.symbol.in_(part)
            )
            for row in connection.execute(query):
                found[row.symbol] = Coverage(
                    symbol=row.symbol,
                    through=row.through,
                    outcome=row.outcome,
                    detail=row.detail,
                    asked_at=row.asked_at.replace(tzinfo=UTC),
                )
    return found
