"""Inputs from earlier quarters: a spike shows one quarter later, for its symbol alone, and not before."""

import numpy as np
import pytest

from pipeline.modeling.data.earnings_cycle import around_earlier_quarters
from pipeline.modeling.data.panel import Array

SYMBOLS, SESSIONS = 3, 700
SPIKE = 100  # the session of a wild move of symbol 1
USUAL = {5: 1.06, 9: 1.34}


def quiet() -> Array:
    return np.full((SYMBOLS, SESSIONS), 0.8)


def slow(own_ST: Array, first: int, last: int) -> Array:
    """Naive computation: the largest move of each quarter within the slack, less the typical one."""
    out_ST = np.zeros_like(own_ST)
    for s, t in np.ndindex(out_ST.shape):
        for quarter in range(1, 9):
            places = range(t + first - 63 * quarter - 2, t + last - 63 * quarter + 3)
            moves = [min(abs(own_ST[s, at]), 6.0) for at in places if 0 <= at < SESSIONS and np.isfinite(own_ST[s, at])]
            if moves and t + (first + last) // 2 - 63 * quarter >= 0:
                out_ST[s, t] += (max(moves) - USUAL[len(places)]) / 8
    return out_ST


def test_it_is_the_largest_own_move_around_the_same_session_of_eight_quarters() -> None:
    own_ST = np.random.default_rng(1).normal(0, 2, (SYMBOLS, SESSIONS))
    own_ST[0, 200:230] = np.nan
    next_ST, ahead_ST = around_earlier_quarters(own_ST)
    np.testing.assert_allclose(next_ST, slow(own_ST, 1, 1))
    np.testing.assert_allclose(ahead_ST, slow(own_ST, 1, 5))


def test_a_spike_is_seen_a_quarter_later_and_by_its_symbol_alone() -> None:
    spiked = quiet()
    spiked[1, SPIKE] = -5.0
    for before, after in zip(around_earlier_quarters(quiet()), around_earlier_quarters(spiked), strict=True):
        moved_ST = after != before
        assert not moved_ST[[0, 2]].any()
        assert not moved_ST[1, : SPIKE + 50].any()
        assert moved_ST[1, SPIKE + 63 - 1]
        assert moved_ST[1, SPIKE + 8 * 63 - 1]


def test_a_missing_bar_counts_as_typical_and_a_short_history_gives_zero() -> None:
    gap = quiet()
    gap[0, 50:90] = np.nan
    assert all(np.isfinite(found).all() for found in around_earlier_quarters(gap))
    assert not around_earlier_quarters(np.full((2, 30), 3.0))[0].any()
    assert around_earlier_quarters(np.empty((2, 0)))[1].shape == (2, 0)


@pytest.mark.parametrize("session", [80, 170, 699])
def test_it_does_not_depend_on_later_sessions(session: int) -> None:
    own_ST = np.random.default_rng(2).normal(size=(SYMBOLS, SESSIONS))
    poisoned = own_ST.copy()
    poisoned[:, session + 1 :] = 1e6
    for clean, other in zip(around_earlier_quarters(own_ST), around_earlier_quarters(poisoned), strict=True):
        assert clean[:, : session + 1].tobytes() == other[:, : session + 1].tobytes()
