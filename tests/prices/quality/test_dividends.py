"""Rules about dividends."""

import pytest

from tests.prices.quality.made import check, rows_of, with_dividends


def test_dividends_that_all_agree_raise_nothing() -> None:
    assert check(with_dividends({30: 0.02, 60: 0.1, 90: 0.0001})).verdicts.empty


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({}, "dividend_not_adjusted"),
        ({60: 0.0003}, "dividend_unit"),
        ({60: 0.045}, "dividend_mismatch"),
        ({60: 0.03, 80: 0.03}, "dividend_missing"),
    ],
)
def test_an_adjusted_close_that_says_otherwise_is_a_warning(told: dict[int, float], rule: str) -> None:
    bars = with_dividends({60: 0.03}, told)
    checked = check(bars)
    assert checked.verdicts[["verdict", "rule"]].to_numpy().tolist() == [["warn", rule]]
    assert rows_of(bars, checked, rule, "warn") == [80 if 80 in told else 60]


def test_a_dividend_that_the_price_does_not_show_is_held_back() -> None:
    bars = with_dividends({60: 0.002})
    bars.loc[60, "dividend"] *= 100
    assert rows_of(bars, check(bars), "dividend_too_large") == [60]
    assert rows_of(bars, check(bars.drop(columns="adjusted_close")), "dividend_too_large") == [60]


def test_the_same_dividend_twice_is_false_where_the_price_does_not_show_it() -> None:
    bars = with_dividends({60: 0.04}, {59: 0.04, 60: 0.04})
    bars.loc[59, "dividend"] = bars.loc[60, "dividend"]
    assert rows_of(bars, check(bars), "dividend_twice", "warn") == [59]


def test_a_capital_gain_that_the_dividend_contains_is_counted_once() -> None:
    bars = with_dividends({60: 0.08}, {60: 0.15})
    bars["capital_gain"] = 0.0
    bars.loc[60, "capital_gain"] = bars.loc[59, "close"] * 0.07
    assert rows_of(bars, check(bars), "capital_gain_twice", "warn") == [60]
    assert "capital_gain_twice" not in set(check(with_dividends({60: 0.08}).assign(capital_gain=0.0)).verdicts["rule"])
