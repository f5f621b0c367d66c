"""Reading bars as known on a day: for each symbol one generation of its series, for each session one revision of it.

What had become known by the cutoff counts. Where nothing had, because the history was first taken in later, the newest
there is stands in: what was really known on that day cannot be found out any more. `AsOf.reconstructed` counts these.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select

from pipeline.database import bulk
from pipeline.database.engine import reading
from pipeline.database.schema import bars, batches, series
from pipeline.prices.frames import VALUES
from pipeline.prices.rows import SCHEMA, Ints, Mask, day_of, days_in, in_parts, keyed_query_of, keys_in, keys_of

_SERIES_AT_ONCE = 125  # some 25 MB of bars, of which a few are in memory at a time
_ALL_DAYS = 1 << 19  # before 1970 there are no more in a key


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
        parts = list(in_parts(list(self._series), _SERIES_AT_ONCE))
        queries = (keyed_query_of(sorted(part), last=self._last, top=self._top, known=self._known) for part in parts)
        for part, table in zip(parts, bulk.read_tables(self._engine, queries), strict=True):
            # In one piece, whatever the pieces were that came: the pages of a Parquet file follow them.
            yield self._chosen(part, table.combine_chunks())

    def bars(self) -> pd.DataFrame:
        """Return the bars as `frames` has them."""
        found = list(self.tables()) or [SCHEMA.empty_table()]
        frame: pd.DataFrame = pa.concat_tables(found).to_pandas(date_as_object=False)
        return frame.assign(session=frame["session"].astype("datetime64[s]"))

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

    def _chosen(self, part: Sequence[int], table: pa.Table) -> pa.Table:
        """Return one revision of each bar up to its symbol's last session, in the order of `part`, that of symbols."""
        keys_N, was_known_N = keys_in(table)
        starts_P, ends_P = self._ends(part, keys_N)
        stays_N = _one_revision(keys_N, was_known_N)
        at_N = np.concatenate([np.arange(*ends) for ends in zip(starts_P, ends_P, strict=True)])
        at_N = at_N[stays_N[at_N]]
        self.rows += len(at_N)
        self.reconstructed += int((~was_known_N[at_N]).sum())
        if len(at_N) != len(keys_N) or (np.diff(starts_P) < 0).any():
            table, keys_N = table.take(pa.array(at_N)), keys_N[at_N]
        before_N = np.append(0, np.cumsum(stays_N))
        which_N = np.repeat(np.arange(len(part), dtype=np.int32), before_N[ends_P] - before_N[starts_P])
        return _as_table(table, days_in(keys_N), which_N, [self._series[one] for one in part])

    def _ends(self, part: Sequence[int], keys_N: Ints) -> tuple[Ints, Ints]:
        """Return where the bars of each series begin, and where they end with its symbol's last session."""
        ids_P = np.array(part, np.int64)
        lasts_P = np.array([day_of(self._last_of[self._series[one][0]]) for one in part], np.int64)
        starts_P = np.searchsorted(keys_N, keys_of(ids_P, -_ALL_DAYS))
        return starts_P, np.searchsorted(keys_N, keys_of(ids_P, lasts_P), side="right")

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
        several = [one[0] for many in candidates.values() if len(many) > 1 for one in many]
        last = self._last_sessions(connection, several, self._top)
        then = self._last_sessions(connection, several, self._known)
        chosen = {symbol: self._preferred(many, last, then) for symbol, many in sorted(candidates.items())}
        return {id_: (symbol, currency) for symbol, (id_, _, currency) in chosen.items()}

    def _preferred(
        self, many: list[tuple[int, int, str]], last: dict[int, date], then: dict[int, date]
    ) -> tuple[int, int, str]:
        """The newest generation that by the cutoff reached the session, so that what was read once is read for ever.

        Where none did, the newest known by the cutoff, unless only another one reaches the session: a rewritten
        history takes in the sessions that its forerunner never saw, missed while nothing ran.
        """
        reach = max((last.get(id_, date.min) for id_, _, _ in many), default=date.min)
        if by_then := [one for one in many if then.get(one[0]) == reach]:
            return by_then[-1]
        furthest = [one for one in many if last.get(one[0], date.min) == reach]
        known = [one for one in furthest if one[1] <= self._known]
        return (known or furthest)[-1]

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
    """Return where each bar's last revision known by then is, or the last there is."""
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
    """Return the values with symbol, session and currency beside them; `which_N` is the place of a bar's names."""
    symbol, currency = (
        pa.DictionaryArray.from_arrays(which_N, pa.array([one[at] for one in names], pa.string())).cast(pa.string())
        for at in (0, 1)
    )
    session = pa.array(days_N.astype(np.int32)).view(pa.date32())
    values = {name: table[name].cast(pa.float64()) for name in VALUES}
    return pa.table({"symbol": symbol, "session": session, **values, "currency": currency})
