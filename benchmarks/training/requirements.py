"""Requirements on training speed and their measurements: ratios round by round, and their median.

The floors are what a prototype reached on two cores with bf16 matrix instructions (AMX), two threads each, without
other load; they are measured here in the same way.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import CALM

OURS, OURS_TWO = "this project, one thread", "this project, two threads"
SHIPPED, BEST, DARTS = "neuralforecast as shipped", "neuralforecast, 4 series a step", "darts as shipped"
TUTORIAL = "tutorial loop"
FORECAST_TWO = "forecast of 10,000 symbols, two threads"
# Multiplications and additions of one step of one layer, forward and backward: three times those of the forward pass.
_STEP_GFLOP = 3 * 2 * 256 * 60 * 4 * 64 * (64 + 5) / 1e9
Samples = Sequence[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A number with a floor and a target; `most` if lower is better."""

    name: str
    floor: float
    target: float
    measured: Callable[[Samples, float], float | None]
    most: bool = False

    def line(self, samples: Samples, gflops: float) -> str:
        """Return its row of the table."""
        value = self.measured(samples, gflops)
        if value is None:
            return f"| {self.name} | {self.floor:g} | {self.target:g} | not measured | |"
        reached = [limit for limit in (self.floor, self.target) if (value <= limit if self.most else value >= limit)]
        met = ("no", "floor", "target")[len(reached)]
        return f"| {self.name} | {self.floor:g} | {self.target:g} | {value:.2f} | {met} |"


def as_markdown(samples: Samples, gflops: float) -> str:
    """Return the table of requirements."""
    lines = ["", "| one layer | floor | target | measured | met |", "|---|--:|--:|--:|---|"]
    return "\n".join(lines + [one.line(samples, gflops) for one in ASKED]) + "\n"


def calm(samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the samples taken while other processes used little of the machine; all if there are none."""
    return [one for one in samples if one["foreign"] <= CALM] or list(samples)


def ratio(samples: Samples, peer: str, ours: str, key: str) -> float | None:
    """Return the median over the rounds of a peer's number over ours, one layer, no other load; None without both."""
    found = []
    for turn in sorted({one["turn"] for one in samples}):
        mine, other = (_of([one for one in samples if one["turn"] == turn], name) for name in (ours, peer))
        if mine and other:
            found.append((max(mine[0]["foreign"], other[0]["foreign"]), other[0][key] / mine[0][key]))
    kept = [value for foreign, value in found if foreign <= CALM] or [value for _, value in found]
    return statistics.median(kept) if kept else None


def _of(samples: Samples, case: str) -> list[dict[str, Any]]:
    return [one for one in samples if (one["case"], one["layers"], one["load"]) == (case, 1, "none")]


def _median(samples: Samples, case: str, key: str) -> float | None:
    mine = calm(_of(samples, case))
    return statistics.median(one[key] for one in mine) if mine else None


def _times(peer: str, key: str) -> Callable[[Samples, float], float | None]:
    return lambda samples, _: ratio(samples, peer, OURS_TWO, key)


def _share_of_peak(samples: Samples, gflops: float) -> float | None:
    step_ms = _median(samples, OURS, "step_cpu_ms")
    return None if step_ms is None else 100 * _STEP_GFLOP / (step_ms / 1000) / gflops


def _forecast_s(samples: Samples, _: float) -> float | None:
    step_ms = _median(samples, FORECAST_TWO, "step_ms")
    return None if step_ms is None else step_ms / 1000


ASKED = (
    Asked(name=f"step: times faster than {SHIPPED}", floor=6.5, target=8, measured=_times(SHIPPED, "step_ms")),
    Asked(name=f"step: than {BEST}", floor=2.6, target=3.5, measured=_times(BEST, "step_ms")),
    Asked(name=f"step: than {DARTS}", floor=2.7, target=3.5, measured=_times(DARTS, "step_ms")),
    Asked(name=f"step: than the {TUTORIAL}", floor=2.3, target=3, measured=_times(TUTORIAL, "step_ms")),
    Asked(name=f"whole process: than {SHIPPED}", floor=4.8, target=6, measured=_times(SHIPPED, "whole_s")),
    Asked(name=f"whole process: than {DARTS}", floor=2.5, target=3, measured=_times(DARTS, "whole_s")),
    Asked(
        name="peak memory, MiB",
        floor=460,
        target=400,
        measured=lambda samples, _: _median(samples, OURS, "peak_mib"),
        most=True,
    ),
    Asked(name="forecast of 10,000 symbols, s", floor=0.27, target=0.2, measured=_forecast_s, most=True),
    Asked(name="share of the fp32 GEMM peak, one thread, %", floor=52, target=60, measured=_share_of_peak),
)
