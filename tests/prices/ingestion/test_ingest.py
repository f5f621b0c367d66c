"""Ingestion: what is requested, how the overlap is reconciled, what is accepted, how an interrupted load resumes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.database.engine import open_database
from pipeline.errors import BadUpstream, NoData, RateLimited, UnknownSymbol
from pipeline.market.clock import MarketClock
from pipeline.prices.ingestion.ingest import DEFAULT_BUFFER, Buffer, Ingested, ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.store import quarantine, request_log
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.writer import PriceStore
from tests.prices.scripted import CLOCK, Scripted, walk

FIRST, MONDAY, TUESDAY, WEDNESDAY = date(2019, 1, 2), date(2020, 2, 3), date(2020, 2, 4), date(2020, 2, 5)


@pytest.fixture
def store(tmp_path: Path) -> PriceStore:
    return PriceStore(open_database(f"sqlite:///{tmp_path / 'p.db'}"), "scripted")


@pytest.fixture
def source() -> Scripted:
    return Scripted(pd.concat([walk(name, FIRST, date(2020, 3, 2)) for name in ("AAA", "BBB")], ignore_index=True))


def evening(session: date) -> datetime:
    return datetime(session.year, session.month, session.day, 22, tzinfo=UTC)


def ask(
    store: PriceStore, source: Scripted, session: date, *, buffer: Buffer = DEFAULT_BUFFER, **options: object
) -> Ingested:
    request = {
        "symbols": ("AAA", "BBB"),
        "clock": MarketClock().at(session),
        "known_at": evening(session),
    }
    return ingest_bars(source, store, Request(**{**request, **options}), buffer=buffer)  # type: ignore[arg-type]


def known(store: PriceStore, session: date, at: datetime | None = None, symbol: str = "AAA") -> pd.DataFrame:
    return AsOf(store.engine, store.source, (symbol,), MarketClock().at(session), at or evening(session)).bars()


def truth(source: Scripted, session: date, symbol: str = "AAA") -> pd.DataFrame:
    mine = source.truth[(source.truth["symbol"] == symbol) & (source.truth["session"] <= pd.Timestamp(session))]
    return mine.reset_index(drop=True)


def test_a_day_asks_for_the_new_session_and_an_overlap_alone(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    assert [first for _, first, _ in source.asked] == [None, None]
    source.asked.clear()
    taken = ask(store, source, TUESDAY)
    assert (taken.appended.new, taken.appended.revised) == (2, 0)
    for _, first, last in source.asked:
        assert first is not None
        assert last == TUESDAY
        assert 10 <= len(CLOCK.between(first, MONDAY)) <= 15
    pd.testing.assert_frame_equal(known(store, TUESDAY), truth(source, TUESDAY))


def test_a_late_correction_is_a_revision(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    before = truth(source, MONDAY)
    source.change("AAA", slice(len(before) - 3, len(before) - 2), 1.02)
    assert ask(store, source, TUESDAY).appended.revised == 1
    pd.testing.assert_frame_equal(known(store, MONDAY), before)
    pd.testing.assert_frame_equal(known(store, TUESDAY), truth(source, TUESDAY))


def test_jitter_is_nothing(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    source.change("AAA", slice(None), 1 + 2e-7)
    assert ask(store, source, TUESDAY).appended.revised == 0


def test_a_correction_that_goes_too_far_is_for_a_person(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    before = truth(source, TUESDAY)
    source.change("AAA", slice(len(before) - 3, len(before) - 2), 1.3)
    taken = ask(store, source, TUESDAY)
    assert (taken.appended.revised, taken.appended.held_back) == (0, 1)
    pd.testing.assert_frame_equal(known(store, TUESDAY), before)


@pytest.mark.parametrize("ratio", [2.0, 1.5, 0.1, 1.01])
def test_a_history_rewritten_by_one_ratio_lands_whole(store: PriceStore, source: Scripted, ratio: float) -> None:
    ask(store, source, MONDAY)
    before = truth(source, MONDAY)
    source.split("AAA", ratio)
    taken = ask(store, source, TUESDAY)
    assert taken.appended.rewritten == 1
    assert ("AAA", None, TUESDAY) in source.asked  # fetched whole
    pd.testing.assert_frame_equal(known(store, TUESDAY), truth(source, TUESDAY))
    pd.testing.assert_frame_equal(known(store, MONDAY), before)  # on the old scale, every bar
    assert ask(store, source, TUESDAY, known_at=evening(WEDNESDAY)).appended.rewritten == 0


@pytest.mark.parametrize("bars", [1, 2])
def test_a_split_of_a_newly_listed_symbol_leaves_no_two_scales(store: PriceStore, source: Scripted, bars: int) -> None:
    listed = CLOCK.shift(MONDAY, 1 - bars)
    source.truth = source.truth[source.truth["session"] >= pd.Timestamp(listed)].reset_index(drop=True)
    ask(store, source, MONDAY)
    before = truth(source, MONDAY)
    source.split("AAA", 2.0)
    assert ask(store, source, TUESDAY).appended.rewritten == 1
    pd.testing.assert_frame_equal(known(store, TUESDAY), truth(source, TUESDAY))
    pd.testing.assert_frame_equal(known(store, MONDAY), before)


def test_a_rewritten_history_that_cannot_be_fetched_changes_nothing(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    before = known(store, MONDAY)
    source.split("AAA", 2.0)
    fetch = source.bars

    def failing(symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        if first is None:
            raise BadUpstream("away")
        return fetch(symbols, last, first)

    source.bars = failing  # type: ignore[method-assign]
    taken = ask(store, source, TUESDAY)
    assert {one.symbol: one.outcome for one in taken.requests} == {"AAA": "failed", "BBB": "complete"}
    pd.testing.assert_frame_equal(known(store, TUESDAY), before)
    source.bars = fetch  # type: ignore[method-assign]
    ask(store, source, TUESDAY)
    pd.testing.assert_frame_equal(known(store, TUESDAY), truth(source, TUESDAY))


def test_another_currency_is_another_series(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    before = known(store, MONDAY)
    mine = source.truth["symbol"] == "AAA"
    source.truth.loc[mine, "currency"] = "GBp"
    source.change("AAA", slice(None), 100.0)
    ask(store, source, TUESDAY)
    pd.testing.assert_frame_equal(known(store, MONDAY), before)
    assert set(known(store, TUESDAY)["currency"]) == {"GBp"}


def test_a_missing_session_is_asked_for_again_and_never_filled(store: PriceStore, source: Scripted) -> None:
    whole = source.truth
    gone = (whole["symbol"] == "AAA") & (whole["session"] == pd.Timestamp(TUESDAY))
    ask(store, source, MONDAY)
    source.truth = whole[~gone].reset_index(drop=True)
    with pytest.raises(NoData, match="AAA"):
        ask(store, source, TUESDAY, last_try=False)
    taken = ask(store, source, TUESDAY)
    assert {one.symbol: one.outcome for one in taken.requests}["AAA"] == "incomplete"
    assert known(store, TUESDAY)["session"].iloc[-1].date() == MONDAY
    source.truth, source.asked = whole, []
    ask(store, source, TUESDAY, known_at=evening(TUESDAY) + timedelta(hours=1))
    assert [symbol for symbol, _, _ in source.asked] == ["AAA"]  # BBB was complete
    pd.testing.assert_frame_equal(known(store, TUESDAY, evening(WEDNESDAY)), truth(source, TUESDAY))


def test_an_interrupted_load_goes_on_where_it_stopped(store: PriceStore, source: Scripted) -> None:
    source.once["BBB"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        ask(store, source, MONDAY, buffer=Buffer(rows=100))
    source.asked.clear()
    ask(store, source, MONDAY)
    assert [symbol for symbol, _, _ in source.asked] == ["BBB"]


@pytest.mark.parametrize(("seconds", "stored"), [(0.0, ["AAA"]), (3600.0, [])])
def test_what_a_slow_source_gave_is_stored_before_all_of_it_is_there(
    store: PriceStore, source: Scripted, seconds: float, stored: list[str]
) -> None:
    seen: list[str] = []
    fetch = source.bars

    def looking(symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        if symbols == ("BBB",):
            seen.extend(store.current(("AAA", "BBB")))
        return fetch(symbols, last, first)

    source.bars = looking  # type: ignore[method-assign]
    ask(store, source, MONDAY, buffer=Buffer(seconds=seconds))
    assert seen == stored


def test_a_rate_limit_stops_asking_and_keeps_what_came(store: PriceStore, source: Scripted) -> None:
    source.errors["BBB"] = RateLimited("slow down")
    with pytest.raises(RateLimited, match="1 of 2"):
        ask(store, source, MONDAY, last_try=False)
    pd.testing.assert_frame_equal(known(store, MONDAY), truth(source, MONDAY))
    taken = ask(store, source, MONDAY)  # the last try proceeds without it
    assert [one.outcome for one in taken.requests] == ["failed"]


def test_an_outage_is_not_asked_symbol_by_symbol(store: PriceStore, source: Scripted) -> None:
    names = tuple(f"S{at}" for at in range(30))
    source.errors = dict.fromkeys(names, BadUpstream("500"))
    with pytest.raises(BadUpstream, match="30 of 30"):
        ask(store, source, MONDAY, symbols=names)
    assert len(source.asked) == 5


def test_an_unknown_symbol_is_named_and_the_others_go_on(store: PriceStore, source: Scripted) -> None:
    taken = ask(store, source, MONDAY, symbols=("AAA", "NOPE"), last_try=False)
    assert {one.symbol: one.outcome for one in taken.requests} == {"AAA": "complete", "NOPE": "unknown"}
    with pytest.raises(UnknownSymbol, match="nobody knows NOPE"):
        ask(store, source, MONDAY, symbols=("NOPE",))


@pytest.mark.parametrize(("session", "outcome"), [(date(2020, 2, 20), "stale"), (date(2020, 4, 1), "delisted")])
def test_a_symbol_without_bars_for_long_is_a_state_and_no_error(
    store: PriceStore, source: Scripted, session: date, outcome: str
) -> None:
    source.truth = pd.concat([walk("AAA", FIRST, MONDAY), walk("BBB", FIRST, date(2020, 4, 2))], ignore_index=True)
    ask(store, source, MONDAY)
    taken = ask(store, source, session, last_try=False)
    assert {one.symbol: one.outcome for one in taken.requests} == {"AAA": outcome, "BBB": "complete"}


def test_a_missing_price_is_held_until_it_comes(store: PriceStore, source: Scripted) -> None:
    good = source.truth.copy()
    at = source.truth.index[(source.truth["symbol"] == "AAA") & (source.truth["session"] == pd.Timestamp(TUESDAY))]
    source.truth.loc[at, "close"] = np.nan
    taken = ask(store, source, TUESDAY)
    assert {one.symbol: one.outcome for one in taken.requests}["AAA"] == "held"
    source.truth = good
    ask(store, source, TUESDAY, known_at=evening(TUESDAY) + timedelta(hours=1))
    held = quarantine.held_back(store.engine, "scripted", (), date.max)
    assert held["status"].tolist() == ["settled"]
    pd.testing.assert_frame_equal(known(store, WEDNESDAY), truth(source, TUESDAY))


def test_a_released_bar_is_believed_when_it_comes_again(store: PriceStore, source: Scripted) -> None:
    ask(store, source, MONDAY)
    at = len(truth(source, MONDAY)) - 3
    source.change("AAA", slice(at, at + 1), 1.3)
    ask(store, source, TUESDAY)
    held = quarantine.held_back(store.engine, "scripted", (), date.max)
    now = evening(TUESDAY) + timedelta(hours=1)
    quarantine.decide(store.engine, "scripted", held["id"].tolist(), "released", now=now, note="it was so")
    ask(store, source, WEDNESDAY)
    pd.testing.assert_frame_equal(known(store, WEDNESDAY), truth(source, WEDNESDAY))


def test_a_backfill_of_a_settled_session_asks_nothing(store: PriceStore, source: Scripted) -> None:
    ask(store, source, WEDNESDAY)
    source.asked.clear()
    taken = ask(store, source, MONDAY, known_at=evening(date(2020, 2, 20)))
    assert (taken.skipped, source.asked) == (2, [])
    ask(store, source, MONDAY, known_at=evening(date(2020, 2, 20)), whole=True)
    assert len(source.asked) == 2


def test_how_each_request_ended_is_kept(store: PriceStore, source: Scripted) -> None:
    source.errors["BBB"] = BadUpstream("BBB: 500")
    ask(store, source, MONDAY)
    ended = request_log.last_requests(store.engine, "scripted", ("AAA", "BBB", "CCC"))
    assert {name: one.outcome for name, one in ended.items()} == {"AAA": "complete", "BBB": "failed"}
    assert ended["BBB"].through == MONDAY


def test_a_held_bar_that_comes_again_stays_held_whatever_stands_beside_it(store: PriceStore, source: Scripted) -> None:
    holiday = pd.Timestamp("2020-01-20")  # Martin Luther King's day, with a copy of the bar before
    copy = source.truth[source.truth["session"] == pd.Timestamp("2020-01-17")].assign(session=holiday)
    source.truth = pd.concat([source.truth, copy]).sort_values(["symbol", "session"], ignore_index=True)
    source.overlap = None  # everything is asked for each time
    assert ask(store, source, MONDAY).appended.held_back == 2
    for session in (TUESDAY, WEDNESDAY):
        taken = ask(store, source, session)
        assert (taken.appended.new, taken.appended.held_back) == (2, 0)
        assert holiday not in set(known(store, session)["session"])


def test_rules_see_the_days_around_a_new_bar(store: PriceStore, source: Scripted) -> None:
    holiday = pd.Timestamp("2020-01-20")
    ask(store, source, MONDAY)
    copy = source.truth[source.truth["session"] == pd.Timestamp("2020-01-17")].assign(session=holiday)
    source.truth = pd.concat([source.truth, copy]).sort_values(["symbol", "session"], ignore_index=True)
    assert ask(store, source, MONDAY, whole=True).appended.held_back == 2
