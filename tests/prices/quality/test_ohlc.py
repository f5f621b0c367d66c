"""Rules about one bar alone: its four prices, its order, its volume."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.prices.quality import gaps, identical_series
from tests.prices.quality.made import (
    CLOCK,
    COUNT,
    PRICES,
    check,
    notes,
    rows_of,
    scaled,
    series,
)


@pytest.mark.parametrize("seed", range(5))
def test_a_share_as_shares_are_raises_nothing(seed: int) -> None:
    checked = check(series(seed=seed))
    assert checked.verdicts.empty
    assert checked.notes == []
    assert checked.counts() == {"accept": COUNT, "warn": 0, "quarantine": 0, "reject": 0}


def test_nothing_is_checked_without_complaint() -> None:
    nothing = series().iloc[:0]
    assert check(nothing).kept.empty
    assert gaps(nothing, CLOCK.at(date(2020, 2, 3))).empty
    assert identical_series(nothing).empty


@pytest.mark.parametrize(
    ("column", "factor", "verdict"),
    [("close", 1.0005, None), ("close", 1.012, "warn"), ("close", 1.08, "quarantine"), ("open", 0.9, "quarantine")],
)
def test_a_price_outside_its_range_is_judged_by_how_far(column: str, factor: float, verdict: str | None) -> None:
    bars = series()
    bars.loc[50, ["open", "low", "close"]] = bars.loc[50, "high"]
    bars.loc[50, "low"] *= 0.999
    found = check(scaled(bars, [50], factor, [column])).verdicts
    assert found["verdict"].tolist() == ([verdict] if verdict else [])


def test_a_close_that_is_often_a_little_outside_is_said_once() -> None:
    bars = series()
    bars.loc[::10, "close"] = bars.loc[::10, "high"] * 1.005
    checked = check(bars)
    assert checked.verdicts.empty
    assert notes(checked) == ["outside_range"]


@pytest.mark.parametrize(("cross", "verdict"), [(1.0005, None), (1.003, "warn"), (1.02, "quarantine")])
def test_a_high_below_the_low_is_judged_by_how_far(cross: float, verdict: str | None) -> None:
    bars = series()
    bars.loc[50, PRICES] = 100.0
    bars.loc[50, "low"] *= cross
    found = check(bars).verdicts
    assert found["verdict"].tolist() == ([verdict] if verdict else [])


def test_a_row_without_prices_is_held_back_and_nothing_is_filled_in() -> None:
    bars = series()
    bars.loc[COUNT - 1, PRICES] = np.nan
    checked = check(bars)
    assert rows_of(bars, checked, "missing_price") == [COUNT - 1]
    assert len(checked.kept) == COUNT - 1


def test_what_cannot_be_a_price_is_rejected() -> None:
    assert check(scaled(series(), [7], -1.0)).counts()["reject"] == 1


def test_the_same_bar_twice_is_one_and_two_different_are_none() -> None:
    bars = series()
    assert len(check(pd.concat([bars, bars.iloc[[4]]])).kept) == COUNT
    different = check(pd.concat([bars, scaled(bars, [4], 1.01).iloc[[4]]]))
    assert len(different.kept) == COUNT - 1
    assert set(different.verdicts["rule"]) == {"duplicate"}


def test_a_halt_is_kept_and_said_once() -> None:
    bars = series()
    bars.loc[60:80, PRICES] = bars.loc[59, "close"]
    bars.loc[60:80, "volume"] = 0.0
    checked = check(bars)
    assert rows_of(bars, checked, "no_volume", "warn") == [60]
    assert len(checked.kept) == COUNT


def test_a_fund_without_volume_is_said_once() -> None:
    checked = check(series().assign(volume=0.0))
    assert checked.verdicts.empty
    assert notes(checked) == ["no_volume"]
