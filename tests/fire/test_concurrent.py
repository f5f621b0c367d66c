"""Many processes at one store: nothing is lost, nothing is there twice, and readers see whole batches only."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, select

from pipeline.database import bulk
from pipeline.database.engine import open_database
from pipeline.database.schema import bars, series
from pipeline.market.clock import MarketClock
from pipeline.prices.ingestion.ingest import IngestionSummary
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.writer import Appended, PriceStore
from tests.fire.children import at_once
from tests.fire.intake import accepting_all, after_the_split, ask, source_of, truth_of
from tests.fire.model import DAYS, LATE, Bars, bar, checked, everything, frame_of, moment, read, scaled

pytestmark = pytest.mark.fire

NAMES = ("AAA", "BBB", "CCC")
BATCHES = 12
Wait = Callable[[], Any]


def whole(number: int, names: tuple[str, ...] = NAMES) -> Bars:
    """A batch that says one thing of some symbols and sessions: its number."""
    return {(name, day): bar(20 + number, number) for name in names for day in DAYS[:5]}


def _append_each(wait: Wait, address: str, batches: list[Bars], rewritten: frozenset[str]) -> list[Appended]:
    store = PriceStore(open_database(address), "fire")
    frames = [checked(frame_of(content)) for content in batches]
    wait()
    return [store.append(one, moment(at), rewritten=rewritten) for at, one in enumerate(frames)]


def total(said: list[list[Appended]], name: str) -> int:
    return sum(getattr(one, name) for many in said for one in many)


def test_writers_of_different_symbols_lose_nothing(opened: Callable[[], Engine], address: str) -> None:
    mine = [[{(f"S{who}", DAYS[at]): bar(50, at)} for at in range(BATCHES)] for who in range(4)]
    said = at_once(_append_each, [(address, batches, frozenset()) for batches in mine])
    assert total(said, "new") == 4 * BATCHES
    expected = frame_of({key: one for batches in mine for content in batches for key, one in content.items()})
    found = read(opened(), "fire", tuple(f"S{who}" for who in range(4)), DAYS[-1], LATE)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_writers_of_the_same_store_it_once(opened: Callable[[], Engine], address: str) -> None:
    batches = [{(name, DAYS[at]): bar(50, at) for name in NAMES} for at in range(BATCHES)]
    said = at_once(_append_each, [(address, batches, frozenset())] * 4)
    assert (total(said, "new"), total(said, "revised")) == (len(NAMES) * BATCHES, 0)
    stored = everything(opened(), "fire")
    assert (len(stored["bars"]), len(stored["series"])) == (len(NAMES) * BATCHES, len(NAMES))


def test_writers_of_the_same_split_begin_one_generation(opened: Callable[[], Engine], address: str) -> None:
    PriceStore(opened(), "fire").append(checked(frame_of(whole(1))), moment(1))
    # Each up to another session, as a scheduled run and backfills would have it.
    splits = [{(name, day): scaled(bar(21), 0.5, 9) for name in NAMES for day in DAYS[: 5 + who]} for who in range(4)]
    said = at_once(_append_each, [(address, [content], frozenset(NAMES)) for content in splits])
    assert total(said, "rewritten") == len(NAMES)
    stored = everything(opened(), "fire")
    assert sorted(row[:2] for row in stored["series"]) == [(name, number) for name in NAMES for number in (1, 2)]
    pd.testing.assert_frame_equal(read(opened(), "fire", NAMES, DAYS[-1], LATE), frame_of(splits[-1]), check_exact=True)


def test_writers_that_contradict_each_other_are_one_after_the_other(opened: Callable[[], Engine], address: str) -> None:
    mine = [[whole(100 * who + at) for at in range(BATCHES)] for who in range(4)]
    said = at_once(_append_each, [(address, batches, frozenset()) for batches in mine])
    assert total(said, "new") == len(whole(0))
    stored = everything(opened(), "fire")
    assert len(stored["bars"]) == len(whole(0)) + total(said, "revised") == 4 * BATCHES * len(whole(0))
    assert len(set(read(opened(), "fire", NAMES, DAYS[-1], LATE)["volume"])) == 1
    for minutes in range(BATCHES):
        assert len(set(read(opened(), "fire", NAMES, DAYS[-1], moment(minutes))["volume"])) == 1


def _write_or_read(wait: Wait, address: str, who: int, last: int) -> int:
    """The first two write until the end; the others read until they have seen it, and count what they saw."""
    store = PriceStore(open_database(address), "fire")
    wait()
    if who == 0:
        for number in range(2, last + 1):
            store.append(checked(frame_of(whole(number))), moment(number))
        return last
    seen = {1}
    while max(seen) < last:
        found = _as_of(store) if who % 2 else _in_one_query(store)
        numbers = set(found["volume"] - 1000)
        assert len(numbers) == 1, f"a part of a batch: {numbers}"
        assert len(found) == len(whole(0))
        assert max(numbers) >= max(seen)
        seen |= numbers
    return len(seen)


def _as_of(store: PriceStore) -> pd.DataFrame:
    return AsOf(store.engine, "fire", NAMES, MarketClock().at(DAYS[-1]), LATE).bars()


def _in_one_query(store: PriceStore) -> pd.DataFrame:
    """What ADBC itself sees, with no number of a batch to keep to."""
    joined = bars.join(series, series.c.id == bars.c.series_id)
    query = select(series.c.id, bars.c.batch_id, bars.c.volume).select_from(joined)
    table = bulk.read_table(store.engine, query).to_pandas()
    return table[table["batch_id"] == table["batch_id"].max()]


def test_readers_see_whole_batches_while_one_writes(opened: Callable[[], Engine], address: str) -> None:
    PriceStore(opened(), "fire").append(checked(frame_of(whole(1))), moment(1))
    said = at_once(_write_or_read, [(address, who, 40) for who in range(4)])
    assert said[0] == 40


def _ingest(wait: Wait, address: str, session: date, first: bool, at: float) -> IngestionSummary:
    accepting_all()
    store, source = PriceStore(open_database(address), "fire"), source_of() if first else after_the_split()
    wait()
    return ask(store, source, session, at, symbols=("AAA", "BBB", "CCC")).summary()


@pytest.mark.parametrize("stored", [False, True])
def test_a_scheduled_run_and_backfills_at_once_agree(
    opened: Callable[[], Engine], address: str, stored: bool, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(accepting_all().undo)
    engine = opened()
    if stored:
        ask(PriceStore(engine, "fire"), source_of(), DAYS[40], 1, symbols=NAMES)
    sessions = [DAYS[45], DAYS[38], DAYS[42], DAYS[45]]
    said = at_once(_ingest, [(address, session, False, 2 + at) for at, session in enumerate(sessions)])
    assert sum(one.rewritten for one in said) == stored
    assert all(one.outcomes.get("complete", 0) + one.skipped == 3 for one in said)
    truth = truth_of(after_the_split(), DAYS[45])
    expected = truth[truth["symbol"].isin(NAMES)].reset_index(drop=True)
    found = read(engine, "fire", NAMES, DAYS[-1], LATE)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    if stored:  # what was known before is on the old scale, every bar
        before = truth_of(source_of(NAMES), DAYS[40])
        pd.testing.assert_frame_equal(read(engine, "fire", NAMES, DAYS[40], moment(1)), before, rtol=1e-6)


@pytest.mark.parametrize("stored", [False, True])
def test_an_answer_from_before_a_split_does_not_go_on_in_the_history_after_it(
    opened: Callable[[], Engine],
    address: str,
    stored: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run has its answer; another asks after the split and stores it; then the first comes to store its own."""
    request.addfinalizer(accepting_all().undo)
    slow, quick = PriceStore(opened(), "fire"), PriceStore(opened(), "fire")
    source = source_of(NAMES)
    if stored:
        ask(slow, source, DAYS[40], 1)
    append, overtaken = slow.append, []

    def overtake(*words: Any, **options: Any) -> Appended:
        if not overtaken:
            overtaken.append(True)
            for name in NAMES:
                source.split(name, 2.0)
            ask(quick, source, DAYS[42], 2)
        return append(*words, **options)

    monkeypatch.setattr(slow, "append", overtake)
    ask(slow, source, DAYS[45], 3)
    found = read(slow.engine, "fire", NAMES, DAYS[-1], LATE)
    history = found[found["symbol"] == "AAA"].reset_index(drop=True)
    close = truth_of(source, DAYS[45]).query("symbol == 'AAA'")["close"]
    assert (history["close"] / close).round(6).nunique() == 1, "scales mix"
    ask(slow, source, DAYS[45], 4, whole=True)
    found = read(slow.engine, "fire", NAMES, DAYS[-1], LATE)
    pd.testing.assert_frame_equal(found, truth_of(source, DAYS[45]), rtol=1e-6)
