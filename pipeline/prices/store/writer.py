"""Writes of bars: append-only and bitemporal. A correction is a new row of a later batch, never an update.

A symbol's prices on one scale and in one currency are a series. Where a vendor rewrites a whole history (a split), or
changes the currency, the symbol begins a new generation of its series in one transaction; `asof` reads one generation
or the other, never a mix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Table, func, insert, select

from pipeline.database import bulk
from pipeline.database.engine import reading, writing
from pipeline.database.schema import bars as bars_table
from pipeline.database.schema import batches, series
from pipeline.errors import Overtaken
from pipeline.prices.bars import VALUES
from pipeline.prices.quality import Checked
from pipeline.prices.store import quarantine
from pipeline.prices.store.rows import date_of, days_of, framed, from_numbers, from_table, in_parts, keys_of, query_of

Mask = NDArray[np.bool_]

# Adjusted floats jitter by 1e-7 between downloads; a revision is larger.
SAME = 1e-6
_CLOSE_TO_NOTHING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What one ingestion changed, in bars; `rewritten` counts symbols whose history began a new generation."""

    new: int = 0
    revised: int = 0
    unchanged: int = 0
    held_back: int = 0
    rewritten: int = 0


@dataclass(frozen=True, kw_only=True)
class Series:
    """The current generation of a symbol."""

    id: int
    generation: int
    basis: str
    currency: str


class PriceStore:
    """The bars of one source. Several processes may use it concurrently; writers are serialised."""

    def __init__(self, engine: Engine, source: str) -> None:
        self.engine = engine
        self.source = source

    def append(
        self,
        checked: Checked,
        known_at: datetime,
        *,
        bases: Mapping[str, str] | None = None,
        rewritten: frozenset[str] = frozenset(),
        seen: Mapping[str, Series] | None = None,
    ) -> Appended:
        """Store the new and changed bars of `checked`, all or nothing. Idempotent.

        `known_at` is aware: when the bars became known here. The symbols of `rewritten` begin a new generation; what
        `checked` keeps of them is their whole history. `bases` says what a symbol's prices are. `seen` are the
        generations that the bars were compared with: raises Overtaken where one of them is not the current one any
        more, since bars on an older scale must not go on in a newer series.
        """
        kept = _with_warnings(checked)
        with writing(self.engine) as connection:
            moment = self._not_before_the_last(connection, known_at)
            held_back = quarantine.hold(connection, self.source, checked.held_back, moment)
            current = self._current(connection, tuple(kept["symbol"].unique()))
            self._refuse_overtaken(current, seen, rewritten)
            again = self._really_rewritten(connection, kept, current, rewritten)
            going_on = {symbol: one for symbol, one in current.items() if symbol not in again}
            is_new, is_revised = _news(connection, kept, going_on)
            self._write(connection, kept[is_new | is_revised], moment, current, going_on, bases or {})
        new, revised = int(is_new.sum()), int(is_revised.sum())
        unchanged = len(kept) - new - revised
        return Appended(new=new, revised=revised, unchanged=unchanged, held_back=held_back, rewritten=len(again))

    def current(self, symbols: tuple[str, ...]) -> dict[str, Series]:
        """Return the newest generation of each of the symbols that have one."""
        with reading(self.engine) as connection:
            return self._current(connection, symbols)

    def marked(self, seen: Mapping[str, Series], rule: str) -> frozenset[str]:
        """Return the symbols of which a bar of the generation in `seen` carries the warning `rule`."""
        names = {one.id: symbol for symbol, one in seen.items()}
        columns = bars_table.c
        found: set[str] = set()
        with reading(self.engine) as connection:
            for part in in_parts(list(names)):
                query = select(columns.series_id).where(columns.series_id.in_(part), columns.warning == rule)
                found |= {names[one] for one in connection.execute(query.distinct()).scalars()}
        return frozenset(found)

    def stored_range(self, symbols: tuple[str, ...]) -> dict[str, tuple[date, date]]:
        """Return the first and the last session stored of each symbol's current generation."""
        names = {one.id: symbol for symbol, one in self.current(symbols).items()}
        # A look-up for each end: both at once in a group would read every bar of the history.
        first, last = (
            select(extreme(bars_table.c.session)).where(bars_table.c.series_id == series.c.id).scalar_subquery()
            for extreme in (func.min, func.max)
        )
        found: dict[str, tuple[date, date]] = {}
        with reading(self.engine) as connection:
            for part in in_parts(list(names)):
                rows = connection.execute(select(series.c.id, first, last).where(series.c.id.in_(part)))
                found |= {names[one]: (begin, until) for one, begin, until in rows if begin is not None}
        return found

    def recent(
        self, symbols: tuple[str, ...], first: date | None, seen: Mapping[str, Series] | None = None
    ) -> pd.DataFrame:
        """Return the newest revision of the current generations' bars from `first` on: the columns of `frames`.

        `seen` are the generations to read where the caller has looked them up.
        """
        known = self.current(symbols) if seen is None else {symbol: seen[symbol] for symbol in symbols}
        ids = sorted(one.id for one in known.values())
        parts = [from_table(bulk.read_table(self.engine, query_of(part, first))).newest() for part in in_parts(ids)]
        return framed(parts, {one.id: (symbol, one.currency) for symbol, one in known.items()})

    def _current(self, connection: Connection, symbols: tuple[str, ...]) -> dict[str, Series]:
        columns = series.c
        found = {}
        for part in in_parts(symbols):
            query = (
                select(columns.symbol, columns.id, columns.generation, columns.basis, columns.currency)
                .where(columns.source == self.source, columns.symbol.in_(part))
                .order_by(columns.generation)
            )
            for symbol, id_, generation, basis, currency in connection.execute(query):
                found[symbol] = Series(id=id_, generation=generation, basis=basis, currency=currency)
        return found

    def _not_before_the_last(self, connection: Connection, known_at: datetime) -> datetime:
        """Return `known_at`, or the time of the last batch if that is later: clocks may disagree."""
        moment = known_at.astimezone(UTC).replace(tzinfo=None)
        last = connection.execute(select(func.max(batches.c.known_at)).where(batches.c.source == self.source)).scalar()
        return moment if last is None else max(moment, last)

    def _refuse_overtaken(
        self, current: Mapping[str, Series], seen: Mapping[str, Series] | None, rewritten: frozenset[str]
    ) -> None:
        """Those of `rewritten` bring their whole history, which is compared as it is."""
        if seen is None:
            return
        for symbol, one in current.items():
            if symbol not in rewritten and seen.get(symbol) != one:
                raise Overtaken(f"{symbol}: another process replaced its history in the meantime; ingest it again")

    def _really_rewritten(
        self, connection: Connection, kept: pd.DataFrame, current: Mapping[str, Series], rewritten: frozenset[str]
    ) -> frozenset[str]:
        """Those of `rewritten` that another process, or this one before it was stopped, has not stored already."""
        mine = kept[kept["symbol"].isin(rewritten & set(current))]
        if mine.empty:
            return frozenset()
        is_new, is_revised = _news(connection, mine, current)
        another_currency = mine["currency"] != mine["symbol"].map({name: one.currency for name, one in current.items()})
        differing = frozenset(mine.loc[is_revised | another_currency.to_numpy(), "symbol"])
        # Sessions that the stored history has not do not make it another one, as long as they have some in common.
        return differing | (frozenset(mine["symbol"]) - frozenset(mine.loc[~is_new, "symbol"]))

    def _write(
        self,
        connection: Connection,
        rows: pd.DataFrame,
        moment: datetime,
        current: Mapping[str, Series],
        going_on: Mapping[str, Series],
        bases: Mapping[str, str],
    ) -> None:
        if rows.empty:
            return
        values = {"source": self.source, "known_at": moment, "rows": len(rows)}
        batch = _insert_one(connection, batches, values)
        ids = {symbol: one.id for symbol, one in going_on.items()}
        for symbol, part in rows.drop_duplicates("symbol").set_index("symbol").iterrows():
            if symbol in ids:
                continue
            before = current.get(str(symbol))
            begun = {
                "source": self.source,
                "symbol": symbol,
                "generation": before.generation + 1 if before else 1,
                "basis": bases.get(str(symbol), "as_given"),
                "currency": part["currency"],
                "batch_id": batch,
            }
            ids[str(symbol)] = _insert_one(connection, series, begun)
        bulk.insert_columns(connection, bars_table, _columns(rows, ids, batch))


def differs(values_NV: NDArray[np.float64], stored_NV: NDArray[np.float64]) -> Mask:
    """Return where bars differ by more than the jitter of adjusted floats."""
    same = np.asarray(np.isclose(values_NV, stored_NV, rtol=SAME, atol=_CLOSE_TO_NOTHING)).all(axis=1)
    return np.asarray(~same)


def _news(connection: Connection, kept: pd.DataFrame, current: Mapping[str, Series]) -> tuple[Mask, Mask]:
    """Which bars are of a session that is not stored in the series going on, and which differ from what is."""
    ids_N = kept["symbol"].map({symbol: one.id for symbol, one in current.items()}).fillna(-1).to_numpy(np.int64)
    is_new, is_revised = np.ones(len(kept), bool), np.zeros(len(kept), bool)
    if (ids_N < 0).all():
        return is_new, is_revised
    days_N = days_of(kept["session"])
    known = sorted(set(ids_N[ids_N >= 0].tolist()))
    inside = days_N[ids_N >= 0]
    query = query_of(known, date_of(int(inside.min())), date_of(int(inside.max())))
    stored = from_numbers(bulk.fetch_numbers(connection, query)).newest()
    if not len(stored):
        return is_new, is_revised
    keys_N = keys_of(ids_N, days_N)
    at_N = np.minimum(np.searchsorted(stored.keys_N, keys_N), len(stored) - 1)
    is_new = stored.keys_N[at_N] != keys_N
    is_revised = ~is_new & differs(kept[VALUES].to_numpy(float), stored.values_NV[at_N])
    return is_new, is_revised


def _with_warnings(checked: Checked) -> pd.DataFrame:
    """Return the accepted bars, each with the first rule that raised a warning about it."""
    asked = checked.verdicts[checked.verdicts["verdict"] == "warn"].drop_duplicates(["symbol", "session"])
    if asked.empty:
        return checked.kept.assign(warning=None)
    rules = asked[["symbol", "session", "rule"]].rename(columns={"rule": "warning"})
    return checked.kept.merge(rules, how="left", on=["symbol", "session"])


def _columns(rows: pd.DataFrame, ids: Mapping[str, int], batch: int) -> dict[str, Any]:
    return {
        "series_id": rows["symbol"].map(ids).tolist(),
        "session": rows["session"].to_numpy(),
        "batch_id": [batch] * len(rows),
        **{name: rows[name].tolist() for name in VALUES},
        "warning": [rule if isinstance(rule, str) else None for rule in rows["warning"]],
    }


def _insert_one(connection: Connection, table: Table, values: Mapping[str, object]) -> int:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])
