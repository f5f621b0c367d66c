"""The store of bars: append-only and bitemporal, so that "as known on day D" is a query.

A correction is a new row with a later `known_at`. Reading as of a session takes, for each bar, the newest revision
known by the cutoff. Where nothing was known by then, because the history was first ingested later, it takes the
newest there is: what was really known on that day cannot be found out any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, case, func, insert, select

from pipeline.database.engine import reading, writing
from pipeline.database.schema import bars as bars_table
from pipeline.database.schema import batches, quarantine
from pipeline.prices.frames import VALUES, as_bars
from pipeline.prices.quality import Checked, bar_as_json

# Adjusted floats jitter at 1e-7 from one download to the next; a revision is more than that.
_SAME = 1e-6
_KEY = ["symbol", "session"]


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What one ingestion changed: bars of sessions new here, revisions, bars that said nothing new, bars held back."""

    new: int
    revised: int
    unchanged: int
    held_back: int


class PriceStore:
    """The bars of one source. Several processes may use it at once: a writer waits for the one before it."""

    def __init__(self, engine: Engine, source: str) -> None:
        self._engine = engine
        self._source = source

    def append(self, checked: Checked, known_at: datetime) -> Appended:
        """Store what `checked` says that is not stored yet, all of it or nothing. Doing it again changes nothing.

        `known_at` is aware: when the bars became known here.
        """
        moment = pd.Timestamp(known_at.astimezone(UTC).replace(tzinfo=None))
        with writing(self._engine) as connection:
            stored = self._stored(connection, checked.kept)
            merged = checked.kept.merge(stored, how="left", on=_KEY, suffixes=("", "_stored"))
            is_new = merged["known_at"].isna().to_numpy()
            is_revised = ~is_new & _differs(merged)
            # A revision never comes before what it revises, whatever the clocks say.
            after = (merged["known_at"] + pd.Timedelta(1, "us")).fillna(moment)
            rows = merged.assign(known_at=after.where(after > moment, moment))[is_new | is_revised]
            held_back = self._not_yet_held_back(connection, checked.held_back)
            self._insert_bars(connection, rows, moment)
            self._insert_held_back(connection, held_back, moment)
        new, revised = int(is_new.sum()), int(is_revised.sum())
        return Appended(new=new, revised=revised, unchanged=len(checked.kept) - new - revised, held_back=len(held_back))

    def as_of(self, symbols: tuple[str, ...], session: date, cutoff: datetime) -> pd.DataFrame:
        """Return the bars of `symbols` up to and with `session`, as known at `cutoff` (aware), as `frames` has them."""
        revision = bars_table.c.known_at
        known = revision <= cutoff.astimezone(UTC).replace(tzinfo=None)
        preference = [case((known, 1), else_=0).desc(), revision.desc()]
        with reading(self._engine) as connection:
            return as_bars(_fetch(connection, self._preferred(symbols, preference, bars_table.c.session <= session)))

    def held_back(self, symbols: tuple[str, ...], session: date) -> pd.DataFrame:
        """Return what was quarantined or rejected up to `session`: symbol, session, verdict, rule, detail.

        Of all symbols where none are named.
        """
        columns = quarantine.c
        named = [columns.symbol.in_(symbols)] if symbols else []
        query = (
            select(columns.symbol, columns.session, columns.verdict, columns.rule, columns.detail)
            .where(columns.source == self._source, columns.session <= session, *named)
            .order_by(columns.symbol, columns.session, columns.id)
        )
        with reading(self._engine) as connection:
            return _fetch(connection, query)

    def _stored(self, connection: Connection, bars: pd.DataFrame) -> pd.DataFrame:
        symbols = tuple(bars["symbol"].unique())
        stored = _fetch(connection, self._preferred(symbols, [bars_table.c.known_at.desc()]))
        return stored.astype({"session": "datetime64[s]", "known_at": "datetime64[us]"})

    def _preferred(
        self, symbols: tuple[str, ...], preference: Sequence[ColumnElement[Any]], *conditions: ColumnElement[bool]
    ) -> Select[Any]:
        """The query for one revision of each bar: the first by `preference`."""
        columns = bars_table.c
        fields = [columns[name] for name in (*_KEY, "known_at", *VALUES, "currency")]
        rank = func.row_number().over(partition_by=[columns.symbol, columns.session], order_by=preference)
        ranked = (
            select(*fields, rank.label("rank"))
            .where(columns.source == self._source, columns.symbol.in_(symbols), *conditions)
            .subquery()
        )
        return select(*(ranked.c[field.name] for field in fields)).where(ranked.c.rank == 1)

    def _insert_bars(self, connection: Connection, rows: pd.DataFrame, moment: pd.Timestamp) -> None:
        if rows.empty:
            return
        batch = connection.execute(
            insert(batches).values(source=self._source, known_at=moment.to_pydatetime(), rows=len(rows))
        ).inserted_primary_key
        assert batch is not None
        _insert(connection, bars_table, rows.assign(source=self._source, batch_id=batch[0]))

    def _not_yet_held_back(self, connection: Connection, held_back: pd.DataFrame) -> pd.DataFrame:
        rows = held_back.assign(bar=[bar_as_json(row) for _, row in held_back.iterrows()])
        columns = quarantine.c
        query = select(columns.symbol, columns.session, columns.bar).where(
            columns.source == self._source, columns.symbol.in_(tuple(held_back["symbol"].unique()))
        )
        seen = {(row.symbol, row.session, row.bar) for row in connection.execute(query)}
        keys = zip(rows["symbol"], rows["session"].dt.date, rows["bar"], strict=True)
        return rows[[key not in seen for key in keys]]

    def _insert_held_back(self, connection: Connection, rows: pd.DataFrame, moment: pd.Timestamp) -> None:
        _insert(connection, quarantine, rows.assign(source=self._source, known_at=moment))


def _differs(merged: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    pairs = ((merged[name].to_numpy(float), merged[f"{name}_stored"].to_numpy(float)) for name in VALUES)
    different = [~np.isclose(one, other, rtol=_SAME, atol=1e-9) for one, other in pairs]
    return np.logical_or.reduce(different) if different else np.zeros(len(merged), bool)


def _insert(connection: Connection, table: Table, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    columns = [column.name for column in table.columns if column.name in rows]
    values = rows[columns].assign(session=rows["session"].dt.date, known_at=rows["known_at"].dt.to_pydatetime())
    connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in values.itertuples(index=False)])


def _fetch(connection: Connection, query: Select[Any]) -> pd.DataFrame:
    result = connection.execute(query)
    return pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()))
