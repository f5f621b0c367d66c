"""Up to which day the past events of each symbol have been received: a vendor is asked for a history once.

A whole history costs a request for each symbol, the recent and coming weeks of all symbols a few. A symbol needs its
history if it never was received, or if so much time has passed since that the recent weeks do not connect to it. The
symbols that have waited longest come first; one that is not answered is requested again in the next runs, and after
some tries once a week.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, select, update
from sqlalchemy.dialects.postgresql import Insert as InsertIntoPostgresql
from sqlalchemy.dialects.sqlite import Insert as InsertIntoSqlite

from pipeline.database.engine import reading, writing
from pipeline.database.schema import event_histories
from pipeline.prices.store.rows import in_parts

MOST_AT_ONCE = 500  # histories in one run; the others follow in the next ones
_TRIES = 3
_AGAIN_AFTER = timedelta(days=7)
_ONE_DAY = timedelta(days=1)


def without_history(
    engine: Engine, source: str, symbols: Sequence[str], first: date, now: datetime
) -> tuple[list[str], int]:
    """Return the symbols whose history up to the day before `first` is to be requested now, and how many must wait."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    columns = event_histories.c
    known: dict[str, Row[Any]] = {}
    with reading(engine) as connection:
        for part in in_parts(sorted(symbols)):
            query = select(event_histories).where(columns.source == source, columns.symbol.in_(part))
            known |= {row.symbol: row for row in connection.execute(query)}
    missing = [symbol for symbol in sorted(symbols) if symbol not in known or _has_gap(known[symbol], first)]
    due = [
        symbol
        for symbol in missing
        if symbol not in known or known[symbol].tries < _TRIES or moment - known[symbol].asked_at >= _AGAIN_AFTER
    ]
    due.sort(key=lambda symbol: known[symbol].asked_at if symbol in known else datetime.min)
    return due[:MOST_AT_ONCE], len(due[MOST_AT_ONCE:])


def record_history(
    engine: Engine, source: str, asked: Iterable[str], answered: frozenset[str], last: date, now: datetime
) -> None:
    """Record a request for the whole histories of some symbols up to the day `last`, and which were answered."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    for received in (True, False):
        names = sorted(symbol for symbol in asked if (symbol in answered) is received)
        if not names:
            continue
        insert = InsertIntoSqlite if engine.dialect.name == "sqlite" else InsertIntoPostgresql
        new = insert(event_histories)
        changed: dict[str, Any] = {"asked_at": moment, "tries": 0 if received else event_histories.c.tries + 1}
        changed |= {"through": last} if received else {}
        values = {
            "source": source,
            "asked_at": moment,
            "tries": int(not received),
            "through": last if received else None,
        }
        with writing(engine) as connection:
            upsert = new.on_conflict_do_update(index_elements=["source", "symbol"], set_=changed)
            connection.execute(upsert, [values | {"symbol": symbol} for symbol in names])


def extend_histories(engine: Engine, source: str, complete: Iterable[str], first: date, last: date) -> None:
    """Record that all events of some symbols from `first` to `last` were received; one with a gap keeps its gap."""
    columns = event_histories.c
    with writing(engine) as connection:
        for part in in_parts(sorted(complete)):
            mine = (columns.source == source, columns.symbol.in_(part))
            connects = (columns.through >= first - _ONE_DAY, columns.through < last)
            connection.execute(update(event_histories).where(*mine, *connects).values(through=last))


def _has_gap(row: Row[Any], first: date) -> bool:
    return row.through is None or row.through < first - _ONE_DAY
