"""Reading bars as known on a day: for each symbol one generation of its series, for each session one revision of it.

What had become known by the cutoff counts. Where nothing had, because the history was first taken in later, the newest
there is stands in: what was really known on that day cannot be found out any more. `AsOf.reconstructed` counts these.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, func, select

from pipeline.database import bulk
from pipeline.database.engine import reading
from pipeline.database.schema import bars, batches, series
from pipeline.prices.frames import VALUES
from pipeline.prices.rows import Rows, day_of, framed, from_table, in_parts, query_of

_SERIES_AT_ONCE = 500  # some 100 MB of bars


class AsOf:
    """The bars of `symbols`, each up to and with its last session, as known at `cutoff` (aware).

    `last_of` gives the last session of a symbol: markets that close later have not had theirs of the same day. What is
    to be read is settled on construction: writers who come meanwhile change nothing.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        symbols: tuple[str, ...],
        last_of: Callable[[str], date],
        cutoff: datetime,
    ) -> None:
        self._engine = engine
        self._last_of = {symbol: last_of(symbol) for symbol in symbols}
        self._last = max(self._last_of.values(), default=date.min)
        self.rows = 0
        self.reconstructed = 0  # of `rows`, those that were not known by the cutoff
        moment = cutoff.astimezone(UTC).replace(tzinfo=None)
        mine = batches.c.source == source
        with reading(engine) as connection:
            # Batches are numbered in the order of writing, so that one number says what was there, another what
            # was known.
            top = select(func.max(batches.c.id)).where(mine)
            self._top: int = connection.execute(top).scalar() or 0
            self._known: int = connection.execute(top.where(batches.c.known_at <= moment)).scalar() or 0
            self._series = self._generations(connection, source, symbols)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the bars by symbol and session, some hundred symbols at a time, so that memory stays small.

        Columns: symbol, session (date), the values of `frames`, currency.
        """
        for part in in_parts(list(self._series), _SERIES_AT_ONCE):
            yield _as_table(self._read(part), part, self._series)

    def bars(self) -> pd.DataFrame:
        """Return the bars as `frames` has them."""
        return framed([self._read(part) for part in in_parts(list(self._series), _SERIES_AT_ONCE)], self._series)

    def warnings(self) -> pd.DataFrame:
        """Return the bars that a rule asked a question about: symbol, session, rule."""
        found = []
        with reading(self._engine) as connection:
            for part in in_parts(list(self._series)):
                query = select(bars.c.series_id, bars.c.session, bars.c.warning).where(
                    bars.c.series_id.in_(part),
                    bars.c.session <= self._last,
                    bars.c.batch_id <= self._top,
                    bars.c.warning.is_not(None),
                )
                found += [(self._series[one][0], day, rule) for one, day, rule in connection.execute(query)]
        frame = pd.DataFrame.from_records(found, columns=["symbol", "session", "rule"])
        return frame.drop_duplicates().sort_values(["symbol", "session"], kind="stable", ignore_index=True)

    def _read(self, part: Sequence[int]) -> Rows:
        query = query_of(sorted(part), last=self._last, top=self._top)
        rows = self._not_after_the_last(from_table(bulk.read_table(self._engine, query)))
        rows = _one_revision(rows, self._known)
        self.rows += len(rows)
        self.reconstructed += int((rows.batch_N > self._known).sum())
        return rows

    def _not_after_the_last(self, rows: Rows) -> Rows:
        lasts = {one: day_of(self._last_of[symbol]) for one, (symbol, _) in self._series.items()}
        if set(lasts.values()) == {day_of(self._last)}:
            return rows
        ids, at_N = np.unique(rows.series_N, return_inverse=True)
        return rows.take(rows.days_N <= np.array([lasts[one] for one in ids.tolist()], np.int64)[at_N])

    def _generations(self, connection: Connection, source: str, symbols: tuple[str, ...]) -> dict[int, tuple[str, str]]:
        """Return symbol and currency of each symbol's series to read, in the order of symbols."""
        columns = series.c
        candidates: dict[str, list[tuple[int, int, str]]] = {}
        for part in in_parts(sorted(symbols)):
            query = select(columns.symbol, columns.id, columns.batch_id, columns.currency).where(
                columns.source == source, columns.symbol.in_(part), columns.batch_id <= self._top
            )
            for symbol, id_, batch, currency in connection.execute(query.order_by(columns.generation)):
                candidates.setdefault(symbol, []).append((id_, batch, currency))
        last = self._last_sessions(
            connection, [one[0] for many in candidates.values() if len(many) > 1 for one in many]
        )
        chosen = {symbol: self._preferred(many, last) for symbol, many in sorted(candidates.items())}
        return {id_: (symbol, currency) for symbol, (id_, _, currency) in chosen.items()}

    def _preferred(self, many: list[tuple[int, int, str]], last: dict[int, date]) -> tuple[int, int, str]:
        """The newest generation known by the cutoff, unless only another one reaches the session.

        A rewritten history takes in the sessions that its forerunner never saw: sessions missed while nothing ran.
        """
        reach = max((last.get(id_, date.min) for id_, _, _ in many), default=date.min)
        furthest = [one for one in many if last.get(one[0], date.min) == reach]
        known = [one for one in furthest if one[1] <= self._known]
        return (known or furthest)[-1]

    def _last_sessions(self, connection: Connection, ids: list[int]) -> dict[int, date]:
        found: dict[int, date] = {}
        for part in in_parts(ids):
            query = (
                select(bars.c.series_id, func.max(bars.c.session))
                .where(bars.c.series_id.in_(part), bars.c.session <= self._last, bars.c.batch_id <= self._top)
                .group_by(bars.c.series_id)
            )
            found.update((one, day) for one, day in connection.execute(query))
        return found


def _one_revision(rows: Rows, known: int) -> Rows:
    """Return of each bar the last revision known by then, or the last there is."""
    keys_N = rows.keys_N
    if not len(keys_N):
        return rows
    first = np.append(True, keys_N[1:] != keys_N[:-1])
    if first.all():
        return rows
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(keys_N)) - 1
    by_then = np.maximum.reduceat(np.where(rows.batch_N <= known, np.arange(len(keys_N)), -1), starts)
    return rows.take(np.where(by_then >= 0, by_then, ends))


def _as_table(rows: Rows, part: Sequence[int], names: dict[int, tuple[str, str]]) -> pa.Table:
    """Return the rows in the order of `part`, the order of symbols."""
    ids = np.array(part)
    by_id = np.argsort(ids)
    place_N = by_id[np.searchsorted(ids[by_id], rows.series_N)].astype(np.int32)
    if (np.diff(place_N) < 0).any():
        order = np.argsort(place_N, kind="stable")
        rows, place_N = rows.take(order), place_N[order]
    labels = [pa.array([names[one][which] for one in part]) for which in (0, 1)]
    columns = {
        "symbol": pa.DictionaryArray.from_arrays(pa.array(place_N), labels[0]).cast(pa.string()),
        "session": pa.array(rows.days_N.astype(np.int32)).cast(pa.date32()),
        **{name: pa.array(np.ascontiguousarray(rows.values_NV[:, at])) for at, name in enumerate(VALUES)},
        "currency": pa.DictionaryArray.from_arrays(pa.array(place_N), labels[1]).cast(pa.string()),
    }
    return pa.table(columns)
