"""Reports on the axes of a panel: on which session each counts, and at which sessions it is known."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.modeling.data.features import Features, make_features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import REVEALED, Reports, report_days
from tests.modeling.data.calendars import calendar_frame
from tests.prices.quality.made import series

SESSIONS = Sessions("XNYS")
CLOCK = MarketClock()


def panel_of(*frames: pd.DataFrame) -> Panel:
    return panel_from_bars(pd.concat(frames, ignore_index=True), sessions=SESSIONS)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(series("A"), series("B", seed=2))


def reports_of(panel: Panel, *rows: dict[str, Any]) -> Reports:
    return report_days(panel, calendar_frame(rows), lambda _: SESSIONS)


def known(panel: Panel, **row: Any) -> list[int]:
    """Return the session indices at which the only report is known."""
    reports = reports_of(panel, {"symbol": "A", **row})
    assert len(reports) == 1
    return [t for t in range(panel.last + 1) if reports.known_at(np.array([t]))[0]]


def complete(panel: Panel, t: int) -> datetime:
    return SESSIONS.complete_at(panel.day(0, t)).replace(tzinfo=None)


def test_a_report_counts_on_its_session_and_one_on_a_closed_day_on_the_next(panel: Panel) -> None:
    days = [panel.day(0, 40), date(2020, 1, 4), date(2020, 1, 5), date(2020, 1, 20)]  # a weekend; Martin Luther King
    reports = reports_of(panel, *({"symbol": "A", "day": day} for day in days))
    assert [panel.day(0, t) for t in reports.t_E] == [date(2020, 1, 6)] * 2 + [date(2020, 1, 21), panel.day(0, 40)]


def test_reports_before_the_first_session_or_beyond_the_coming_ones_are_left_out(panel: Panel) -> None:
    coming = panel.coming_MK[0].tolist()
    reports = reports_of(
        panel,
        *({"symbol": "A", "day": day} for day in (panel.day(0, 0) - timedelta(days=1), coming[0], coming[-1])),
        {"symbol": "A", "day": coming[-1] + timedelta(days=1)},
    )
    assert list(reports.t_E) == [panel.last + 1, panel.last + 5]
    without = panel_from_bars(series("A"))
    assert not len(report_days(without, calendar_frame([{"symbol": "A", "day": coming[0]}]), lambda _: SESSIONS))


def test_other_kinds_other_symbols_and_an_empty_calendar_give_no_report(panel: Panel) -> None:
    day = panel.day(0, 30)
    assert not len(reports_of(panel))
    assert not len(
        reports_of(
            panel,
            {"symbol": "A", "day": day, "kind": "ex_dividend"},
            {"symbol": "", "day": day, "kind": "central_bank"},
            {"symbol": "C", "day": day},
        )
    )


@pytest.mark.parametrize(
    ("time", "own", "following"),
    [("unknown", True, True), ("before_open", True, False), ("after_close", False, True)],
)
def test_the_time_of_day_says_which_sessions_it_moves(panel: Panel, time: str, own: bool, following: bool) -> None:
    reports = reports_of(panel, {"symbol": "A", "day": panel.day(0, 30), "time": time})
    assert (reports.moves_own_E.tolist(), reports.moves_next_E.tolist()) == ([own], [following])


def test_a_report_of_which_the_day_alone_is_known_is_known_five_sessions_ahead(panel: Panel) -> None:
    assert REVEALED == 5
    assert known(panel, day=panel.day(0, 60)) == list(range(55, panel.last + 1))


@pytest.mark.parametrize(("after", "first"), [(timedelta(0), 57), (timedelta(seconds=-1), 56)])
def test_an_announced_report_is_known_from_the_session_that_was_complete_then(
    panel: Panel, after: timedelta, first: int
) -> None:
    assert known(panel, day=panel.day(0, 60), known_from=complete(panel, 57) + after)[0] == first


def test_a_report_announced_long_before_is_known_five_sessions_ahead_and_one_announced_afterwards_then(
    panel: Panel,
) -> None:
    day = panel.day(0, 60)
    assert known(panel, day=day, known_from=datetime(2010, 1, 1))[0] == 55
    assert known(panel, day=day, known_from=complete(panel, 70))[0] == 70


def test_a_cancelled_report_is_known_until_then(panel: Panel) -> None:
    until = complete(panel, 58) + timedelta(hours=3)
    assert known(panel, day=panel.day(0, 60), known_until=until) == [55, 56, 57]


@pytest.mark.parametrize("axis", ["with the sessions to come", "without"])
def test_what_is_announced_or_cancelled_after_the_last_session_changes_nothing(panel: Panel, axis: str) -> None:
    one = panel if axis == "with the sessions to come" else panel_from_bars(series("A"))
    day, later = one.day(0, one.last - 1), datetime(2026, 1, 5, tzinfo=UTC).replace(tzinfo=None)
    assert known(one, day=day, known_from=later) == []
    assert known(one, day=day, known_until=later) == known(one, day=day)


def features_of(panel: Panel, *rows: dict[str, Any]) -> Features:
    return make_features(panel, reports_of(panel, *rows))


def seen(features: Features, t: int) -> list[bytes]:
    """What a network may read at each session up to t, and what its targets are divided by."""
    s_N, t_N = np.nonzero(features.usable_ST[:, : t + 1])
    spread_NH = features.spread(s_N, t_N, 5, ("scheduled_volatility",))
    return [features.x_STF[:, : t + 1].tobytes(), spread_NH.tobytes()]


def test_a_report_that_is_moved_is_seen_on_its_first_day_until_then_and_on_the_other_afterwards(panel: Panel) -> None:
    past = [{"symbol": "A", "day": panel.day(0, t)} for t in (30, 45)]
    moved_at = complete(panel, 78)
    first = {"symbol": "A", "day": panel.day(0, 80)}
    other = {"symbol": "A", "day": panel.day(0, 82), "known_from": moved_at}
    never_moved, only_other = features_of(panel, *past, first), features_of(panel, *past, other)
    moved = features_of(panel, *past, {**first, "known_until": moved_at}, other)
    assert seen(moved, 77) == seen(never_moved, 77) != seen(only_other, 77)
    after = (np.array([0]), np.array([78]), 5, ("scheduled_volatility",))
    assert moved.spread(*after).tobytes() == only_other.spread(*after).tobytes()
    assert not moved.of(("reported_today",))[0, 80, 0]
    assert moved.of(("reported_today",))[0, 82, 0]


def test_what_becomes_known_later_changes_nothing_before(panel: Panel) -> None:
    past = [{"symbol": name, "day": panel.day(0, t)} for name, t in (("A", 30), ("A", 60), ("B", 61))]
    later = [
        {"symbol": "A", "day": panel.day(0, t), "known_from": complete(panel, 75) + timedelta(hours=1)}
        for t in (40, 76, 77, 90)
    ]
    plain, poisoned = features_of(panel, *past), features_of(panel, *past, *later)
    assert seen(plain, 74) == seen(poisoned, 74)
    assert seen(plain, 75) != seen(poisoned, 75)
    cancelled = [{**row, "known_until": complete(panel, 75)} for row in past]
    assert seen(features_of(panel, *cancelled), 74) == seen(plain, 74)


def test_each_market_has_its_own_axis() -> None:
    london = Sessions("XLON")
    bars = pd.concat([series("A", count=100), series("B.L", count=60, exchange=london)], ignore_index=True)
    last = bars["session"].max().date()
    bars = bars[(bars["session"] <= pd.Timestamp(last))]
    panel = panel_from_bars(bars, CLOCK.at(last))
    assert panel.days_MT.shape[0] == 2
    day = date(2020, 3, 12)
    reports = report_days(
        panel, calendar_frame({"symbol": name, "day": day} for name in panel.symbols), CLOCK.sessions_of
    )
    assert [panel.day(s, t) for s, t in zip(reports.s_E, reports.t_E, strict=True)] == [day, day]
    assert reports.since_E.tolist() == (reports.t_E - REVEALED).tolist()
    first = int(np.isnat(panel.dates_MX[panel.market_S[1]]).sum())
    before = calendar_frame([{"symbol": "B.L", "day": panel.day(1, first) - timedelta(days=1)}])
    assert not len(report_days(panel, before, CLOCK.sessions_of))
