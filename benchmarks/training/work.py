"""The work that all cases do, and its clock. Also imported in the peers' environment, which has only numpy.

500 symbols of 2,500 sessions with five inputs, of which the first is the return that is forecast: 5 steps ahead, 5
quantiles. A step of training is 256 windows of 60 sessions through an LSTM of width 64.

Legend: S symbols, T sessions, F inputs.
"""

import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SYMBOLS, SESSIONS, INPUTS = 500, 2500, 5
CONTEXT, HORIZON, HIDDEN, WINDOWS = 60, 5, 64, 256
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SEED = 20_260_102
_WARM_UP = 20  # steps that do not count: caches fill, kernels are chosen


def made(symbols: int = SYMBOLS, sessions: int = SESSIONS) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return the inputs, (S, T, F): returns with changing volatility, and four more such series."""
    rng = np.random.default_rng(SEED)
    level = np.cumsum(rng.normal(0, 0.05, (symbols, sessions)), axis=1)
    scale = np.exp(0.5 * np.tanh(level))
    values = rng.standard_t(5, (symbols, sessions, INPUTS))
    values *= scale[..., None]
    return values.astype(np.float32)


@dataclass
class Clock:
    """When each step ended, in wall time and in CPU time of this process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def tick(self) -> None:
        """Note that a step has ended."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def report(self, **more: Any) -> None:
        """Print the measurements: medians of a step, CPU time of the process, peak memory."""
        found = {
            "step_ms": _median_ms(self.wall),
            "step_cpu_ms": _median_ms(self.cpu),
            "steps": len(self.wall),
            "process_cpu_s": time.process_time(),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "threads": os.environ.get("OMP_NUM_THREADS", "as shipped"),
            **more,
        }
        sys.stdout.write(json.dumps(found) + "\n")


def _median_ms(moments: list[float]) -> float:
    steps = np.diff(moments[min(_WARM_UP, len(moments) // 2) :])
    return 1000 * statistics.median(steps.tolist()) if len(steps) else float("nan")
