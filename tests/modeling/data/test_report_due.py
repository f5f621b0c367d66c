"""Which sessions a scheduled report may move, as known at the session before: by its time of day, and never later."""

import numpy as np
import pytest

from pipeline.modeling.data.report_days import Reports
from pipeline.modeling.data.scheduled_moves import ScheduledMoves, scheduled_moves

SESSIONS = 40
NEVER = np.iinfo(np.int64).max


def moves(
    session: int, *, own: bool = True, following: bool = True, since: int = 0, until: int = NEVER
) -> ScheduledMoves:
    """One report of the first of two symbols."""
    reports = Reports(
        s_E=np.array([0]), t_E=np.array([session]), since_E=np.array([since]), until_E=np.array([until]),
        moves_own_E=np.array([own]), moves_next_E=np.array([following]),
    )  # fmt: skip
    flat_ST = np.full((2, SESSIONS), 0.01)
    return scheduled_moves(reports, flat_ST, flat_ST, flat_ST)


def due(found: ScheduledMoves) -> list[int]:
    assert not found.next_session_ST[1].any()  # of the other symbol
    return np.flatnonzero(found.next_session_ST[0]).tolist()


@pytest.mark.parametrize(
    ("own", "following", "expected"),
    [
        (True, True, [19, 20]),  # the time is not stated
        (True, False, [19]),  # before the open: it moves its own session
        (False, True, [20]),  # after the close: it moves the next one
    ],
)
def test_the_time_of_a_report_says_which_session_it_may_move(own: bool, following: bool, expected: list[int]) -> None:
    assert due(moves(20, own=own, following=following)) == expected


def test_a_report_counts_from_when_it_is_announced_until_it_is_cancelled() -> None:
    assert due(moves(20, since=20)) == [20]
    assert due(moves(20, since=21)) == []
    assert due(moves(20, until=20)) == [19]
    assert due(moves(20, until=19)) == []


def test_a_report_after_the_last_session_is_due_there() -> None:
    assert due(moves(SESSIONS)) == [SESSIONS - 1]
    assert due(moves(SESSIONS - 1)) == [SESSIONS - 2, SESSIONS - 1]


def test_the_size_of_past_moves_does_not_decide() -> None:
    found = moves(20)
    small = scheduled_moves(
        Reports(
            s_E=np.array([0, 0]), t_E=np.array([5, 20]), since_E=np.array([0, 0]), until_E=np.array([NEVER, NEVER]),
            moves_own_E=np.array([True, True]), moves_next_E=np.array([True, True]),
        ),
        np.zeros((2, SESSIONS)), np.full((2, SESSIONS), 0.01), np.full((2, SESSIONS), 0.01),
    )  # fmt: skip
    assert small.excess_STK[0, 19, 0] < found.excess_STK[0, 19, 0]
    assert due(small) == [4, 5, 19, 20]
