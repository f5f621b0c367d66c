"""A network abstains for symbols that it cannot forecast."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.evaluation.abstention import STALE_SESSIONS, abstentions
from pipeline.modeling.data.features import make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from tests.prices.quality.made import series

NAMES = ("A", "B", "C")
DAY = date(2020, 6, 1)


def bars(stale: int = 0) -> pd.DataFrame:
    parts = [series(name, seed=at) for at, name in enumerate(NAMES)]
    if stale:
        prices = ["open", "high", "low", "close"]
        parts[1].loc[len(parts[1]) - stale :, prices] = parts[1]["close"].iloc[-stale - 1]
    return pd.concat(parts, ignore_index=True)


def record(symbol: str, inside: list[bool], *, in_time: bool = True) -> pd.DataFrame:
    days = [DAY + timedelta(days=at // 3) for at in range(len(inside))]
    rows = {"symbol": symbol, "target_session": days, "in_time": in_time, "crps_bp": 50.0, "baseline_crps_bp": 50.0}
    return pd.DataFrame(rows).assign(**{f"inside_{name}": np.array(inside, int) for name in (50, 80, 90)})


def quiet(stale: int = 0, trained_on: tuple[str, ...] = NAMES, kept: pd.DataFrame | None = None) -> dict[str, str]:
    nothing = record("A", [])
    return abstentions(make_features(panel_from_bars(bars(stale))), trained_on, nothing if kept is None else kept)


def test_there_is_no_reason_to_keep_quiet_about_ordinary_symbols() -> None:
    assert quiet(kept=record("A", [True] * 81 + [False] * 9)) == {}


def test_a_price_that_does_not_move_is_stale() -> None:
    assert list(quiet(stale=STALE_SESSIONS)) == ["B"]
    assert quiet(stale=STALE_SESSIONS - 1) == {}


def test_the_network_abstains_for_a_symbol_it_was_not_trained_on() -> None:
    assert list(quiet(trained_on=("A", "B"))) == ["C"]


def test_ranges_that_hold_too_little_or_too_much_are_out_of_bounds() -> None:
    narrow = quiet(kept=record("A", [True] * 60 + [False] * 30))
    assert narrow == {"A": "its 90 % ranges contained 67 % of the closes of the last 30 sessions"}
    assert list(quiet(kept=record("A", [True] * 90))) == ["A"]


def test_a_handful_of_forecasts_and_replays_prove_nothing() -> None:
    assert quiet(kept=record("A", [False] * 30)) == {}
    assert quiet(kept=record("A", [False] * 90, in_time=False)) == {}
