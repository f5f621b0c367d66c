"""How long a source goes on asking."""

import random

import pytest

from pipeline.errors import BadUpstream, NoData, RateLimited
from pipeline.prices.sources.retry import Failed, Patience


class Asking:
    """Fails some times, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        if self.failures:
            raise self.failures.pop(0)
        return "bars"


def outage() -> Failed:
    return Failed(BadUpstream("down"))


def limit(retry_after: float = 0.0) -> Failed:
    return Failed(RateLimited("slow down"), retry_after)


@pytest.fixture
def slept() -> list[float]:
    return []


def patience(slept: list[float], seed: int = 7, **changes: float) -> Patience:
    return Patience(**{"sleep": slept.append, "timer": lambda: 0.0, "rng": random.Random(seed), **changes})  # type: ignore[arg-type]


def test_asks_once_when_answered(slept: list[float]) -> None:
    assert patience(slept).keep(Asking()) == "bars"
    assert slept == []


def test_asks_again_after_failures(slept: list[float]) -> None:
    asking = Asking(outage(), outage())
    assert patience(slept).keep(asking) == "bars"
    assert asking.times == 3
    assert len(slept) == 2


def test_gives_up_after_so_many_tries(slept: list[float]) -> None:
    asking = Asking(*[outage() for _ in range(9)])
    with pytest.raises(BadUpstream, match=r"down \(asked 3 times\)"):
        patience(slept, tries=3).keep(asking)
    assert asking.times == 3
    assert len(slept) == 2


def test_other_errors_pass_at_once(slept: list[float]) -> None:
    with pytest.raises(NoData):
        patience(slept).keep(Asking(NoData("nothing")))
    assert slept == []


@pytest.mark.parametrize("seed", range(20))
def test_never_waits_beyond_its_budget(slept: list[float], seed: int) -> None:
    shared = patience(slept, seed, seconds=60.0)
    for _ in range(5):
        with pytest.raises(RateLimited):
            shared.keep(Asking(*[limit() for _ in range(9)]))
    assert sum(slept) <= 60
    assert shared.left == pytest.approx(60 - sum(slept))


@pytest.mark.parametrize("seed", range(20))
def test_waits_lie_between_the_floor_and_thrice_the_last(slept: list[float], seed: int) -> None:
    with pytest.raises(BadUpstream):
        patience(slept, seed, seconds=1e6, tries=9).keep(Asking(*[outage() for _ in range(9)]))
    for before, wait in zip([1.0, *slept], slept, strict=False):
        assert 1 <= wait <= min(60, 3 * max(before, 1))


def test_workers_that_fail_together_do_not_come_back_together() -> None:
    waits = []
    for seed in range(50):
        slept: list[float] = []
        patience(slept, seed).keep(Asking(limit(retry_after=10)))
        waits += slept
    assert min(waits) >= 15
    assert len({round(wait, 1) for wait in waits}) > 30


def test_time_lost_in_failed_requests_counts(slept: list[float]) -> None:
    ticks = iter(range(0, 1000, 25))  # each request takes 25 seconds to fail
    shared = patience(slept, timer=lambda: float(next(ticks)), seconds=40.0)
    asking = Asking(*[outage() for _ in range(9)])
    with pytest.raises(BadUpstream, match=r"asked 2 times"):
        shared.keep(asking)
    assert asking.times == 2
