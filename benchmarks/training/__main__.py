"""Training speed against other libraries on the same work: `python -m benchmarks.training --peers PYTHON`.

One process per case, round after round (A B C, A B C), so that other load on the machine affects all of them. Two
threads are measured by wall time, and only in calm rounds. Peers run as shipped, with one thread, and with this
project's memory settings. This project trains in the precision that `PIPELINE_PRECISION=auto` chooses on the machine,
and if that is bf16 also in fp32. The exit status says only whether everything ran.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from benchmarks.measure import environment, run_process
from benchmarks.training import requirements
from benchmarks.training.requirements import BEST, DARTS, FORECAST_TWO, OURS, OURS_TWO, SHIPPED, TUTORIAL, calm

_KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
_ONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_GEMM = """
import json, time, torch
torch.set_num_threads(1)
a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
best = 0.0
for _ in range(20):
    began = time.perf_counter(); a @ b
    best = max(best, 2 * 2048**3 / (time.perf_counter() - began) / 1e9)
print(json.dumps({"gflops": best, "process_cpu_s": time.process_time()}))
"""
_PRECISION = """
import json, time
from benchmarks.training.ours import shape_of
from pipeline.modeling.training.precision import fastest_precision
found = {str(layers): fastest_precision(shape_of("lstm", layers)) for layers in (1, 2)}
print(json.dumps({"found": found, "process_cpu_s": time.process_time()}))
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One program of the comparison. `peer`: whether it needs the peers' environment."""

    name: str
    module: str
    words: tuple[str, ...] = ()
    peer: bool = False
    threads: int = 0  # 0: as shipped
    keeps_memory: bool = False
    chosen: bool = False  # whether it trains in the precision that this project chooses

    def run(self, python: str, layers: int, steps: int, size: Sequence[str], precision: str) -> dict[str, Any]:
        """Run it once and return its sample."""
        chosen = ("--precision", precision) if self.chosen else ()
        command = [python, "-m", f"benchmarks.training.{self.module}", *self.words, *chosen]
        more = {**(_ONE if self.threads == 1 else {}), **(_KEEP if self.keeps_memory else {})}
        found, foreign = run_process([*command, "--layers", str(layers), "--steps", str(steps), *size], more)
        return {"case": self.name, "layers": layers, "foreign": foreign, **found}


_BEST = ("--setting", "best")
CASES = (
    Case(name=OURS, module="ours", chosen=True),
    Case(name=OURS_TWO, module="ours", words=("--threads", "2"), chosen=True),
    Case(name=TUTORIAL, module="tutorial"),
    Case(name=f"{TUTORIAL}, one thread", module="tutorial", threads=1),
    Case(name=SHIPPED, module="neuralforecast_lstm", peer=True),
    Case(name=BEST, module="neuralforecast_lstm", words=_BEST, peer=True),
    Case(
        name=f"{BEST}, one thread, memory kept",
        module="neuralforecast_lstm",
        words=_BEST,
        peer=True,
        threads=1,
        keeps_memory=True,
    ),
    Case(name=DARTS, module="darts_lstm", peer=True),
    Case(name=f"{DARTS}, one thread, memory kept", module="darts_lstm", peer=True, threads=1, keeps_memory=True),
)
_FP32 = (
    Case(name=f"{OURS}, fp32", module="ours"),
    Case(name=f"{OURS_TWO}, fp32", module="ours", words=("--threads", "2")),
)
_FORECAST = (
    Case(name="forecast of 10,000 symbols, one thread", module="ours", words=("--forecast",)),
    Case(name=FORECAST_TWO, module="ours", words=("--forecast", "--threads", "2")),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything and print the tables."""
    given = _parser().parse_args(argv)
    samples: list[dict[str, Any]] = []
    peak, _ = run_process([sys.executable, "-c", _GEMM], _ONE)
    precisions = run_process([sys.executable, "-c", _PRECISION])[0]["found"]
    try:
        samples.extend(_measured(given, {int(layers): found for layers, (found, _) in precisions.items()}))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; these are the samples so far\n")
    sys.stdout.write(as_markdown(samples, peak["gflops"]))
    for layers, (precision, of_fp32) in precisions.items():
        reason = "" if of_fp32 is None else f" (bf16 takes {of_fp32:.2f} of the time)"
        sys.stdout.write(f"chosen for {layers} layers: {precision}{reason}  \n")
    sys.stdout.write(requirements.as_markdown(samples, peak["gflops"]))
    if given.json:
        given.json.write_text(json.dumps({"samples": samples, "gemm": peak, "environment": environment()}, indent=1))
    return 0


def _measured(given: argparse.Namespace, precision: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """Run the cases round after round, the last ones with a busy core, and yield their samples."""
    size = ("--symbols", "40", "--sessions", "400") if given.quick else ()
    many = ("--symbols", "400" if given.quick else "10000")
    steps, rounds = (30, 1) if given.quick else (given.steps, given.rounds)
    for turn in range(rounds):
        for layers in given.layers:
            for case in (*CASES, *(_FP32 if precision[layers] != "fp32" else ())):
                if case.peer and not given.peers:
                    continue
                python = str(given.peers) if case.peer else sys.executable
                sample = {"turn": turn, "load": "none", **case.run(python, layers, steps, size, precision[layers])}
                sys.stderr.write(f"{layers} {case.name}: {sample['step_ms']:.1f} ms a step\n")
                yield sample
        for case in _FORECAST:
            yield {"turn": turn, "load": "none", **case.run(sys.executable, 1, 8, many, "fp32")}
    with _busy_core():
        for case in CASES[:3]:
            yield {"turn": 0, "load": "a busy core", **case.run(sys.executable, 1, steps, size, precision[1])}


def as_markdown(samples: Sequence[dict[str, Any]], gflops: float) -> str:
    """Return the table of medians, with the ratio to this project's step, and what it depends on."""
    lines = [
        "| case | layers | other load | step ms (wall) | step ms (CPU) | times ours | whole s | peak MiB | others |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    keys = list(dict.fromkeys((one["case"], one["layers"], one["load"]) for one in samples))
    for name, layers, load in keys:
        mine = calm([one for one in samples if (one["case"], one["layers"], one["load"]) == (name, layers, load)])
        ours = calm([one for one in samples if (one["case"], one["layers"]) == (CASES[0].name, layers)])
        middle = {key: statistics.median(one[key] for one in mine) for key in _NUMBERS}
        own = [one["step_ms"] for one in ours if one["load"] == "none"]  # none if only two layers were measured
        forecast = name in {case.name for case in _FORECAST}  # its step is one forecast of all symbols
        times = "" if forecast or not own else f"{middle['step_ms'] / statistics.median(own):.2f}"
        lines.append(
            f"| {name} | {layers} | {load} | {middle['step_ms']:.1f} | {middle['step_cpu_ms']:.1f} | {times} "
            f"| {middle['whole_s']:.1f} | {middle['peak_mib']:,.0f} | {middle['foreign']:.0%} |"
        )
    lines += ["", f"fp32 GEMM on one thread: {gflops:.0f} GF/s  "]
    lines += [f"{name}: {value}  " for name, value in environment().items()]
    return "\n".join(lines) + "\n"


_NUMBERS = ("step_ms", "step_cpu_ms", "whole_s", "peak_mib", "foreign")


@contextmanager
def _busy_core() -> Iterator[None]:
    """Keep one core busy within the block."""
    with Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="interpreter with benchmarks/requirements.txt installed"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2], choices=(1, 2))
    parser.add_argument("--quick", action="store_true", help="little data and few steps, to check that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
