"""A replay of a past session reads what its own run read, whatever came later: bars, releases, corrections, splits."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import BadUpstream, NoData
from pipeline.market.clock import MarketClock
from pipeline.prices.store import quarantine
from pipeline.prices.store.asof import AsOf
from tests.prices.desk import DAYS, FIRST, NAMES, Desk, left_out
from tests.prices.scripted import CLOCK


def months_later() -> datetime:
    return datetime(2020, 6, 1, tzinfo=UTC)


def test_a_bar_that_came_late_is_as_late_in_the_replay(desk: Desk) -> None:
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    said = left_out(desk.run(DAYS[1]))
    assert said == {"AAA": f"has no bar for {DAYS[1]}; its last is for {DAYS[0]}"}
    back()
    assert left_out(desk.run(DAYS[2])) == {}
    assert (
        len(CLOCK.between(FIRST, DAYS[2])) * len(NAMES)
        == AsOf(desk.store.engine, "yahoo", NAMES, MarketClock().at(DAYS[2])).bars().shape[0]
    )
    desk.replay_all(months_later())


def test_a_bar_that_came_before_the_next_session_counts(desk: Desk) -> None:
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    desk.run(DAYS[1])
    back()
    now = desk.evening(DAYS[1]) + timedelta(hours=2)
    desk.ingest(DAYS[1], now)
    digest, audit = desk.look(DAYS[1], now)
    assert left_out(audit) == {}
    assert digest != desk.runs[DAYS[1]][0]
    desk.runs[DAYS[1]] = digest, audit
    desk.run(DAYS[2])
    desk.replay_all(months_later())


def test_a_bar_that_was_held_and_released_later_stays_held_in_the_replay(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[1])
    good = desk.source.truth.copy()
    rows = desk.source.truth.index[desk.source.truth["symbol"] == "AAA"][at : at + 1]
    desk.source.truth.loc[rows, "close"] = np.nan
    assert "quarantine" in left_out(desk.run(DAYS[1]))["AAA"]
    desk.source.truth = good
    desk.run(DAYS[2])
    held = quarantine.held_back(desk.store.engine, "yahoo", (), date.max)
    assert held["status"].tolist() == ["settled"]
    desk.replay_all(months_later())


def test_a_doubtful_correction_and_its_release_count_from_then_on(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[0]) - 2
    desk.source.change("BBB", slice(at, at + 1), 1.3)
    assert desk.run(DAYS[1]).quarantine == 1
    held = quarantine.held_back(desk.store.engine, "yahoo", (), date.max)
    now = desk.evening(DAYS[2]) - timedelta(minutes=1)
    quarantine.decide(desk.store.engine, "yahoo", held["id"].tolist(), "released", now=now, note="it was so")
    audit = desk.run(DAYS[2])
    assert (audit.quarantine, audit.released) == (0, 1)
    desk.replay_all(months_later())


def test_corrections_splits_and_warnings_count_from_when_they_came(desk: Desk) -> None:
    desk.run(DAYS[0])
    at = desk.position(DAYS[1])
    jump = {"open": 1.6, "high": 1.6, "low": 1.6, "close": 1.6, "volume": 20.0}
    desk.source.change("CCC", slice(at, None), jump)
    assert [one.rule for one in desk.run(DAYS[1]).problems] == ["jump"]
    desk.source.change("CCC", slice(at, at + 1), 1.02)
    desk.source.split("BBB", 2.0)
    desk.run(DAYS[2])
    desk.source.split("CCC", 3.0)
    desk.run(DAYS[3])
    desk.run(DAYS[4])
    desk.replay_all(months_later())


def test_a_symbol_that_nobody_knew_then_is_not_known_in_the_replay(desk: Desk) -> None:
    new = desk.source.truth[desk.source.truth["symbol"] == "CCC"]
    desk.source.truth = desk.source.truth[desk.source.truth["symbol"] != "CCC"].reset_index(drop=True)
    assert "nobody knows CCC" in left_out(desk.run(DAYS[0]))["CCC"]
    desk.source.truth = pd.concat([desk.source.truth, new], ignore_index=True)
    desk.run(DAYS[1])
    desk.replay_all(months_later())


def test_a_session_that_nobody_ran_on_is_read_as_it_is_known_now(desk: Desk) -> None:
    """The machine was off for some days: what it missed is there for a backfill, and labelled."""
    desk.run(DAYS[0])
    desk.run(DAYS[4])
    digest, audit = desk.look(DAYS[2], months_later())
    assert left_out(audit) == {}
    assert audit.reconstructed == 2 * len(NAMES)
    at = desk.position(DAYS[2])
    desk.source.change("AAA", slice(at - 3, at + 1), 1.02)
    desk.run(DAYS[5])
    desk.replay_all(months_later())
    corrected = AsOf(desk.store.engine, "yahoo", ("AAA",), MarketClock().at(DAYS[2]))
    changed = corrected.bars()["close"].to_numpy()[-4:] / desk.source.truth["close"].to_numpy()[at - 3 : at + 1]
    # What was known in time stays, what was not is the newest there is.
    assert changed.round(6).tolist() == [round(1 / 1.02, 6), round(1 / 1.02, 6), 1.0, 1.0]
    assert desk.look(DAYS[2], months_later())[0] != digest


def test_a_symbol_that_was_added_later_has_a_past_too(desk: Desk) -> None:
    desk.ingest(DAYS[0], desk.evening(DAYS[0]), ("AAA",))
    desk.ingest(DAYS[3], desk.evening(DAYS[3]))
    _, audit = desk.look(DAYS[0], months_later())
    assert left_out(audit) == {}
    assert audit.reconstructed == 2 * len(CLOCK.between(FIRST, DAYS[0]))


@pytest.mark.parametrize("error", [NoData("not yet"), BadUpstream("500")])
def test_what_is_asked_for_again_is_no_miss(desk: Desk, error: Exception) -> None:
    """A task that fails and is tried again did not go on; if it never came through, nobody had a forecast."""
    desk.run(DAYS[0])
    back = desk.missing("AAA", DAYS[1])
    if isinstance(error, BadUpstream):
        desk.source.errors["AAA"] = error
    with pytest.raises(type(error)):
        desk.ingest(DAYS[1], desk.evening(DAYS[1]), last_try=False)
    desk.source.errors.clear()
    back()
    desk.ingest(DAYS[1], months_later())
    _, audit = desk.look(DAYS[1], months_later())
    assert left_out(audit) == {}
