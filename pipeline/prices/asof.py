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
from pipeline.prices.rows import Ints, Mask, day_of, framed, from_table, heads_of, in_parts, keys_of, query_of

_SERIES_AT_ONCE = 125  # some 25 MB of bars, of which a few are in memory at a time


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
        for part, table in self._parts():
            yield _as_table(table, part, self._series)

    def bars(self) -> pd.DataFrame:
        """Return the bars as `frames` has them."""
        return framed([from_table(table) for _, table in self._parts()], self._series)

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

    def _parts(self) -> Iterator[tuple[Sequence[int], pa.Table]]:
        parts = list(in_parts(list(self._series), _SERIES_AT_ONCE))
        queries = (query_of(sorted(part), last=self._last, top=self._top) for part in parts)
        for part, table in zip(parts, bulk.read_tables(self._engine, queries), strict=True):
            yield part, self._chosen(table)

    def _chosen(self, table: pa.Table) -> pa.Table:
        """Return one revision of each bar, none after its symbol's last session."""
        series_N, days_N, batch_N = heads_of(table)
        stays_N = _one_revision(keys_of(series_N, days_N), batch_N, self._known) & self._in_time(series_N, days_N)
        self.rows += int(stays_N.sum())
        self.reconstructed += int((stays_N & (batch_N > self._known)).sum())
        return table if stays_N.all() else table.filter(pa.array(stays_N))

    def _in_time(self, series_N: Ints, days_N: Ints) -> Mask | np.bool_:
        if set(self._last_of.values()) == {self._last}:  # the query has seen to it
            return np.True_
        starts, sizes = _runs(series_N)
        lasts = [day_of(self._last_of[self._series[one][0]]) for one in series_N[starts].tolist()]
        return days_N <= np.repeat(np.array(lasts, np.int64), sizes)

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


def _one_revision(keys_N: Ints, batch_N: Ints, known: int) -> Mask:
    """Return where each bar's last revision known by then is, or the last there is."""
    starts, sizes = _runs(keys_N)
    if len(starts) == len(keys_N):
        return np.ones(len(keys_N), bool)
    by_then = np.maximum.reduceat(np.where(batch_N <= known, np.arange(len(keys_N)), -1), starts)
    stays_N = np.zeros(len(keys_N), bool)
    stays_N[np.where(by_then >= 0, by_then, starts + sizes - 1)] = True
    return stays_N


def _runs(sorted_N: Ints) -> tuple[Ints, Ints]:
    """Return where each run of the same number starts, and how long it is."""
    ends = np.append(np.flatnonzero(sorted_N[1:] != sorted_N[:-1]) + 1, len(sorted_N)) if len(sorted_N) else sorted_N
    return np.append(0, ends[:-1])[: len(ends)], np.diff(ends, prepend=0)


def _as_table(table: pa.Table, part: Sequence[int], names: dict[int, tuple[str, str]]) -> pa.Table:
    """Return the bars in the order of `part`, the order of symbols, with what a series is called in front."""
    series_N = heads_of(table)[0]
    starts, sizes = _runs(series_N)
    place = {one: at for at, one in enumerate(part)}
    order = np.argsort([place[one] for one in series_N[starts].tolist()], kind="stable")
    if (np.diff(order) < 0).any():
        table = pa.concat_tables([table.slice(starts[at], sizes[at]) for at in order])
    # In one piece, whatever the pieces were that came: the pages of a Parquet file follow them.
    table = table.combine_chunks()
    present = [names[one] for one in series_N[starts[order]].tolist()]
    which_N = np.repeat(np.arange(len(order), dtype=np.int32), sizes[order])
    symbol, currency = (
        pa.DictionaryArray.from_arrays(which_N, pa.array([one[at] for one in present], pa.string())).cast(pa.string())
        for at in (0, 1)
    )
    columns = {
        "symbol": symbol,
        "session": table["day"].cast(pa.int32()).cast(pa.date32()),
        **{name: table[name].cast(pa.float64()) for name in VALUES},
        "currency": currency,
    }
    return pa.table(columns)
