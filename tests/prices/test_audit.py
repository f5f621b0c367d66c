"""Which symbols get no forecast, and why."""

from datetime import date, timedelta

import pandas as pd
import pytest

from pipeline.prices.store import quarantine
from pipeline.prices.store.quarantine import Decision
from tests.prices.desk import DAYS, Desk, left_out
from tests.prices.scripted import CLOCK


def split_that_nobody_lists(desk: Desk, symbol: str, first: date) -> None:
    """Prices of half the size from a session on, and nothing that says why."""
    halved = dict.fromkeys(["open", "high", "low", "close"], 0.5)
    desk.source.change(symbol, slice(desk.position(first), None), halved)


def test_a_symbol_whose_past_is_on_another_scale_gets_no_forecast_until_somebody_has_looked(desk: Desk) -> None:
    split_that_nobody_lists(desk, "AAA", DAYS[0])
    said = left_out(desk.run(DAYS[4]))
    assert list(said) == ["AAA"]
    assert "unlisted 2:1 split" in said["AAA"]


@pytest.mark.parametrize(("decision", "forecast"), [("released", True), ("confirmed", False)])
def test_a_step_that_was_real_is_released_and_one_that_was_not_stays(
    desk: Desk, decision: Decision, forecast: bool
) -> None:
    split_that_nobody_lists(desk, "AAA", DAYS[0])
    desk.run(DAYS[4])
    held = quarantine.held_back(desk.store.engine, "yahoo", ("AAA",), date.max)
    now = desk.evening(DAYS[4]) + timedelta(hours=1)
    quarantine.decide(desk.store.engine, "yahoo", held["id"].tolist(), decision, now=now, note="")
    assert ("AAA" not in left_out(desk.run(DAYS[5]))) == forecast


def test_a_bad_bar_on_its_own_is_no_step_once_the_next_is_there(desk: Desk) -> None:
    halved = dict.fromkeys(["open", "high", "low", "close"], 0.5)
    at = desk.position(DAYS[2])
    desk.source.change("AAA", slice(at, at + 1), halved)
    for day in DAYS[:5]:
        desk.run(day)
    assert [list(left_out(desk.runs[day][1])) for day in DAYS[:5]] == [[], [], ["AAA"], [], []]
    assert desk.runs[DAYS[4]][1].quarantine == 1
    assert desk.runs[DAYS[4]][1].seams == ()
    desk.replay_all(desk.evening(DAYS[6]))


def test_a_series_a_day_early_gets_no_forecast_and_its_audit_says_why(desk: Desk) -> None:
    truth = desk.source.truth
    early = truth["session"].where(truth["symbol"] != "AAA", truth["session"] - pd.Timedelta(1, unit="D"))
    desk.source.truth = truth.assign(session=early).sort_values(["symbol", "session"], ignore_index=True)
    audit = desk.run(DAYS[0])
    assert "every bar seems to be one day early" in left_out(audit)["AAA"]
    assert [(note.symbol, note.rule) for note in audit.notes] == [("AAA", "shifted")]
    assert audit.reasons[0].rule == "shifted"
    desk.replay_all(desk.evening(DAYS[3]))


def test_a_step_of_long_ago_is_forgotten(desk: Desk) -> None:
    split_that_nobody_lists(desk, "AAA", CLOCK.shift(DAYS[0], -265))
    assert left_out(desk.run(DAYS[0])) == {}
    assert desk.runs[DAYS[0]][1].quarantine == 1


def test_one_of_two_series_that_are_the_same_gets_no_forecast(desk: Desk) -> None:
    truth = desk.source.truth
    twin = truth[truth["symbol"] == "AAA"].assign(symbol="BBB")
    desk.source.truth = pd.concat([truth[truth["symbol"] != "BBB"], twin], ignore_index=True)
    assert left_out(desk.run(DAYS[0])) == {"AAA": "is identical to BBB", "BBB": "is identical to AAA"}
