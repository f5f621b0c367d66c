"""The store against its model: whatever happens to it, in whatever order, it says what the dictionaries say."""

import itertools
import random
from collections.abc import Callable
from datetime import date, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from pipeline.prices.ingestion.acceptance import accept_released
from pipeline.prices.quality import Checked
from pipeline.prices.store import quarantine
from pipeline.prices.store.writer import Appended, PriceStore
from tests.fire.model import (
    DAYS,
    EARLY,
    LATE,
    Bar,
    Bars,
    Model,
    bar,
    checked,
    content_of,
    everything,
    frame_of,
    moment,
    read,
    scaled,
)
from tests.fire.points import At, Stopped, database_points, stop

pytestmark = pytest.mark.fire

SYMBOLS = ("AAA", "BBB", "CCC")
NUMBERS = itertools.count()
EXAMPLES = {"sqlite": 20, "postgresql": 8}

symbols = st.sampled_from(SYMBOLS)
places = st.integers(0, 30)
prices = st.integers(20, 200)
ratios = st.sampled_from([0.5, 0.1, 3.0, 0.995])


class StoreMachine(RuleBasedStateMachine):
    """One source of a database that other examples share: what is of another source must not be seen."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.store = PriceStore(engine, f"fire{next(NUMBERS)}")
        self.model = Model()
        self.minutes = 0.0
        self.currency = dict.fromkeys(SYMBOLS, "USD")
        self.tag = dict.fromkeys(SYMBOLS, 0)  # one for each scale, kept in the bars' volume
        self.stop_at = 0  # the point at which the next append is stopped
        self.last: tuple[Bars, frozenset[str]] | None = None
        self.held: list[tuple[str, date, Bar, int]] = []
        self.random = random.Random(20)

    @rule(chosen=st.sets(symbols, min_size=1), count=st.integers(1, 4), price=prices, overlap=st.integers(0, 3))
    def new_sessions(self, chosen: set[str], count: int, price: int, overlap: int) -> None:
        content: Bars = {}
        for symbol in chosen:
            stored = self.model.current(symbol)
            first = DAYS.index(max(stored)) + 1 if stored else 5
            content |= {(symbol, day): stored[day] for day in sorted(stored)[len(stored) - overlap :]}
            for day in DAYS[first : first + count]:
                content[symbol, day] = bar(price, self.tag[symbol])
        self.append(content)

    @rule(symbol=symbols, place=places, factor=st.sampled_from([1.01, 0.97, 1 + 2e-7, 3.0]))
    def a_correction(self, symbol: str, place: int, factor: float) -> None:
        stored = self.model.current(symbol)
        if stored:
            day = sorted(stored)[place % len(stored)]
            self.append({(symbol, day): scaled(stored[day], factor, self.tag[symbol])})

    @rule(symbol=symbols, place=st.integers(0, 4), price=prices)
    def an_older_session(self, symbol: str, place: int, price: int) -> None:
        self.append({(symbol, DAYS[place]): bar(price, self.tag[symbol])})

    @rule(symbol=symbols, ratio=ratios, change=st.integers(-4, 2), currency=st.sampled_from(["USD", "USD", "EUR"]))
    def a_rewritten_history(self, symbol: str, ratio: float, change: int, currency: str) -> None:
        """By a split or in another currency; up to now, with new sessions, or as of an older one."""
        stored = self.model.current(symbol)
        if not stored:
            return
        self.tag[symbol] += 1
        self.currency[symbol] = currency
        days = sorted(stored)
        kept = days[: max(1, len(days) + min(change, 0))]
        content = {(symbol, day): scaled(stored[day], ratio, self.tag[symbol]) for day in kept}
        new = DAYS[DAYS.index(days[-1]) + 1 :][: max(change, 0)]
        content |= {(symbol, day): scaled(stored[days[-1]], ratio, self.tag[symbol]) for day in new}
        self.append(content, frozenset({symbol}))

    @rule(symbol=symbols, more=st.integers(0, 3))
    def the_same_rewritten_history_from_another_run(self, symbol: str, more: int) -> None:
        """A backfill has stored it up to its session already: what goes on is the same scale."""
        stored = self.model.current(symbol)
        if stored:
            content = {(symbol, day): one for day, one in stored.items()}
            for day in DAYS[DAYS.index(max(stored)) + 1 :][:more]:
                content[symbol, day] = bar(50, self.tag[symbol])
            before = len(self.model.symbols[symbol])
            self.append(content, frozenset({symbol}))
            assert len(self.model.symbols[symbol]) == before

    @rule(symbol=symbols, place=places, price=prices)
    def a_bar_held_back(self, symbol: str, place: int, price: int) -> None:
        one = bar(price, self.tag[symbol])
        self.held.append((symbol, DAYS[place], one, self.tag[symbol]))
        self.append({}, held={(symbol, DAYS[place]): one})

    @precondition(lambda self: self.held)
    @rule(place=places)
    def a_release(self, place: int) -> None:
        symbol, day, one, tag = self.held[place % len(self.held)]
        frame = quarantine.held_back(self.engine, self.store.source, (symbol,), day)
        ids = frame.loc[frame["session"] == day, "id"].tolist()
        assert ids
        quarantine.decide(self.engine, self.store.source, ids, "released", now=moment(self.minutes), note="")
        through = quarantine.released(self.engine, self.store.source, (symbol,))
        if tag == self.tag[symbol]:
            came = checked(frame_of({}), frame_of({(symbol, day): one}, self.currency))
            self.append({(symbol, day): one}, verdicts=accept_released(came, through))

    @rule(minutes=st.integers(-5000, 5000))
    def the_clock(self, minutes: int) -> None:
        self.minutes += minutes

    @rule(point=st.integers(1, 16))
    def a_crash_comes(self, point: int) -> None:
        self.stop_at = point

    @precondition(lambda self: self.last)
    @rule()
    def the_same_again(self) -> None:
        assert self.last is not None
        before = everything(self.engine, self.store.source)
        content, rewritten = self.last
        done = self.append(content, rewritten)
        assert done == Appended(unchanged=len(content))
        assert everything(self.engine, self.store.source) == before

    def append(
        self,
        content: Bars,
        rewritten: frozenset[str] = frozenset(),
        held: Bars | None = None,
        verdicts: Checked | None = None,
    ) -> Appended:
        """Append, perhaps stopped at first, and compare what is returned."""
        self.minutes += 1
        at, held, self.last = moment(self.minutes), held or {}, (content, rewritten)
        if verdicts is None:
            verdicts = checked(frame_of(content, self.currency), frame_of(held, self.currency))

        def store() -> Appended:
            return self.store.append(verdicts, at, rewritten=rewritten)

        def expect() -> Appended:
            return self.model.append(content, self.currency, at, rewritten, held)

        if self.stop_at and self._stopped_after_the_commit(store):
            expect()
        self.stop_at = 0
        done = store()
        assert done == expect()
        return done

    def _stopped_after_the_commit(self, store: Callable[[], Appended]) -> bool:
        """Stop at a point; whether the point came after everything was stored, or not at all."""
        before = everything(self.engine, self.store.source)
        reached = At(self.stop_at, stop)
        try:
            with database_points(reached):
                store()
        except Stopped:
            if reached.names[-1] != "after the commit":
                assert everything(self.engine, self.store.source) == before
                return False
        return True

    @invariant()
    def reads_are_what_the_model_says(self) -> None:
        self.compare(DAYS[-1], LATE)
        self.compare(self.random.choice(DAYS[:25]), moment(self.random.uniform(-3000, 3000)))

    def compare(self, session: date, cutoff: datetime) -> None:
        found = content_of(read(self.engine, self.store.source, SYMBOLS, session, cutoff))
        assert found == self.model.as_of(session, cutoff)
        for symbol in SYMBOLS:
            assert len({one[4] for (name, _), (one, _) in found.items() if name == symbol}) <= 1, "scales mix"

    def teardown(self) -> None:
        times = sorted({each.since for many in self.model.symbols.values() for each in many})
        for cutoff in [EARLY, *times[:8], LATE]:
            self.compare(DAYS[12], cutoff)
        stored = everything(self.engine, self.store.source)
        assert len(stored["bars"]) == self.model.rows() == sum(rows for _, rows in stored["batches"])
        assert len(stored["series"]) == sum(map(len, self.model.symbols.values()))
        assert len(stored["quarantine"]) == len(self.model.held)


def test_the_store_is_what_its_model_is(opened: Callable[[], Engine]) -> None:
    engine = opened()
    run_state_machine_as_test(
        lambda: StoreMachine(engine),
        settings=settings(settings.get_profile("fire"), max_examples=EXAMPLES[engine.dialect.name]),
    )
