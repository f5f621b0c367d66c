"""Which symbols' past events have been received: a vendor is asked for a whole history once, and then for news.

Whole histories cost a request for each symbol. Those that were never requested come first; one that was not answered
is requested again in the next runs, and after some tries once a week.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, select
from sqlalchemy.dialects.postgresql import Insert as InsertIntoPostgresql
from sqlalchemy.dialects.sqlite import Insert as InsertIntoSqlite

from pipeline.database.engine import reading, writing
from pipeline.database.schema import event_histories
from pipeline.prices.store.rows import in_parts

MOST_AT_ONCE = 500  # histories in one run; the others follow in the next ones
_TRIES = 3
_AGAIN_AFTER = timedelta(days=7)


def without_history(engine: Engine, source: str, symbols: Iterable[str], now: datetime) -> tuple[list[str], list[str]]:
    """Return the symbols whose history is to be requested now, and those of which it never was received."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    columns = event_histories.c
    known: dict[str, Row[Any]] = {}
    with reading(engine) as connection:
        for part in in_parts(sorted(symbols)):
            query = select(event_histories).where(columns.source == source, columns.symbol.in_(part))
            known |= {row.symbol: row for row in connection.execute(query)}
    missing = [symbol for symbol in sorted(symbols) if symbol not in known or not known[symbol].answered]
    due = [
        symbol
        for symbol in missing
        if symbol not in known or known[symbol].tries < _TRIES or moment - known[symbol].asked_at >= _AGAIN_AFTER
    ]
    due.sort(key=lambda symbol: known[symbol].asked_at if symbol in known else datetime.min)
    return due[:MOST_AT_ONCE], missing


def record_histories(
    engine: Engine, source: str, asked: Iterable[str], answered: frozenset[str], now: datetime
) -> None:
    """Record how requests for whole histories ended."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    rows = [
        {"source": source, "symbol": symbol, "asked_at": moment, "tries": 1, "answered": symbol in answered}
        for symbol in sorted(asked)
    ]
    if not rows:
        return
    insert = InsertIntoSqlite if engine.dialect.name == "sqlite" else InsertIntoPostgresql
    new = insert(event_histories)
    changed = {
        "asked_at": new.excluded.asked_at,
        "tries": event_histories.c.tries + 1,
        "answered": new.excluded.answered,
    }
    with writing(engine) as connection:
        connection.execute(new.on_conflict_do_update(index_elements=["source", "symbol"], set_=changed), rows)
