"""As-of reads: for each symbol one generation of its series, for each session one revision of its bar.

A symbol is `live` if its last session was stored by the cutoff, or a run had proceeded without it. For a live symbol
nothing counts that became known later, so that a replay reads what the run read. Other symbols were not requested in
time, and what was known on that day cannot be determined: where nothing was known by the cutoff, the newest revision
is used instead. `AsOf.reconstructed` counts these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Select, and_, func, select

from pipeline.database import bulk
from pipeline.database.engine import reading
from pipeline.database.schema import bars, batches, day_number, series
from pipeline.market.clock import SessionClock
from pipeline.prices.bars import VALUES
from pipeline.prices.store import request_log
from pipeline.prices.store.rows import SCHEMA, Ints, Mask, date_of, day_of, heads_of, in_parts, keys_of, query_of

_SERIES_AT_ONCE = 125  # some 25 MB of bars, of which a few are in memory at a time
_ALL_DAYS = 1 << 19  # before 1970 there are no more in a key


@dataclass(frozen=True, kw_only=True)
class _Generation:
    id: int
    symbol: str
    currency: str
    since: int  # the batch it began with


class AsOf:
    """The bars of `symbols`, each up to and including its last session by `clock`, as known at `cutoff` (aware).

    `cutoff` is `clock.known_by` unless given. What is read is settled on construction: later writes change nothing.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        symbols: tuple[str, ...],
        clock: SessionClock,
        cutoff: datetime | None = None,
    ) -> None:
        self.engine, self.source, self.symbols, self.clock = engine, source, symbols, clock
        self.cutoff = cutoff = clock.known_by if cutoff is None else cutoff
        self._last_of = {symbol: clock.last(symbol) for symbol in symbols}
        self._last = max(self._last_of.values(), default=date.min)
        self.rows = 0
        self.reconstructed = 0  # bars that were not known by the cutoff
        moment = cutoff.astimezone(UTC).replace(tzinfo=None)
        mine = batches.c.source == source
        with reading(engine) as connection:
            # Batches are numbered in the order of writing: one number bounds what exists, another what was known.
            top = select(func.max(batches.c.id)).where(mine)
            self._top: int = connection.execute(top).scalar() or 0
            self._known: int = connection.execute(top.where(batches.c.known_at <= moment)).scalar() or 0
            # Why the bar of its last session was missing, for each symbol that a run proceeded without.
            self.missed = request_log.missed(connection, source, self._last_of, by=cutoff)
            generations = self._generations(connection, source)
            self.live = frozenset(self.missed) | self._had_arrived(connection, generations)
            chosen = self._chosen_of(connection, generations)
        self._series = {one.id: (one.symbol, one.currency) for one in chosen}

    def tables(self) -> Iterator[pa.Table]:
        """Yield the bars by symbol and session, some hundred symbols at a time, so that memory stays small.

        Columns: symbol, session (date), the values of `frames`, currency.
        """
        parts = list(in_parts(list(self._series), _SERIES_AT_ONCE))
        queries = (query_of(sorted(part), last=self._last, top=self._top) for part in parts)
        for part, table in zip(parts, bulk.read_tables(self.engine, queries), strict=True):
            # In one piece, whatever the pieces were that came: the pages of a Parquet file follow them.
            yield self._read(part, table.combine_chunks())

    def bars(self) -> pd.DataFrame:
        """Return the bars, columns as in `pipeline.prices.bars`."""
        found = list(self.tables()) or [SCHEMA.empty_table()]
        frame: pd.DataFrame = pa.concat_tables(found).to_pandas(date_as_object=False)
        return frame.assign(session=frame["session"].astype("datetime64[s]"))

    def warnings(self) -> pd.DataFrame:
        """Return the bars with a warning: symbol, session, rule."""
        found = []
        with reading(self.engine) as connection:
            for part in in_parts(list(self._series)):
                found += [tuple(row) for row in connection.execute(self._warned(part))]
        rows = pd.DataFrame.from_records(found, columns=["series", "day", "batch", "rule"])
        was_known_N = (rows["batch"] <= self._known).to_numpy()
        is_live_N = np.array([self._is_live(one) for one in rows["series"]], bool)
        keys_N = keys_of(rows["series"].to_numpy(np.int64), rows["day"].to_numpy(np.int64))
        stays_N = _one_revision(keys_N, was_known_N) & (was_known_N | ~is_live_N)
        rows = rows[stays_N & rows["rule"].notna()]
        symbol = [self._series[one][0] for one in rows["series"]]
        rows = rows.assign(symbol=symbol, session=[date_of(day) for day in rows["day"]])
        inside = [day <= self._last_of[name] for name, day in zip(rows["symbol"], rows["session"], strict=True)]
        asked: pd.DataFrame = rows.loc[inside, ["symbol", "session", "rule"]]
        return asked.sort_values(["symbol", "session"], ignore_index=True)

    def _read(self, part: Sequence[int], table: pa.Table) -> pa.Table:
        """Return one revision of each bar up to its symbol's last session, in the order of `part`, that of symbols."""
        series_N, days_N, batch_N = heads_of(table)
        keys_N, was_known_N = keys_of(series_N, days_N), batch_N <= self._known
        starts_P, ends_P = self._ends(part, keys_N)
        stays_N = _one_revision(keys_N, was_known_N)
        for one, start, end in zip(part, starts_P, ends_P, strict=True):
            if self._is_live(one):
                stays_N[start:end] &= was_known_N[start:end]
        at_N = np.concatenate([np.arange(*ends) for ends in zip(starts_P, ends_P, strict=True)])
        at_N = at_N[stays_N[at_N]]
        self.rows += len(at_N)
        self.reconstructed += int((~was_known_N[at_N]).sum())
        if len(at_N) != len(keys_N) or (np.diff(starts_P) < 0).any():
            table, days_N = table.take(pa.array(at_N)), days_N[at_N]
        before_N = np.append(0, np.cumsum(stays_N))
        which_N = np.repeat(np.arange(len(part), dtype=np.int32), before_N[ends_P] - before_N[starts_P])
        return _as_table(table, days_N, which_N, [self._series[one] for one in part])

    def _ends(self, part: Sequence[int], keys_N: Ints) -> tuple[Ints, Ints]:
        """Return where the bars of each series begin, and where they end with its symbol's last session."""
        ids_P = np.array(part, np.int64)
        lasts_P = np.array([day_of(self._last_of[self._series[one][0]]) for one in part], np.int64)
        starts_P = np.searchsorted(keys_N, keys_of(ids_P, -_ALL_DAYS))
        return starts_P, np.searchsorted(keys_N, keys_of(ids_P, lasts_P), side="right")

    def _is_live(self, one: int) -> bool:
        return self._series[one][0] in self.live

    def _warned(self, part: Sequence[int]) -> Select[Any]:
        """Return the query for all revisions of the bars of which one has a warning."""
        columns = bars.c
        warned = select(columns.series_id, columns.session).where(
            columns.series_id.in_(part), columns.session <= self._last, columns.warning.is_not(None)
        )
        with_one = warned.distinct().subquery()
        together = and_(with_one.c.series_id == columns.series_id, with_one.c.session == columns.session)
        query = select(columns.series_id, day_number(columns.session), columns.batch_id, columns.warning)
        query = query.join(with_one, together).where(columns.batch_id <= self._top)
        return query.order_by(columns.series_id, columns.session, columns.batch_id)

    def _generations(self, connection: Connection, source: str) -> list[_Generation]:
        """Return all generations of each symbol's series, the symbols in their order, the newest generation last."""
        columns = series.c
        found: list[_Generation] = []
        for part in in_parts(sorted(self._last_of)):
            query = select(columns.id, columns.symbol, columns.currency, columns.batch_id).where(
                columns.source == source, columns.symbol.in_(part), columns.batch_id <= self._top
            )
            rows = connection.execute(query.order_by(columns.generation))
            found += [_Generation(id=id_, symbol=name, currency=unit, since=batch) for id_, name, unit, batch in rows]
        return sorted(found, key=lambda one: one.symbol)

    def _had_arrived(self, connection: Connection, generations: list[_Generation]) -> frozenset[str]:
        """Return the symbols whose last session was stored by the cutoff."""
        found: set[str] = set()
        columns = bars.c
        for day in set(self._last_of.values()):
            names = {one.id: one.symbol for one in generations if self._last_of[one.symbol] == day}
            for part in in_parts(list(names)):
                query = select(columns.series_id).where(
                    columns.series_id.in_(part), columns.session == day, columns.batch_id <= self._known
                )
                found |= {names[id_] for id_ in connection.execute(query).scalars()}
        return frozenset(found)

    def _chosen_of(self, connection: Connection, generations: list[_Generation]) -> list[_Generation]:
        """Return the generation to read of each symbol, if there is one.

        For a live symbol the newest of those that reached furthest by the cutoff; for another the newest of those that
        reach furthest now, preferably one begun by the cutoff: a rewritten history includes sessions that its
        predecessor lacks because nothing ran.
        """
        candidates: dict[str, list[_Generation]] = {}
        for one in generations:
            if one.symbol not in self.live or one.since <= self._known:
                candidates.setdefault(one.symbol, []).append(one)
        several = [one for many in candidates.values() if len(many) > 1 for one in many]
        live = self._last_sessions(connection, [one.id for one in several if one.symbol in self.live], self._known)
        others = self._last_sessions(connection, [one.id for one in several if one.symbol not in self.live], self._top)
        reach = live | others
        chosen = []
        for many in candidates.values():
            furthest = max(reach.get(one.id, date.min) for one in many)
            best = [one for one in many if reach.get(one.id, date.min) == furthest]
            then = [one for one in best if one.since <= self._known]
            chosen.append((then or best)[-1])
        return chosen

    def _last_sessions(self, connection: Connection, ids: list[int], top: int) -> dict[int, date]:
        """Return the last session of each series up to the one to read, as of a batch."""
        found: dict[int, date] = {}
        for part in in_parts(ids):
            query = (
                select(bars.c.series_id, func.max(bars.c.session))
                .where(bars.c.series_id.in_(part), bars.c.session <= self._last, bars.c.batch_id <= top)
                .group_by(bars.c.series_id)
            )
            found.update((one, day) for one, day in connection.execute(query))
        return found


def _one_revision(keys_N: Ints, was_known_N: Mask) -> Mask:
    """Return a mask of each bar's last revision known by the cutoff, or else its last one."""
    stays_N = np.ones(len(keys_N), bool)
    same_N = keys_N[1:] == keys_N[:-1]
    at_R = np.flatnonzero(np.append(same_N, False) | np.append(False, same_N))  # of bars with more than one
    if len(keys_N) and len(at_R):
        stays_N[at_R] = _last_known(keys_N[at_R], was_known_N[at_R])
    return stays_N


def _last_known(keys_R: Ints, was_known_R: Mask) -> Mask:
    starts = np.flatnonzero(np.append(True, keys_R[1:] != keys_R[:-1]))
    lasts = np.append(starts[1:], len(keys_R)) - 1
    by_then = np.maximum.reduceat(np.where(was_known_R, np.arange(len(keys_R)), -1), starts)
    stays_R = np.zeros(len(keys_R), bool)
    stays_R[np.where(by_then >= 0, by_then, lasts)] = True
    return stays_R


def _as_table(table: pa.Table, days_N: Ints, which_N: NDArray[np.int32], names: Sequence[tuple[str, str]]) -> pa.Table:
    """Return the values with symbol, session and currency; `which_N` is the index of a bar in `names`."""
    symbol, currency = (
        pa.DictionaryArray.from_arrays(which_N, pa.array([one[at] for one in names], pa.string())).cast(pa.string())
        for at in (0, 1)
    )
    session = pa.array(days_N.astype(np.int32)).view(pa.date32())
    values = {name: table[name].cast(pa.float64()) for name in VALUES}
    return pa.table({"symbol": symbol, "session": session, **values, "currency": currency})
