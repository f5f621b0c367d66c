"""One bad bar is held back alone: the good bars before and after it are accepted, wherever it is."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from tests.prices.quality.made import COUNT, PRICES, check, scaled, series

MIDDLE = COUNT // 2
SPLIT = COUNT - 10  # where the series with a split lists it
PLACES = {"split": SPLIT, "first": 0, "second": 1, "middle": MIDDLE, "second-last": COUNT - 2, "last": COUNT - 1}
Spoil = Callable[[pd.DataFrame, int], None]


def times(factor: float, columns: list[str] = PRICES, volume: float = 1.0) -> Spoil:
    def spoil(bars: pd.DataFrame, row: int) -> None:
        bars.loc[row, columns] *= factor
        bars.loc[row, "volume"] *= volume

    return spoil


def put(value: float, columns: list[str] = PRICES) -> Spoil:
    def spoil(bars: pd.DataFrame, row: int) -> None:
        bars.loc[row, columns] = value

    return spoil


def swap(bars: pd.DataFrame, row: int) -> None:
    bars.loc[row, ["high", "low"]] = bars.loc[row, ["low", "high"]].to_numpy(copy=True)


def copy(bars: pd.DataFrame, row: int) -> None:
    bars.loc[row, [*PRICES, "volume"]] = bars.loc[max(row - 1, 0), [*PRICES, "volume"]].to_numpy()


# Whether the bar itself must be held back: what markets do as well is asked about at most.
WAYS: dict[str, tuple[Spoil, bool]] = {
    "ten times": (times(10), True),
    "a tenth": (times(0.1), True),
    "a hundred times": (times(100), True),
    "zero": (put(0), True),
    "negative": (times(-1), True),
    "missing": (put(np.nan), True),
    "no close": (put(np.nan, ["close"]), True),
    "high and low swapped": (swap, True),
    "the day before": (copy, False),
    "a thousand times the volume": (times(1, volume=1000), False),
    "no volume": (times(1, volume=0), False),
    "the decimal of the close": (times(10, ["close"]), True),
    "the decimal of the low": (times(0.1, ["low"]), True),
    "the close outside": (times(1.4, ["close"]), True),
    "half": (times(0.5), True),
    "half on thrice the volume": (times(0.5, volume=3), False),
    "half on half the volume": (times(0.5, volume=0.5), False),
    "twice": (times(2), True),
    "a third": (times(1 / 3), True),
    "a little less": (times(0.8), False),
    "a hundredth": (times(0.01), True),
}


@cache
def sound(kind: str) -> pd.DataFrame:
    bars = series(seed=3)
    if kind == "dividends":
        for row in (MIDDLE - 1, MIDDLE, MIDDLE + 1):
            bars.loc[row, "dividend"] = bars.loc[row - 1, "close"] * 0.03
            bars.loc[row:, PRICES] *= 0.97
    if kind == "split":
        bars = scaled(bars, slice(0, SPLIT - 1), 2.0)
        bars.loc[SPLIT, "split_ratio"] = 2.0
    if kind == "listed split":
        bars = bars.assign(listed_split=1.0)
        bars.loc[COUNT - 4, "listed_split"] = 2.0
    return bars


def held(bars: pd.DataFrame, known: pd.DataFrame | None = None) -> set[pd.Timestamp]:
    return set(check(bars, known).held_back["session"])


@pytest.mark.parametrize("kind", ["plain", "dividends", "split", "listed split"])
def test_the_sound_series_are_believed(kind: str) -> None:
    assert held(sound(kind)) == set()


@pytest.mark.parametrize("kind", ["plain", "dividends", "split", "listed split"])
@pytest.mark.parametrize("way", WAYS)
def test_only_the_bad_bar_is_held_back(way: str, kind: str) -> None:
    spoil, must = WAYS[way]
    wrong = {}
    for place, row in PLACES.items():
        bars = sound(kind).copy()
        spoil(bars, row)
        found, bad = held(bars), bars["session"][row]
        if found - {bad} or (must and not found):
            wrong[place] = sorted(str(day.date()) for day in found)
    assert wrong == {}


@pytest.mark.parametrize("way", ["ten times", "half", "half on thrice the volume", "twice", "a third"])
def test_the_day_after_a_bad_bar_is_believed_day_by_day(way: str) -> None:
    bars = sound("plain").copy()
    WAYS[way][0](bars, MIDDLE)
    before, bad, after = bars[:MIDDLE], bars[MIDDLE : MIDDLE + 1], bars[MIDDLE + 1 : MIDDLE + 2]
    assert held(bad.reset_index(drop=True), before) <= {bars["session"][MIDDLE]}
    assert held(after.reset_index(drop=True), before) == set()  # the bad one was held back
    assert held(after.reset_index(drop=True), bars[: MIDDLE + 1]) == set()  # … or it was stored
