"""Retries of requests to a source: one budget of seconds for all waits and failed requests.

The waits are drawn as "decorrelated jitter" (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
2015): between a floor and three times the last wait, so that workers that fail together do not retry together.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import RateLimited, SourceError

T = TypeVar("T")

# Seconds. The wait after a rate limit is longer than after another failure.
_FLOOR, _FLOOR_RATE_LIMITED, _CEILING = 1.0, 5.0, 60.0


class Failed(Exception):
    """A request that failed and may be retried; `error` is raised when it may not be."""

    def __init__(self, error: SourceError, retry_after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after  # seconds that the vendor asks to wait


class RetryBudget:
    """A budget shared by all requests of one source, spent on waits and on failed requests."""

    def __init__(
        self,
        *,
        seconds: float = 120.0,
        tries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.seconds = seconds
        self.left = seconds
        self.tries = tries
        self._sleep, self._timer, self._rng = sleep, timer, rng or random.Random()

    def call(self, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, retried after each `Failed` while tries and seconds last.

        Raises the error of the last failure; anything else that `ask` raises passes at once.
        """
        wait = 0.0
        for attempt in range(1, self.tries + 1):
            started = self._timer()
            try:
                return ask()
            except Failed as failure:
                self.left -= self._timer() - started
                wait = self._next_wait(failure, wait)
                if attempt == self.tries or wait > self.left:
                    raise _given_up(failure, attempt) from failure.__cause__
            self.left -= wait
            self._sleep(wait)
        raise AssertionError("a RetryBudget has at least one try")

    def _next_wait(self, failure: Failed, last: float) -> float:
        floor = _FLOOR_RATE_LIMITED if isinstance(failure.error, RateLimited) else _FLOOR
        jittered = min(_CEILING, self._rng.uniform(floor, 3 * max(last, floor)))
        # On top of what the vendor asks for: other clients were given the same number.
        return failure.retry_after + jittered if failure.retry_after else jittered


def _given_up(failure: Failed, tries: int) -> SourceError:
    asked_for = f"; retry after {failure.retry_after:.0f} s" if failure.retry_after else ""
    times = "1 attempt" if tries == 1 else f"{tries} attempts"
    return type(failure.error)(f"{failure.error} ({times}{asked_for})")
