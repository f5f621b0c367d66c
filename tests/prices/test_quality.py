"""The quality rules on made series: each finds what it is for, and lets pass what only looks like it."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.prices.frames import as_bars
from pipeline.prices.quality import Checked, check_bars, gaps, identical_series
from pipeline.prices.sources.files import FilesSource
from pipeline.sessions import Sessions

NEW_YORK, LONDON = Sessions("XNYS"), Sessions("XLON")
PRICES = ["open", "high", "low", "close"]
COUNT = 120


def sessions_of(symbol: str) -> Sessions:
    return LONDON if symbol.endswith(".L") else NEW_YORK


def series(symbol: str = "A", *, seed: int = 1, count: int = COUNT, exchange: Sessions = NEW_YORK) -> pd.DataFrame:
    """A share as shares are: one per cent of noise a day, a range around it, a volume that varies by a third."""
    random = np.random.default_rng(seed)
    days = pd.to_datetime(exchange.between(date(2020, 1, 2), date(2021, 12, 31))[:count])
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    opened = np.append(100, close[:-1]) * np.exp(random.normal(0, 0.003, count))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.004, count)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.004, count)))
    volume = np.round(1e6 * np.exp(random.normal(0, 0.3, count)))
    frame = {"session": days, "open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return as_bars(pd.DataFrame(frame).assign(symbol=symbol))


def scaled(bars: pd.DataFrame, rows: slice | list[int], factor: float, columns: list[str] = PRICES) -> pd.DataFrame:
    other = bars.copy()
    other.loc[rows, columns] *= factor
    return other


def check(bars: pd.DataFrame, known: pd.DataFrame | None = None) -> Checked:
    return check_bars(bars, sessions_of, known=known)


def rows_of(bars: pd.DataFrame, checked: Checked, rule: str, verdict: str = "quarantine") -> list[int]:
    found = checked.verdicts[(checked.verdicts["rule"] == rule) & (checked.verdicts["verdict"] == verdict)]
    return bars.index[bars["session"].isin(found["session"])].tolist()


def notes(checked: Checked) -> list[str]:
    return [note["rule"] for note in checked.notes]


@pytest.mark.parametrize("seed", range(5))
def test_a_share_as_shares_are_raises_nothing(seed: int) -> None:
    checked = check(series(seed=seed))
    assert checked.verdicts.empty
    assert checked.notes == []
    assert checked.counts() == {"accept": COUNT, "warn": 0, "quarantine": 0, "reject": 0}


def test_nothing_is_checked_without_complaint() -> None:
    nothing = series().iloc[:0]
    assert check(nothing).kept.empty
    assert gaps(nothing, sessions_of, lambda _: date(2020, 2, 3)).empty
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


@pytest.mark.parametrize("copied", [PRICES, []])
def test_a_bar_on_a_holiday_is_a_phantom_or_trading_on_no_session(copied: list[str]) -> None:
    bars = series()
    at = bars.index[bars["session"] == "2020-01-17"][0]
    phantom = bars.loc[[at if copied else at + 1]].assign(session=pd.Timestamp("2020-01-20"))
    if not copied:
        bars = bars.drop(index=at + 1)
    checked = check(pd.concat([bars, phantom]))
    assert checked.verdicts["rule"].tolist() == ["phantom" if copied else "no_session"]
    assert checked.verdicts["verdict"].tolist() == ["quarantine"]


@pytest.mark.parametrize("symbol", ["BP", "BP-L"])
def test_a_symbol_on_the_wrong_calendar_is_said_once(symbol: str) -> None:
    bars = series(symbol, exchange=LONDON)
    checked = check(bars)
    assert checked.verdicts.empty
    assert notes(checked) == ["wrong_calendar"]
    assert gaps(bars, sessions_of, lambda _: bars["session"].iloc[-1].date()).empty


def test_another_spelling_is_known_even_where_nothing_is_traded() -> None:
    bars = series("AET-L", exchange=LONDON, count=110)
    bars = bars[bars["session"] >= "2020-05-05"].assign(volume=0.0, open=14.55, high=14.55, low=14.55, close=14.55)
    assert check(bars.reset_index(drop=True)).verdicts.empty


def test_gaps_are_sessions_without_a_bar_by_the_market_of_each_symbol() -> None:
    bars = pd.concat([series().drop(index=10), series("BP.L", exchange=LONDON).drop(index=20)])
    missing = gaps(bars, sessions_of, lambda symbol: series(exchange=sessions_of(symbol))["session"].iloc[-1].date())
    expected = [("A", series()["session"][10]), ("BP.L", series(exchange=LONDON)["session"][20])]
    assert list(zip(missing["symbol"], missing["session"], strict=True)) == expected
    assert set(missing["rule"]) == {"gap"}


def test_weekly_bars_are_said_once_and_still_checked_for_units() -> None:
    weekly = series(count=400).iloc[::5].reset_index(drop=True)
    checked = check(scaled(weekly, [30], 0.01))
    assert rows_of(weekly, checked, "unit") == [30]
    assert notes(checked) == ["not_daily"]
    assert gaps(weekly, sessions_of, lambda _: date(2021, 6, 1)).empty


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


def test_a_split_that_nobody_lists_holds_back_the_two_bars_at_its_seam() -> None:
    bars = scaled(series(), slice(0, 59), 4.0)
    bars.loc[60:, "volume"] *= 4
    bars.loc[60, "open"] = bars.loc[59, "close"] / 4
    bars.loc[60, "high"], bars.loc[60, "low"] = bars.loc[60, PRICES].max(), bars.loc[60, PRICES].min()
    assert rows_of(bars, check(bars), "unlisted_split") == [59, 60]


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


def with_dividends(shares: dict[int, float], told: dict[int, float] | None = None) -> pd.DataFrame:
    """A series that pays `shares` of its price and falls by them; the adjusted close says `told`."""
    bars = series().assign(adjusted_close=np.nan)
    told = shares if told is None else told
    for row, share in sorted(shares.items()):
        bars.loc[row, "dividend"] = bars.loc[row - 1, "close"] * share
        bars.loc[row:, PRICES] *= 1 - share
    factor = np.ones(COUNT)
    for row, share in told.items():
        factor[:row] *= 1 - share
    return bars.assign(adjusted_close=bars["close"] * factor)


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


def test_known_bars_are_context_and_never_judged() -> None:
    bars = scaled(series(), slice(110, COUNT), 0.01)
    checked = check(bars[110:], known=bars[:110])
    assert rows_of(bars, checked, "unit") == list(range(110, COUNT))
    assert len(checked.verdicts) == COUNT - 110
    assert check(series()[110:], known=scaled(series(), [50], 3.0)[:110]).verdicts.empty


def test_a_new_bar_counts_before_a_known_one_of_its_session() -> None:
    bars = series()
    known = scaled(bars, [110, 111], 0.01)
    assert check(bars[110:], known=known).verdicts.empty


def test_identical_series_are_named_and_similar_ones_are_not() -> None:
    one = series("ONE", count=300)
    similar = scaled(one.assign(symbol="LIKE"), slice(None), 1.0)
    similar["close"] *= np.exp(np.random.default_rng(3).normal(0, 1e-4, len(similar)))
    bars = pd.concat([one, one.assign(symbol="TWO"), scaled(one.assign(symbol="TEN"), slice(None), 10.0), similar])
    found = identical_series(bars)
    assert found["symbol"].tolist() == ["ONE", "TEN", "TWO"]
    assert set(found["verdict"]) == {"warn"}
    assert "TWO" in found["detail"][0]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(3)), seed=st.integers(0, 1000), fault=st.integers(0, 3))
def test_neither_the_order_of_rows_nor_other_symbols_change_a_verdict(order: list[int], seed: int, fault: int) -> None:
    parts = [series("A", seed=1), series("B", seed=2), series("C", seed=3)]
    parts[1] = [
        scaled(parts[1], [50], 0.01),
        scaled(parts[1], slice(0, 40), 4.0),
        pd.concat([parts[1], scaled(parts[1], [5], 1.01).iloc[[5]]]),
        parts[1].assign(volume=0.0),
    ][fault]
    shuffled = pd.concat([parts[one] for one in order]).sample(frac=1, random_state=seed)
    together, alone = check(shuffled), check(parts[1])
    pd.testing.assert_frame_equal(check(pd.concat(parts)).verdicts, together.verdicts)
    pd.testing.assert_frame_equal(together.verdicts.reset_index(drop=True), alone.verdicts)
    assert together.notes == alone.notes
    assert len(together.kept) + len(together.held_back) == len(shuffled)


def test_a_bar_in_another_unit_is_held_back_on_its_own_day() -> None:
    bars = scaled(series(), [50], 0.01)
    assert rows_of(bars, check(bars[:51]), "unit") == rows_of(bars, check(bars), "unit") == [50]


@pytest.mark.parametrize("zone", ["-05:00", "+09:00", ""])
def test_hours_are_made_into_days_and_stamps_keep_their_date(tmp_path: Path, zone: str) -> None:
    days = series(count=20)
    hours = pd.concat([days.assign(hour=hour) for hour in (9, 11, 15)]).sample(frac=1, random_state=2)
    stamps = hours["session"] + pd.to_timedelta(hours["hour"], unit="h")
    table = hours.assign(date=stamps.dt.strftime("%Y-%m-%d %H:%M:%S") + zone).drop(columns=["session", "hour"])
    table.to_csv(tmp_path / "hours.csv", index=False)
    source = FilesSource(tmp_path / "hours.csv")
    bars = source.bars(source.symbols(), source.last_session())
    assert bars["session"].tolist() == days["session"].tolist()
    assert bars["volume"].tolist() == (3 * days["volume"]).tolist()
    assert notes(check(bars)) == ["not_daily"]


def test_asking_for_less_of_a_file_changes_nothing_of_it(tmp_path: Path) -> None:
    bars = with_dividends({30: 0.02, 60: 0.1}).rename(columns={"session": "date", "adjusted_close": "adj_close"})
    bars.drop(columns=["dividend", "split_ratio", "currency"]).to_csv(tmp_path / "p.csv", index=False)
    source = FilesSource(tmp_path / "p.csv")
    whole = source.bars(("A",), source.last_session())
    first = whole["session"].iloc[50].date()
    pd.testing.assert_frame_equal(source.bars(("A",), source.last_session(), first), whole[50:].reset_index(drop=True))
