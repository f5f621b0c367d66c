"""The share of a run that was work, from times alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.stack.share import Span, Task, merged, not_work, seconds, task_of, without

BEGUN = datetime(2026, 1, 5, 21, 30, tzinfo=UTC)


def at(second: float) -> datetime:
    return BEGUN + timedelta(seconds=second)


def spans(*pairs: tuple[float, float]) -> list[Span]:
    return [(at(start), at(end)) for start, end in pairs]


def line(second: float, event: str) -> dict[str, Any]:
    return {"timestamp": at(second).isoformat(), "event": event}


def task(name: str, *work: tuple[float, float]) -> Task:
    return Task(name=name, start=at(work[0][0]), end=at(work[-1][1]), work=tuple(spans(*work)), imports_s=0)


def test_overlapping_work_counts_once() -> None:
    assert merged(spans((3, 5), (0, 2), (1, 2.5), (5, 6))) == spans((0, 2.5), (3, 6))
    assert seconds(spans((0, 2), (1, 3), (7, 8))) == 4
    assert seconds([]) == 0


@pytest.mark.parametrize(
    ("holes", "left"),
    [
        ([], [(0, 10)]),
        ([(2, 3), (5, 6)], [(0, 2), (3, 5), (6, 10)]),
        ([(-1, 1), (9, 12)], [(1, 9)]),
        ([(0, 10)], []),
        ([(11, 12)], [(0, 10)]),
    ],
)
def test_imports_do_not_count_as_work(holes: list[tuple[float, float]], left: list[tuple[float, float]]) -> None:
    assert without(spans((0, 10)), spans(*holes)) == spans(*left)


def test_work_is_read_from_the_log() -> None:
    instance = {"task_id": "train", "start_date": at(0).isoformat(), "end_date": at(21).isoformat()}
    log = [
        {"event": "::group::Log message source details", "sources": []},
        line(2, "imported _dag_common in 0.500 s"),
        line(9, "imported torch in 4.000 s"),
        line(15, "epoch 1"),
        line(20, "worked for 16.0 s"),
    ]
    found = task_of(instance, log)
    assert found.work == tuple(spans((4, 5), (9, 20)))
    assert found.work_s == 12
    assert found.imports_s == 4.5
    with pytest.raises(ValueError, match="the log of train does not say"):
        task_of(instance, log[:-1])


def test_time_in_which_no_task_works_is_not_work() -> None:
    both = [task("ingest", (2, 6)), task("ingest", (4, 8)), task("train", (10, 18))]
    assert not_work(both, at(0), at(20)) == pytest.approx(6 / 20)
    assert not_work([], at(0), at(20)) == 1
