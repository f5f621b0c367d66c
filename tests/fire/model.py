"""A reference model of the store in dictionaries, and helpers that its tests share."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Engine, select

from pipeline.database.engine import reading
from pipeline.database.schema import bars, batches, quarantine, series
from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.prices.bars import COLUMNS, PRICES, VALUES
from pipeline.prices.quality import Checked
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.writer import Appended

CLOCK = Sessions("XNYS")
DAYS = CLOCK.between(date(2020, 1, 2), date(2020, 4, 30))
EARLY, LATE = datetime(2019, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)

Bar = tuple[float, ...]  # in the order of frames.VALUES
Key = tuple[str, date]
Bars = dict[Key, Bar]


def bar(price: float, tag: float = 0.0) -> Bar:
    """A bar at this price; the tag, kept as its volume, says which history or batch it is of."""
    return (price, price * 1.01, price * 0.99, price, 1000.0 + tag, 0.0, 1.0)


def scaled(one: Bar, ratio: float, tag: float) -> Bar:
    """The bar on another scale."""
    return (*(value * ratio for value in one[: len(PRICES)]), 1000.0 + tag, *one[5:])


def frame_of(content: Bars, currency: dict[str, str] | str = "USD") -> pd.DataFrame:
    """Bars as the store takes them."""
    rows = [
        (symbol, day, *values, currency if isinstance(currency, str) else currency[symbol])
        for (symbol, day), values in content.items()
    ]
    frame = pd.DataFrame.from_records(rows, columns=COLUMNS).astype({"symbol": "str", "currency": "str"})
    frame = frame.assign(session=pd.to_datetime(frame["session"]).astype("datetime64[s]"))
    typed = frame.astype(dict.fromkeys(VALUES, "float64"))
    return typed.sort_values(["symbol", "session"], ignore_index=True)


def checked(kept: pd.DataFrame, held: pd.DataFrame | None = None) -> Checked:
    """A fixed verdict, so that no rule applies."""
    why = {"verdict": "quarantine", "rule": "manual", "detail": "held back manually"}
    none = frame_of({})
    held_back = (none if held is None else held).assign(**why)
    names = ["symbol", "session", "verdict", "rule", "detail"]
    return Checked(kept=kept.assign(verdict="accept"), held_back=held_back, verdicts=held_back[names])


def read(engine: Engine, source: str, symbols: tuple[str, ...], session: date, cutoff: datetime) -> pd.DataFrame:
    """The bars up to `session`, as known at `cutoff`."""
    return AsOf(engine, source, symbols, MarketClock().at(session), cutoff).bars()


def content_of(frame: pd.DataFrame) -> dict[Key, tuple[Bar, str]]:
    """A frame as a dictionary: the values of each bar, and its currency."""
    days = frame["session"].dt.date
    values = frame[VALUES].itertuples(index=False, name=None)
    return {
        (symbol, day): (tuple(one), currency)
        for symbol, day, one, currency in zip(frame["symbol"], days, values, frame["currency"], strict=True)
    }


def everything(engine: Engine, source: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a source, in an order and without the numbers, which a database gives as it likes."""
    joined = bars.join(series, series.c.id == bars.c.series_id).join(batches, batches.c.id == bars.c.batch_id)
    parts = {
        "bars": select(
            series.c.symbol, series.c.generation, bars.c.session, batches.c.known_at, *(bars.c[name] for name in VALUES)
        )
        .select_from(joined)
        .where(series.c.source == source),
        "series": select(series.c.symbol, series.c.generation, series.c.currency, series.c.basis).where(
            series.c.source == source
        ),
        "batches": select(batches.c.known_at, batches.c.rows).where(batches.c.source == source),
        "quarantine": select(quarantine.c.symbol, quarantine.c.session, quarantine.c.rule, quarantine.c.bar).where(
            quarantine.c.source == source
        ),
    }
    with reading(engine) as connection:
        return {name: sorted(map(tuple, connection.execute(query))) for name, query in parts.items()}


def moment(minutes: float) -> datetime:
    """A time on the tests' own clock."""
    return datetime(2021, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)


@dataclass
class Generation:
    """One scale: of each session its revisions, each with when it became known."""

    since: datetime
    currency: str
    revisions: dict[date, list[tuple[datetime, Bar]]] = field(default_factory=dict)

    def newest(self) -> dict[date, Bar]:
        return {day: many[-1][1] for day, many in self.revisions.items()}

    def known(self, cutoff: datetime) -> dict[date, Bar]:
        there = {day: [one for at, one in many if at <= cutoff] for day, many in self.revisions.items()}
        return {day: many[-1] for day, many in there.items() if many}

    def reach(self, session: date, cutoff: datetime = LATE) -> date:
        return max((day for day in self.known(cutoff) if day <= session), default=date.min)


@dataclass
class Model:
    """The store in memory, written to be read: no numbers of batches, no bulk, no masks."""

    symbols: dict[str, list[Generation]] = field(default_factory=dict)
    held: set[tuple[str, date, Bar, str]] = field(default_factory=set)
    now: datetime = EARLY  # the latest time that anything was stored

    def current(self, symbol: str) -> dict[date, Bar]:
        """The newest bars of the current generation."""
        many = self.symbols.get(symbol)
        return many[-1].newest() if many else {}

    def append(
        self, content: Bars, currency: dict[str, str], at: datetime, rewritten: frozenset[str], held: Bars
    ) -> Appended:
        """Do what `PriceStore.append` is to do, and return what it is to return."""
        at = max(at, self.now)
        fresh = {(symbol, day, one, currency[symbol]) for (symbol, day), one in held.items()} - self.held
        self.held |= fresh
        counts = dict.fromkeys(["new", "revised", "unchanged", "rewritten"], 0)
        for symbol in sorted({symbol for symbol, _ in content}):
            mine = {day: one for (name, day), one in content.items() if name == symbol}
            if self._begins(symbol, mine, currency[symbol], rewritten):
                counts["rewritten"] += symbol in self.symbols
                self.symbols.setdefault(symbol, []).append(Generation(since=at, currency=currency[symbol]))
            for kind in self._go_on(self.symbols[symbol][-1], mine, at):
                counts[kind] += 1
        return Appended(**counts, held_back=len(fresh))

    def as_of(self, session: date, cutoff: datetime) -> dict[Key, tuple[Bar, str]]:
        """Do what `AsOf` is to do."""
        found = {}
        for symbol, many in self.symbols.items():
            live = any(session in one.known(cutoff) for one in many)
            if live:
                reach = max(one.reach(session, cutoff) for one in many)
                chosen = [one for one in many if one.reach(session, cutoff) == reach][-1]
            else:
                reach = max(one.reach(session) for one in many)
                furthest = [one for one in many if one.reach(session) == reach]
                chosen = ([one for one in furthest if one.since <= cutoff] or furthest)[-1]
            for day, revisions in chosen.revisions.items():
                then = chosen.known(cutoff).get(day, None if live else revisions[-1][1])
                if day <= session and then is not None:
                    found[symbol, day] = (then, chosen.currency)
        return found

    def rows(self) -> int:
        """How many revisions of bars there are in all."""
        return sum(len(one) for many in self.symbols.values() for each in many for one in each.revisions.values())

    def _begins(self, symbol: str, mine: dict[date, Bar], currency: str, rewritten: frozenset[str]) -> bool:
        if symbol not in self.symbols:
            return True
        if symbol not in rewritten:
            return False
        stored, last = self.current(symbol), self.symbols[symbol][-1]
        common = mine.keys() & stored.keys()
        return last.currency != currency or not common or any(_differ(mine[day], stored[day]) for day in common)

    def _go_on(self, generation: Generation, mine: dict[date, Bar], at: datetime) -> list[str]:
        stored, kinds = generation.newest(), []
        for day, one in mine.items():
            kind = "new" if day not in stored else "revised" if _differ(one, stored[day]) else "unchanged"
            kinds.append(kind)
            if kind != "unchanged":
                self.now = max(self.now, at)
                generation.revisions.setdefault(day, []).append((at, one))
        return kinds


def _differ(one: Bar, other: Bar) -> bool:
    return any(abs(a - b) > 1e-9 + 1e-6 * abs(b) for a, b in zip(one, other, strict=True))


def accept_all(bars: pd.DataFrame, clock: object, known: pd.DataFrame | None = None) -> Checked:
    """Replace `check_bars`: accept every bar."""
    return checked(bars[COLUMNS].reset_index(drop=True))
