"""An edition refuses what nobody may publish, and hands out the rest in one order."""

from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest

from pipeline.forecast_schema import BASELINE_FAMILIES, BASELINES, COLUMNS, ESTIMATED, LAST_SESSION
from pipeline.publishing.edition import Edition
from pipeline.publishing.formatting import model_name


def test_forecasts_come_in_one_order_whatever_order_they_were_made_in(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    shuffled = make_forecasts().sample(frac=1, random_state=1)
    edition = make_edition(forecasts=shuffled)
    pd.testing.assert_frame_equal(edition.table, make_edition().table)
    assert list(edition.table.columns) == [*COLUMNS, LAST_SESSION, ESTIMATED]
    assert edition.symbols == ["AAPL", "EURUSD=X", "^GSPC"]
    assert edition.targets == [date(2013, 3, 4), date(2013, 3, 5)]


def test_dates_may_come_as_timestamps(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    frame = make_forecasts()
    stamped = frame.assign(as_of=pd.to_datetime(frame["as_of"]), target_session=pd.to_datetime(frame["target_session"]))
    pd.testing.assert_frame_equal(make_edition(forecasts=stamped).table, make_edition().table)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda frame: frame.iloc[:0], "no forecast at all"),
        (lambda frame: frame.drop(columns="q0.5"), r"lack the columns q0\.5"),
        (lambda frame: frame.assign(last_close=float("nan")), "not finite prices"),
        (lambda frame: frame.assign(**{"q0.05": -1.0}), "not finite prices"),
        (lambda frame: frame.assign(**{"q0.05": 1e6}), "cross"),
        (lambda frame: pd.concat([frame, frame]), "occur twice"),
        (lambda frame: frame.assign(as_of=date(2013, 2, 28)), "are not of 2013-03-01"),
    ],
)
def test_what_nobody_may_publish_is_refused(
    make_edition: Callable[..., Edition],
    make_forecasts: Callable[..., pd.DataFrame],
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    complaint: str,
) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_edition(forecasts=spoil(make_forecasts()))


def test_a_fan_gives_the_ranges_of_its_symbol(make_edition: Callable[..., Edition]) -> None:
    fan = make_edition().fans[0]
    assert fan.symbol == "AAPL"
    low, high = fan.range(80, 1)
    assert low < fan.last_close < high
    assert fan.range(90, -1)[0] < fan.range(90, 1)[0]
    assert fan.sessions[-1] == date(2013, 3, 1)


def test_a_baseline_is_not_drawn_beside_itself(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    published = make_forecasts(model="ewma_historical", version="ab12")
    decision = {"model": "ewma_historical", "model_version": "ab12", "best_baseline": "ewma_historical"}
    edition = make_edition(forecasts=published, decision=decision)
    assert all(fan.baseline_HQ is None for fan in edition.fans)
    assert all(fan.baseline_HQ is not None for fan in make_edition().fans)


def test_a_symbol_without_history_has_a_fan_all_the_same(make_edition: Callable[..., Edition]) -> None:
    edition = make_edition()
    without = make_edition(history=edition.history[edition.history["symbol"] != "AAPL"])
    assert [len(fan.sessions) for fan in without.fans] == [0, 80, 80]


def test_every_baseline_that_is_made_is_known_as_one_and_has_a_name_for_people() -> None:
    assert {name for family in BASELINE_FAMILIES.values() for name in family} == set(BASELINES)
    assert all(model_name(name) != name for name in BASELINES)
