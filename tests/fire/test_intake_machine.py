"""A source whose truth changes, and that fails: in the end the store says what it says, and the past stays the past."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.errors import BadUpstream, NoData, RateLimited, SourceError
from pipeline.prices.store.writer import PriceStore
from tests.fire.intake import accepting_all, ask, source_of, truth_of
from tests.fire.model import DAYS, LATE, everything, moment, read
from tests.prices.scripted import Scripted

pytestmark = pytest.mark.fire

NAMES = ("AAA", "BBB", "CCC")
NUMBERS = itertools.count()
EXAMPLES = {"sqlite": 15, "postgresql": 5}
symbols = st.sampled_from(NAMES)
ERRORS: dict[str, SourceError] = {
    "none": NoData("nothing now"),
    "limit": RateLimited("slow down"),
    "bad": BadUpstream("500"),
}


@pytest.fixture(autouse=True)
def _no_rule_has_a_say() -> Iterator[None]:
    patch = accepting_all()
    yield
    patch.undo()


class IntakeMachine(RuleBasedStateMachine):
    """Each day the source may have changed its mind; each take-in may be for that day or an older one."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.store = PriceStore(engine, f"fire{next(NUMBERS)}")
        self.source = source_of(NAMES)
        self.shares = self.source.truth.set_index(["symbol", "session"])["volume"]  # on the first scale
        self.gone: dict[str, pd.DataFrame] = {}
        self.today, self.minutes = 30, 0.0
        self.reads: list[tuple[str, date, datetime, pd.DataFrame]] = []
        self.ingest_bars()

    @rule(days=st.integers(1, 5))
    def days_pass(self, days: int) -> None:
        self.today = min(self.today + days, len(DAYS) - 5)

    @rule(symbol=symbols, back=st.integers(0, 25), factor=st.sampled_from([1.02, 0.98, 1 + 2e-7]))
    def a_late_correction(self, symbol: str, back: int, factor: float) -> None:
        at = self.today - back
        self.source.change(symbol, slice(at, at + 1), factor)

    @rule(symbol=symbols, ratio=st.sampled_from([2.0, 0.1, 1.5, 1.005]))
    def a_rewritten_history(self, symbol: str, ratio: float) -> None:
        self.source.split(symbol, ratio)
        if symbol in self.gone:
            aside = Scripted(self.gone[symbol])
            aside.split(symbol, ratio)

    @rule(symbol=symbols)
    def another_currency(self, symbol: str) -> None:
        for frame in (self.source.truth, self.gone.get(symbol)):
            if frame is not None:
                mine = frame["symbol"] == symbol
                frame.loc[mine, "currency"] = frame.loc[mine, "currency"].map({"USD": "GBp", "GBp": "USD"})

    @rule(symbol=symbols, back=st.integers(-1, 3))
    def a_session_is_missing_for_now(self, symbol: str, back: int) -> None:
        self.they_are_back(symbol)
        whole = self.source.truth
        mine = (whole["symbol"] == symbol) & (whole["session"] == pd.Timestamp(DAYS[self.today - back]))
        self.gone[symbol] = whole[mine].reset_index(drop=True)
        self.source.truth = whole[~mine].reset_index(drop=True)

    @rule(symbol=symbols)
    def they_are_back(self, symbol: str) -> None:
        if symbol in self.gone:
            joined = pd.concat([self.source.truth, self.gone.pop(symbol)])
            self.source.truth = joined.sort_values(["symbol", "session"], ignore_index=True)

    @rule(symbol=symbols, error=st.sampled_from(sorted(ERRORS)), back=st.sampled_from([0, 0, 1, 5]), last=st.booleans())
    def a_take_in_that_fails(self, symbol: str, error: str, back: int, last: bool) -> None:
        self.source.once[symbol] = ERRORS[error]
        self.ingest_bars(back, last_try=last)
        self.source.once.clear()

    @rule(back=st.sampled_from([0, 0, 1, 5, 20]), whole=st.booleans())
    def ingest_bars(self, back: int = 0, whole: bool = False, last_try: bool = True) -> None:
        self.minutes += 24 * 60
        session, went_on = DAYS[self.today - back], False
        with contextlib.suppress(SourceError):
            ask(self.store, self.source, session, moment(self.minutes), whole=whole, last_try=last_try)
            went_on = True
        self.remember(session, moment(self.minutes), went_on)

    def remember(self, session: date, cutoff: datetime, went_on: bool) -> None:
        """Remember what is read of symbols that have the session or that a run proceeds without: it never changes."""
        found = read(self.store.engine, self.store.source, NAMES, session, cutoff)
        for symbol in NAMES:
            mine = found[found["symbol"] == symbol].reset_index(drop=True)
            scale = mine["volume"].to_numpy() / self.shares.loc[pd.MultiIndex.from_frame(mine[["symbol", "session"]])]
            assert scale.round(9).nunique() <= 1, "scales mix"  # corrections leave the volume alone, splits do not
            if went_on or (len(mine) and mine["session"].iloc[-1].date() == session):
                self.reads.append((symbol, session, cutoff, mine))

    def teardown(self) -> None:
        for symbol in list(self.gone):
            self.they_are_back(symbol)
        self.ingest_bars(whole=True)
        session = DAYS[self.today]
        found = read(self.store.engine, self.store.source, NAMES, session, LATE)
        pd.testing.assert_frame_equal(found, truth_of(self.source, session), rtol=2e-6)
        for symbol, session, cutoff, before in self.reads:
            now = read(self.store.engine, self.store.source, (symbol,), session, cutoff)
            pd.testing.assert_frame_equal(now, before, check_exact=True)


def test_in_the_end_the_store_says_what_the_source_says(opened: Callable[[], Engine]) -> None:
    engine = opened()
    run_state_machine_as_test(
        lambda: IntakeMachine(engine),
        settings=settings(settings.get_profile("fire"), max_examples=EXAMPLES[engine.dialect.name]),
    )


@pytest.mark.parametrize("ratio", [2.0, 1.005])
def test_a_correction_does_not_hide_a_split_of_the_same_night(tmp_path: Path, ratio: float) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    for corrected in range(14, 21):  # among them the oldest bars of the overlap
        store, source = PriceStore(engine, f"fire{corrected}"), source_of(("AAA",))
        ask(store, source, DAYS[30], 0)
        source.split("AAA", ratio)
        source.change("AAA", slice(corrected, corrected + 1), 1.02)
        ask(store, source, DAYS[31], 24 * 60)
        found = read(engine, store.source, ("AAA",), DAYS[31], LATE)
        pd.testing.assert_frame_equal(found, truth_of(source, DAYS[31]), rtol=2e-6)


def test_backfills_in_any_order_give_the_same_reads(opened: Callable[[], Engine]) -> None:
    engine, source = opened(), source_of(NAMES)
    source.truth = source.truth[(source.truth["symbol"] != "CCC") | (source.truth["session"] > pd.Timestamp(DAYS[24]))]
    sessions = [DAYS[20], DAYS[23], DAYS[27], DAYS[40]]
    orders = list(itertools.permutations(sessions))[:: 1 if engine.dialect.name == "sqlite" else 5]
    for number, order in enumerate(orders):
        store = PriceStore(engine, f"order{number}")
        for at, session in enumerate(order):
            ask(store, source, session, at)
        assert len(everything(engine, store.source)["series"]) == len(NAMES)
        for session in sessions:
            cutoff = datetime.combine(session + timedelta(days=1), datetime.min.time(), moment(0).tzinfo)
            found = read(engine, store.source, NAMES, session, cutoff)
            pd.testing.assert_frame_equal(found, truth_of(source, session), rtol=1e-6)
