"""As-of reads of events: what was known of them by the end of a session's knowledge (`SessionClock.known_by`).

A symbol is `live` for a session if a run of that session requested its events in time, whether there was an answer or
not. Of a live symbol nothing counts that became known later, so that a replay reads what the run read, byte for byte.
The events of other symbols were not requested in time (days on which nothing ran, history from before the first
ingestion), and what was known on that day cannot be determined: their newest known dates are used instead, and
labelled as reconstructed. A date whose source states when it was announced is known from the first session that is
complete after that, and not before: its run is the first that could have seen it.
"""

from collections.abc import Sequence
from datetime import UTC, date

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine, select

from pipeline.database import bulk
from pipeline.database.engine import reading
from pipeline.database.schema import batches, day_number, event_requests
from pipeline.database.schema import events as events_table
from pipeline.events.event import COLUMNS, Calendar, empty_calendar
from pipeline.events.event_store import batch_source
from pipeline.market.clock import SessionClock
from pipeline.market.sessions import Sessions
from pipeline.prices.store.rows import in_parts

_KEY = ["symbol", "kind", "day"]


def read_calendar(engine: Engine, source: str, symbols: Sequence[str], clock: SessionClock, last: date) -> Calendar:
    """Return the events of `symbols` and of the market up to the day `last`, as known for the session of `clock`."""
    cutoff = pd.Timestamp(clock.known_by.astimezone(UTC).replace(tzinfo=None))
    names = sorted({*symbols, ""})
    live = _live(engine, source, names, clock.as_of)
    rows = read_statements(engine, source, names)
    seen = {stated: _first_seen(stated, clock.market.sessions) for stated in rows["stated"].dropna().unique()}
    rows = rows.assign(stated=rows["stated"].map(seen).astype("datetime64[us]"))
    rows = rows.assign(begun=rows.groupby("symbol")["moment"].transform("min"))
    is_live = rows["symbol"].isin(live)
    rows = rows[(rows["day"] <= pd.Timestamp(last)) & (~is_live | (rows["moment"] <= cutoff))]
    intervals = _reconstructed(_intervals(rows), live, cutoff)
    frame = intervals.rename(columns={"since": "known_from", "until": "known_until"})[list(COLUMNS)]
    return Calendar(frame=frame.astype(empty_calendar().dtypes.to_dict()).reset_index(drop=True))


def _first_seen(stated: pd.Timestamp, sessions: Sessions) -> pd.Timestamp:
    """Return when the first session after a moment is complete: its run may see what was announced then."""
    moment = stated.to_pydatetime().replace(tzinfo=UTC)
    before = sessions.last_complete(moment)
    complete = sessions.complete_at(before)
    if complete < moment:
        complete = sessions.complete_at(sessions.shift(before, 1))
    return pd.Timestamp(complete.replace(tzinfo=None))


def read_statements(engine: Engine, source: str, symbols: Sequence[str]) -> pd.DataFrame:
    """Return every statement about events, sorted by symbol, kind, day and batch: a later one is a revision.

    Columns: symbol, kind, day, time, confirmed, cancelled, `stated` (when it was announced, where the source says so)
    and `moment` (when its batch became known); moments are UTC, without a zone.
    """
    moments = _moments(engine, source)
    columns = events_table.c
    values = (columns.batch_id, columns.time, columns.confirmed, columns.cancelled, columns.known_at)
    queries = [
        select(columns.symbol, columns.kind, day_number(columns.day).label("day"), *values).where(
            columns.source == source, columns.symbol.in_(part)
        )
        for part in in_parts(sorted(symbols))
    ]
    parts = [_as_frame(table) for table in bulk.read_tables(engine, queries)]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["batch"].isin(moments)]  # a batch that a writer adds in the meantime is not read
    rows = rows.assign(moment=pd.to_datetime(rows["batch"].map(moments)).astype("datetime64[us]"))
    return rows.sort_values([*_KEY, "batch"], ignore_index=True)


def _moments(engine: Engine, source: str) -> dict[int, pd.Timestamp]:
    """Return when each batch of an event source became known."""
    with reading(engine) as connection:
        query = select(batches).where(batches.c.source == batch_source(source))
        return {row.id: pd.Timestamp(row.known_at) for row in connection.execute(query)}


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


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """Return rows as either database gives them with the same types; without rows, columns have no type."""
    symbol, kind, day, batch, time, confirmed, cancelled, stated = (table.column(at) for at in range(8))
    return pd.DataFrame(
        {
            "symbol": _text(symbol),
            "kind": _text(kind),
            "day": day.cast(pa.int64()).to_numpy().astype("datetime64[D]").astype("datetime64[s]"),
            "batch": batch.cast(pa.int64()).to_numpy(),
            "time": _text(time),
            "confirmed": confirmed.cast(pa.int64()).to_numpy().astype(bool),
            "cancelled": cancelled.cast(pa.int64()).to_numpy().astype(bool),
            "stated": pd.to_datetime(pd.Series(stated.to_pylist(), dtype=object)).astype("datetime64[us]"),
        }
    )


def _text(column: pa.ChunkedArray) -> pd.Series:
    return pd.Series(column.cast(pa.string()).to_pandas(), dtype="str")


def _intervals(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals in which events stood, with `since` and `until`; NaT where that is not known, or lasts.

    An event that was there in the first batch of its symbol, or took place before it, has no known beginning.
    """
    is_first, is_last = ~rows.duplicated(_KEY), ~rows.duplicated(_KEY, keep="last")
    there_before = (rows["moment"] == rows["begun"]) | (rows["day"] < rows["begun"].dt.normalize())
    since = rows["moment"].mask(is_first & there_before).mask(is_first & rows["stated"].notna(), rows["stated"])
    until = rows["moment"].shift(-1).mask(is_last)
    return rows.assign(since=since, until=until)[~rows["cancelled"]]


def _reconstructed(intervals: pd.DataFrame, live: frozenset[str], cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return how events stood by what is known now, where nobody requested those of a symbol in time.

    What was announced after the cutoff by its source's own statement was not known. What became known here after it
    counts as known at a time that is not known. How an event stood when something else is known by now is left out.
    """
    others = ~intervals["symbol"].isin(live)
    rows = intervals[~(others & ((intervals["stated"] >= cutoff) | (intervals["until"] > cutoff)))]
    later = others & (rows["since"] > cutoff)
    before = rows["until"].shift(1).where(rows.duplicated(_KEY))  # the end of how the same event stood before
    return rows.assign(since=rows["since"].mask(later, before))
