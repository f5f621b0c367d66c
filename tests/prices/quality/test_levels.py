"""Rules about the level of prices: units, splits half applied, spikes, jumps, another company."""

import pandas as pd
import pytest

from tests.prices.quality.made import COUNT, PRICES, check, notes, rows_of, scaled, series


@pytest.mark.parametrize("factor", [100.0, 0.01])
@pytest.mark.parametrize("rows", [[50], list(range(40, 70)), [20, 50, 51, 90]])
def test_bars_in_another_unit_are_held_back_and_no_others(factor: float, rows: list[int]) -> None:
    bars = scaled(series(), rows, factor)
    assert rows_of(bars, check(bars), "unit") == rows


def test_a_unit_that_switched_long_ago_holds_back_the_older_bars() -> None:
    bars = scaled(series(), slice(0, 69), 100.0)
    checked = check(bars)
    assert rows_of(bars, checked, "unit") == list(range(70))
    assert rows_of(bars, checked, "unit", "warn") == [70]


def test_a_unit_that_switched_only_now_holds_back_the_new_bars() -> None:
    bars = scaled(series(), slice(COUNT - 3, COUNT), 0.01)
    assert rows_of(bars, check(bars), "unit") == [COUNT - 3, COUNT - 2, COUNT - 1]


@pytest.mark.parametrize("columns", [["close"], ["low", "close"], ["high"]])
def test_single_fields_in_another_unit_are_found(columns: list[str]) -> None:
    bars = scaled(series(), [50], 100.0 if columns == ["high"] else 0.01, columns)
    assert rows_of(bars, check(bars), "unit") == [50]


@pytest.mark.parametrize("factor", [0.5, 1.3, 0.8])
def test_a_bar_that_goes_and_comes_back_is_held_back(factor: float) -> None:
    bars = scaled(series(), [50], factor)
    assert rows_of(bars, check(bars), "spike") == [50]


def test_a_crash_and_its_recovery_on_heavy_volume_are_the_market() -> None:
    bars = scaled(series(), [50], 0.8)
    bars.loc[[50, 51], "volume"] *= 12
    assert check(bars).counts()["quarantine"] == 0


@pytest.mark.parametrize("ratio", [5.0, 2.0, 0.1])
def test_history_on_the_old_side_of_a_listed_split_is_held_back(ratio: float) -> None:
    bars = scaled(series(), slice(0, 58), ratio).assign(listed_split=1.0)
    bars.loc[60, "listed_split"] = ratio  # listed a day later than the prices step
    assert rows_of(bars, check(bars), "split") == list(range(59))


def test_a_bar_on_the_other_side_of_a_listed_split_is_held_back() -> None:
    bars = scaled(series(), [55], 0.47).assign(listed_split=1.0)
    bars.loc[60, "listed_split"] = 0.47
    assert rows_of(bars, check(bars), "split") == [55]


def test_a_split_that_the_prices_contain_raises_nothing() -> None:
    applied = series().assign(listed_split=1.0)
    applied.loc[60, "listed_split"] = 4.0
    assert check(applied).verdicts.empty
    raw = scaled(series(), slice(0, 59), 4.0)
    raw.loc[60, "split_ratio"] = 4.0
    assert check(raw).verdicts.empty


def test_a_split_that_nobody_lists_holds_back_the_bar_behind_it() -> None:
    bars = scaled(series(), slice(0, 59), 4.0)
    bars.loc[60:, "volume"] *= 4
    bars.loc[60, "open"] = bars.loc[59, "close"] / 4
    bars.loc[60, "high"], bars.loc[60, "low"] = bars.loc[60, PRICES].max(), bars.loc[60, PRICES].min()
    assert rows_of(bars, check(bars), "unlisted_split") == [60]


@pytest.mark.parametrize("factor", [1.62, 0.46, 1.87])
def test_a_genuine_jump_is_a_question_and_no_more(factor: float) -> None:
    bars = scaled(series(), slice(60, COUNT), factor)
    bars.loc[60, "volume"] *= 15
    checked = check(bars)
    assert checked.verdicts[["verdict", "rule"]].to_numpy().tolist() == [["warn", "jump"]]
    assert rows_of(bars, checked, "jump", "warn") == [60]


def test_a_fall_over_night_on_an_ordinary_day_is_asked_about() -> None:
    bars = scaled(series(), slice(60, COUNT), 0.78)
    assert rows_of(bars, check(bars), "unadjusted", "warn") == [60]


def test_a_ticker_that_is_another_company_now() -> None:
    bars = series(count=400)
    bars = scaled(pd.concat([bars.iloc[:100], bars.iloc[220:]], ignore_index=True), slice(100, 400), 6.0)
    checked = check(bars)
    assert rows_of(bars, checked, "reused") == [100]
    assert "reused" in notes(checked)
    assert rows_of(bars, check(bars[100:], known=bars[:100]), "reused") == bars.index[100:].tolist()


def test_a_bar_in_another_unit_is_held_back_on_its_own_day() -> None:
    bars = scaled(series(), [50], 0.01)
    assert rows_of(bars, check(bars[:51]), "unit") == rows_of(bars, check(bars), "unit") == [50]
