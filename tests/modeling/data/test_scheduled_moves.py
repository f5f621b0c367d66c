"""The volatility of scheduled reports, against a reference in plain Python, and what it may not depend on."""

import math
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.forecast_schema import EVENT_INPUTS, INPUTS, SCHEDULED
from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.modeling.data.features import Features, make_features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import Reports, report_days
from pipeline.modeling.data.scheduled_moves import ScheduledMoves, scheduled_moves
from tests.modeling.data.calendars import calendar_frame
from tests.prices.quality.made import series

SESSIONS = Sessions("XNYS")
AHEAD, HORIZON = 5, 6
NEVER = np.iinfo(np.int64).max


def made_reports(rows: list[tuple[int, int, int, int, str]]) -> Reports:
    """Reports from rows of symbol, session, known from, known until, time."""
    s_E, t_E, since_E, until_E = (np.array([row[at] for row in rows], np.int64) for at in range(4))
    time = np.array([row[4] for row in rows])
    order = np.lexsort((since_E, t_E, s_E))
    return Reports(
        s_E=s_E[order], t_E=t_E[order], since_E=since_E[order], until_E=until_E[order],
        moves_own_E=(time != "after_close")[order], moves_next_E=(time != "before_open")[order],
    )  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Moves and volatilities of four symbols, with gaps, and reports of all kinds; the last symbol has none."""
    rng = np.random.default_rng(7)
    own_ST = rng.standard_t(3, (4, 900)) * 0.01
    before_ST = 0.01 * np.exp(rng.normal(0, 0.4, (4, 900)))
    scale_ST = before_ST * np.exp(rng.normal(0, 0.1, (4, 900)))
    before_ST[:, :20], scale_ST[:, :20] = np.nan, np.nan
    for gone in ((0, 300), (1, 301), (2, 302)):
        own_ST[gone], scale_ST[gone] = np.nan, np.nan
    rows = []
    for s in range(3):
        for t in range(10 + s, 906, 45 + 3 * s):
            time = ("unknown", "before_open", "after_close")[int(rng.integers(3))]
            since = t - 5 if rng.random() < 0.6 else t - int(rng.integers(-2, 12))
            until = NEVER if rng.random() < 0.8 else t + int(rng.integers(-3, 4))
            rows.append((s, t, since, until, time))
            if until != NEVER and until <= t:
                rows.append((s, t + 2, until, NEVER, "unknown"))
    return {"own_ST": own_ST, "before_ST": before_ST, "scale_ST": scale_ST, "rows": rows}


def reference(made: dict[str, Any], s: int, t: int) -> dict[str, Any]:
    """What is known at one session of one symbol, from the definition."""
    own_T, before_T = made["own_ST"][s], made["before_ST"][s]
    mine = sorted((row[1:] for row in made["rows"] if row[0] == s), key=lambda row: row[:2])
    reports = [(at, since, until, (time != "after_close", time != "before_open")) for at, since, until, time in mine]

    def excess(lag: int) -> float:
        moves = [
            (abs(own_T[at + lag]), before_T[at + lag])
            for at, since, until, moved in reports
            if moved[lag] and at + lag <= t and since <= at + lag < until
            if math.isfinite(own_T[at + lag]) and before_T[at + lag] > 0
        ][-8:]
        weight = len(moves) + 3
        relative = (sum(min(move / before, 6.0) for move, before in moves) + 6.0) / weight
        raw = sum(min(move, 10 * before) for move, before in moves) / made["scale_ST"][s, t]
        as_it_was = min(((raw if math.isfinite(raw) else 0.0) + 6.0) / weight, 10.0)
        return max(((relative + as_it_was) / 2 / 0.8) ** 2 - 1, 0.0)

    known = [(at, moved) for at, since, until, moved in reports if since <= t < until]
    return {
        "today": any(at == t and moved[0] for at, moved in known),
        "yesterday": any(at == t - 1 and moved[1] for at, moved in known),
        "calendar": any(at - 5 <= t <= at + 100 for at, moved in known),
        "excess_K": [
            excess(0) * any(at == t + k and moved[0] for at, moved in known)
            + excess(1) * any(at == t + k - 1 and moved[1] for at, moved in known)
            for k in range(1, AHEAD + 1)
        ],
    }


def found(made: dict[str, Any]) -> ScheduledMoves:
    return scheduled_moves(made_reports(made["rows"]), made["own_ST"], made["before_ST"], made["scale_ST"])


def test_every_value_is_that_of_the_definition(made: dict[str, Any]) -> None:
    moves, (symbols, sessions) = found(made), made["own_ST"].shape
    assert moves.excess_STK.shape == (symbols, sessions, AHEAD)
    assert np.count_nonzero(moves.excess_STK) > 300
    for s in range(symbols):
        for t in range(sessions):
            slow = reference(made, s, t)
            assert moves.reported_today_ST[s, t] == slow["today"], (s, t)
            assert moves.reported_yesterday_ST[s, t] == slow["yesterday"], (s, t)
            assert moves.calendar_ST[s, t] == slow["calendar"], (s, t)
            np.testing.assert_allclose(moves.excess_STK[s, t], slow["excess_K"], rtol=1e-5, err_msg=f"{s}, {t}")


def test_the_spread_is_the_volatility_over_the_steps_relative_to_one_without_reports(made: dict[str, Any]) -> None:
    moves = found(made)
    s_N, t_N = (at_N[::50] for at_N in moves.excess_STK.any(axis=2).nonzero())
    for s, t, spread_H in zip(s_N, t_N, moves.spread(s_N, t_N, HORIZON), strict=True):
        excess_K = [*reference(made, s, t)["excess_K"], 0.0]
        expected_H = [math.sqrt((h + sum(excess_K[:h])) / h) for h in range(1, HORIZON + 1)]
        np.testing.assert_allclose(spread_H, expected_H, rtol=1e-6)


def test_numbers_of_a_symbol_do_not_depend_on_reports_of_others(made: dict[str, Any]) -> None:
    alone = {**made, "rows": [row for row in made["rows"] if row[0] == 1]}
    one, other = found(made), found(alone)
    assert one.excess_STK[1].tobytes() == other.excess_STK[1].tobytes()
    assert one.calendar_ST[1].tobytes() == other.calendar_ST[1].tobytes()
    assert not other.excess_STK[0].any()


def test_later_moves_and_later_reports_change_nothing_before(made: dict[str, Any]) -> None:
    cut = 500
    arrays = ("own_ST", "before_ST", "scale_ST")
    poisoned = {
        **{name: np.where(np.arange(900) > cut, made[name] * 50, made[name]) for name in arrays},
        "rows": [row for row in made["rows"] if row[2] <= cut] + [(0, cut + 3, cut + 1, NEVER, "unknown")],
    }  # fmt: skip
    one, other = found(made), found(poisoned)
    for name in ("reported_today_ST", "reported_yesterday_ST", "calendar_ST", "excess_STK"):
        assert getattr(one, name)[:, : cut + 1].tobytes() == getattr(other, name)[:, : cut + 1].tobytes(), name
    assert one.excess_STK[:, cut + 1 :].tobytes() != other.excess_STK[:, cut + 1 :].tobytes()


@pytest.mark.parametrize(
    ("time", "steps"),
    [("before_open", [2]), ("after_close", [3]), ("unknown", [2, 3])],
)
def test_a_report_affects_its_session_the_next_one_or_either(time: str, steps: list[int]) -> None:
    ones_ST = np.full((1, 60), 0.01)
    moves = scheduled_moves(made_reports([(0, 50, 45, NEVER, time)]), ones_ST, ones_ST, ones_ST)
    assert [k + 1 for k in np.flatnonzero(moves.excess_STK[0, 48])] == steps
    assert bool(moves.reported_today_ST[0, 50]) == (time != "after_close")
    assert bool(moves.reported_yesterday_ST[0, 51]) == (time != "before_open")
    assert moves.reported_today_ST.sum() + moves.reported_yesterday_ST.sum() == len(steps)


def test_a_symbol_that_always_moves_more_has_a_wider_range_ahead() -> None:
    small_ST, large_ST = np.full((1, 600), 0.01), np.full((1, 600), 0.01)
    rows = [(0, t, t - 5, NEVER, "unknown") for t in range(40, 600, 60)]
    for _, t, *_ in rows:
        large_ST[0, t : t + 2] = 0.06
    scale_ST = np.full((1, 600), 0.01)
    spreads = [
        scheduled_moves(made_reports(rows), own_ST, scale_ST, scale_ST).spread(np.array([0]), np.array([579]), 1)[0, 0]
        for own_ST in (small_ST, large_ST)
    ]
    assert 1 < spreads[0] < spreads[1] < 7.5


# On a panel


def panel_of(*symbols: str) -> Panel:
    bars = [series(name, seed=at, count=250) for at, name in enumerate(symbols)]
    return panel_from_bars(pd.concat(bars, ignore_index=True), sessions=SESSIONS)


def features_of(panel: Panel, days: dict[str, list[int]]) -> Features:
    rows = [{"symbol": name, "day": panel.dates_MX[0, t].astype(object)} for name, at in days.items() for t in at]
    return make_features(panel, report_days(panel, calendar_frame(rows), lambda _: SESSIONS))


def test_without_a_calendar_every_bit_is_as_before_there_were_reports() -> None:
    panel = panel_of("A", "B")
    plain, empty, stated = make_features(panel), features_of(panel, {}), features_of(panel, {"A": [60, 120, 249]})
    assert plain.x_STF.tobytes() == empty.x_STF.tobytes()
    assert plain.usable_ST.tobytes() == stated.usable_ST.tobytes()
    past = tuple(name for name in plain.names if name not in EVENT_INPUTS)
    assert plain.of(past).tobytes() == stated.of(past).tobytes()
    flags = tuple(name for name in plain.names if name in EVENT_INPUTS)
    assert not plain.of(flags).any()
    assert stated.of(flags)[0].any()
    assert not stated.of(flags)[1].any()
    s_N, t_N = plain.usable_ST.nonzero()
    root_H = np.sqrt(np.arange(1, HORIZON + 1))
    for features, inputs in ((plain, INPUTS), (empty, INPUTS), (stated, ("return",))):
        spread_NH = features.spread(s_N, t_N, HORIZON, inputs)
        assert spread_NH.tobytes() == (features.scale_ST[s_N, t_N][:, None] * root_H).tobytes()
    with_reports_NH = stated.spread(s_N, t_N, HORIZON, INPUTS)
    assert with_reports_NH[s_N == 1].tobytes() == plain.spread(s_N, t_N, HORIZON, INPUTS)[s_N == 1].tobytes()
    assert (with_reports_NH[s_N == 0] > plain.spread(s_N, t_N, HORIZON, INPUTS)[s_N == 0]).any()


def test_a_report_after_the_last_session_is_ahead_of_it() -> None:
    panel = panel_of("A")
    last, origin = panel.last, (np.array([0]), np.array([panel.last]))
    known, beyond = features_of(panel, {"A": [100, last + 4]}), features_of(panel, {"A": [100]})
    ratio_H = (known.spread(*origin, HORIZON, (SCHEDULED,)) / beyond.spread(*origin, HORIZON, (SCHEDULED,)))[0]
    assert (ratio_H[:3] == 1).all()
    assert (ratio_H[3:] > 1).all()
    assert known.windows_with_reports(*origin) == 1
    assert beyond.windows_with_reports(*origin) == 0


def test_half_days_and_days_without_trading_come_from_the_calendar() -> None:
    panel = panel_of("A")
    features = make_features(panel)

    def ahead(day: date) -> list[float]:
        t = int(np.flatnonzero(panel.days_MT[0] == np.datetime64(day))[0])
        return features.ahead(("days_to_next_session", "half_day_next"))[0, t].tolist()

    assert ahead(date(2020, 11, 24)) == [0, 0]
    assert ahead(date(2020, 11, 25)) == [1, 1]  # Thanksgiving, and the half day after it
    assert ahead(date(2020, 11, 27)) == [2, 0]  # a weekend
    assert ahead(date(2020, 1, 17)) == [3, 0]  # a weekend and Martin Luther King Day
    assert ahead(date(2020, 12, 23)) == [0, 1]  # Christmas Eve
    assert ahead(date(2020, 12, 24)) == [3, 0]
    last = panel.day(0, panel.last)
    assert ahead(last) == [(SESSIONS.shift(last, 1) - last).days - 1, 0]
    assert not make_features(panel_from_bars(series("A"))).ahead(("days_to_next_session", "half_day_next")).any()


def test_the_sessions_to_come_are_those_of_each_market() -> None:
    """On 2020-11-25 New York is about to close for a day, and London is not."""
    last = date(2020, 11, 25)
    bars = pd.concat([series("A", count=250), series("B.L", count=250, exchange=Sessions("XLON"))], ignore_index=True)
    bars = bars[bars["session"] <= pd.Timestamp(last)]
    features = make_features(panel_from_bars(bars, MarketClock().at(last)))
    ahead_SA = features.ahead(("days_to_next_session", "half_day_next"))[:, -1]
    assert ahead_SA.tolist() == [[1, 1], [0, 0]]
