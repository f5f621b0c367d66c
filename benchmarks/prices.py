"""The cases of the price store, one process each: `python -m benchmarks.prices CASE ...` prints JSON."""

import argparse
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, Select, select

from benchmarks.market import Market
from pipeline.database.engine import open_database, reading
from pipeline.database.schema import bars as bars_table
from pipeline.database.schema import day_number, series
from pipeline.market.clock import MarketClock
from pipeline.prices.bars import VALUES, as_bars
from pipeline.prices.ingestion.ingest import Ingested, ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.quality import check_bars
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import write_snapshot
from pipeline.prices.store.writer import PriceStore

_PEER_SYMBOLS = 100  # fetched at once by the peer: more only costs memory and garbage collection


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a case works: the database, the name of the series in it, their number and length, and the round."""

    url: str
    source: str
    symbols: int
    sessions: int
    turn: int
    folder: Path

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The symbols."""
        return tuple(f"S{number:05d}" for number in range(self.symbols))

    @cached_property
    def store(self) -> PriceStore:
        """The store, opened before anything is timed."""
        return PriceStore(open_database(self.url), self.source)

    def market(self, revised: bool = True) -> Market:
        """The vendor, before or after it revised some of its histories."""
        return Market(history=self.sessions, revised=revised)


class Clock:
    """Wall and CPU seconds of a block, and the part of them that does not count."""

    wall_s = cpu_s = 0.0

    @contextmanager
    def running(self, market: Market | None = None) -> Iterator[None]:
        """Time a block, without the vendor's part."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall_s = time.perf_counter() - wall - (market.wall_s if market else 0.0)
        self.cpu_s = time.process_time() - cpu - (market.cpu_s if market else 0.0)


def load(place: Place, clock: Clock) -> dict[str, Any]:
    """Ingest ten years of every symbol for the first time."""
    taken = _ingest(place, clock, place.market(revised=False), session=0)
    return {"rows": taken.appended.new, "held_back": taken.appended.held_back}


def revise(place: Place, clock: Clock) -> dict[str, Any]:
    """Ingest after the vendor has revised some histories: corrections and new generations."""
    taken = _ingest(place, clock, place.market(), session=0, again=True)
    return {"rows": taken.appended.revised, "rewritten": taken.appended.rewritten}


def day(place: Place, clock: Clock) -> dict[str, Any]:
    """Ingest one new session, as every evening: an overlap of ten, the rules with a year before it, the store."""
    taken = _ingest(place, clock, place.market(), session=1 + place.turn)
    return {"rows": taken.appended.new, "held_back": taken.appended.held_back}


def unchanged(place: Place, clock: Clock) -> dict[str, Any]:
    """Ingest the same session again, later: everything is fetched again and nothing is new."""
    taken = _ingest(place, clock, place.market(), session=1 + place.turn, again=True)
    return {"rows": 0, "new": taken.appended.new + taken.appended.revised, "asked": len(taken.requests)}


def append(place: Place, clock: Clock) -> dict[str, Any]:
    """Append one session of every symbol to the store in one transaction; the rules have checked it before."""
    market = place.market()
    session = market.session(1 + place.turn)
    bars = as_bars(pd.concat([market.bars((name,), session, session) for name in place.names], ignore_index=True))
    checked = check_bars(bars, MarketClock())
    with clock.running():
        appended = place.store.append(checked, _known_at(1000 + place.turn))
    return {"rows": appended.new, "held_back": appended.held_back}


def read(place: Place, clock: Clock) -> dict[str, Any]:
    """Read the panel as of the last session of the history and write it as a snapshot."""
    engine = place.store.engine
    with clock.running():
        asof = _as_of(place, engine)
        snapshot = write_snapshot(asof.tables(), _last(place), place.folder)
    size = snapshot.path.stat().st_size
    snapshot.path.unlink()
    return {"rows": asof.rows, "bytes": size}


def arrow(place: Place, clock: Clock) -> dict[str, Any]:
    """Read the same panel and discard it: the part of `read` that is not writing Parquet."""
    engine = place.store.engine
    with clock.running():
        asof = _as_of(place, engine)
        for _ in asof.tables():
            pass
    return {"rows": asof.rows}


def core(place: Place, clock: Clock) -> dict[str, Any]:
    """Fetch the same bars with SQLAlchemy Core and make frames of them, a hundred symbols at a time."""
    return {"rows": _in_frames(place, clock, _named_query, _fetched)}


def read_sql(place: Place, clock: Clock) -> dict[str, Any]:
    """Fetch the same bars with pandas.read_sql, a hundred symbols at a time."""

    def fetched(connection: Connection, query: Select[Any]) -> pd.DataFrame:
        return pd.read_sql(query, connection)

    return {"rows": _in_frames(place, clock, _named_query, fetched)}


def lean(place: Place, clock: Clock) -> dict[str, Any]:
    """Fetch less than the same bars: numbers instead of dates, and neither symbols nor currencies."""
    return {"rows": _in_frames(place, clock, _numbers_query, _fetched)}


CASES: dict[str, Callable[[Place, Clock], dict[str, Any]]] = {
    one.__name__: one for one in (load, revise, day, unchanged, append, read, arrow, core, read_sql, lean)
}


def _ingest(place: Place, clock: Clock, market: Market, *, session: int, again: bool = False) -> Ingested:
    """Ingest a session on its evening, or `again` so much later that its answers count as outdated."""
    as_of = MarketClock().at(market.session(session))
    known_at = as_of.market.sessions.complete_at(as_of.as_of) + timedelta(hours=13 if again else 0)
    request, store = Request(symbols=place.names, clock=as_of, known_at=known_at), place.store
    with clock.running(market):
        return ingest_bars(market, store, request)


def _known_at(days_later: int) -> datetime:
    return datetime(2030, 1, 1, 22, tzinfo=UTC) + timedelta(days=days_later)


def _last(place: Place) -> date:
    return place.market().session(0)


def _as_of(place: Place, engine: Engine) -> AsOf:
    clock = MarketClock().at(_last(place))
    return AsOf(engine, place.source, place.names, clock, _known_at(10_000))


def _fetched(connection: Connection, query: Select[Any]) -> pd.DataFrame:
    result = connection.execute(query)
    # Plain tuples: pandas takes them twice as fast as SQLAlchemy's rows.
    return pd.DataFrame.from_records(list(map(tuple, result.fetchall())), columns=list(result.keys()))


def _in_frames(
    place: Place,
    clock: Clock,
    query: Callable[[list[int], date], Select[Any]],
    fetched: Callable[[Connection, Select[Any]], pd.DataFrame],
) -> int:
    """Return the number of bars fetched, without superseded revisions and generations."""
    last, rows = _last(place), 0
    with clock.running(), reading(place.store.engine) as connection:
        ids = sorted(one.id for one in place.store.current(place.names).values())
        for at in range(0, len(ids), _PEER_SYMBOLS):
            frame = fetched(connection, query(ids[at : at + _PEER_SYMBOLS], last))
            names, days = frame.iloc[:, 0].to_numpy(), frame.iloc[:, 1].to_numpy()
            rows += len(frame) - int(((names[1:] == names[:-1]) & (days[1:] == days[:-1])).sum())
    return rows


def _named_query(ids: list[int], last: date) -> Select[Any]:
    """The plain query of the columns that the snapshot has."""
    values = (bars_table.c[name] for name in VALUES)
    return (
        select(series.c.symbol, bars_table.c.session, *values, series.c.currency)
        .join(series, series.c.id == bars_table.c.series_id)
        .where(bars_table.c.series_id.in_(ids), bars_table.c.session <= last)
        .order_by(bars_table.c.series_id, bars_table.c.session, bars_table.c.batch_id)
    )


def _numbers_query(ids: list[int], last: date) -> Select[Any]:
    columns = bars_table.c
    return (
        select(columns.series_id, day_number(columns.session).label("day"), *(columns[name] for name in VALUES))
        .where(columns.series_id.in_(ids), columns.session <= last)
        .order_by(columns.series_id, columns.session, columns.batch_id)
    )


def _whole() -> dict[str, float]:
    """The CPU time of this process from its start."""
    return {"process_cpu_s": time.process_time()}


def _warm_up(place: Place) -> None:
    """Import and open what a process opens once, so that small cases time only their own work."""
    importlib.import_module("adbc_driver_manager.dbapi")
    place.store.recent(place.names[:1], None)
    _ = place.market().days


def main(argv: list[str] | None = None) -> int:
    """Run one case and print its sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--url", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("symbols", "sessions", "turn"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = vars(parser.parse_args(argv))
    case, clock = CASES[given.pop("case")], Clock()
    place = Place(**given)
    _warm_up(place)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = case(place, clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mib = {"peak_mib": round(peak / 1024), "before_mib": round(before / 1024)}
    sys.stdout.write(json.dumps({"wall_s": clock.wall_s, "cpu_s": clock.cpu_s, **mib, **_whole(), **found}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
