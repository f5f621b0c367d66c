"""The context of a bar: known bars, other symbols, the order of rows."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.prices.quality import identical_series
from tests.prices.quality.made import COUNT, check, rows_of, scaled, series


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
