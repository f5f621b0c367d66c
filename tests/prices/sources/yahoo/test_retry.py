"""How long a source goes on asking."""

import random

import pytest

from pipeline.errors import BadUpstream, NoData, RateLimited
from pipeline.prices.sources.retry import Failed, RetryBudget


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


def retry(slept: list[float], seed: int = 7, **changes: float) -> RetryBudget:
    return RetryBudget(**{"sleep": slept.append, "timer": lambda: 0.0, "rng": random.Random(seed), **changes})  # type: ignore[arg-type]


def test_asks_once_when_answered(slept: list[float]) -> None:
    assert retry(slept).call(Asking()) == "bars"
    assert slept == []


def test_asks_again_after_failures(slept: list[float]) -> None:
    asking = Asking(outage(), outage())
    assert retry(slept).call(asking) == "bars"
    assert asking.times == 3
    assert len(slept) == 2


def test_gives_up_after_so_many_tries(slept: list[float]) -> None:
    asking = Asking(*[outage() for _ in range(9)])
    with pytest.raises(BadUpstream, match=r"down \(3 attempts\)"):
        retry(slept, tries=3).call(asking)
    assert asking.times == 3
    assert len(slept) == 2


def test_other_errors_pass_at_once(slept: list[float]) -> None:
    with pytest.raises(NoData):
        retry(slept).call(Asking(NoData("nothing")))
    assert slept == []


@pytest.mark.parametrize("seed", range(20))
def test_never_waits_beyond_its_budget(slept: list[float], seed: int) -> None:
    shared = retry(slept, seed, seconds=60.0)
    for _ in range(5):
        with pytest.raises(RateLimited):
            shared.call(Asking(*[limit() for _ in range(9)]))
    assert sum(slept) <= 60
    assert shared.left == pytest.approx(60 - sum(slept))


@pytest.mark.parametrize("seed", range(20))
def test_waits_lie_between_the_floor_and_thrice_the_last(slept: list[float], seed: int) -> None:
    with pytest.raises(BadUpstream):
        retry(slept, seed, seconds=1e6, tries=9).call(Asking(*[outage() for _ in range(9)]))
    for before, wait in zip([1.0, *slept], slept, strict=False):
        assert 1 <= wait <= min(60, 3 * max(before, 1))


def test_workers_that_fail_together_do_not_come_back_together() -> None:
    waits = []
    for seed in range(50):
        slept: list[float] = []
        retry(slept, seed).call(Asking(limit(retry_after=10)))
        waits += slept
    assert min(waits) >= 15
    assert len({round(wait, 1) for wait in waits}) > 30


def test_time_lost_in_failed_requests_counts(slept: list[float]) -> None:
    ticks = iter(range(0, 1000, 25))  # each request takes 25 seconds to fail
    shared = retry(slept, timer=lambda: float(next(ticks)), seconds=40.0)
    asking = Asking(*[outage() for _ in range(9)])
    with pytest.raises(BadUpstream, match=r"2 attempts"):
        shared.call(asking)
    assert asking.times == 2
