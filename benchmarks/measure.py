"""Run cases in separate processes and summarise them: medians, ratios, requirements, tables."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("numpy", "pandas", "pyarrow", "sqlalchemy", "adbc-driver-sqlite", "adbc-driver-postgresql")
# Timings of two threads count only while other processes use at most this share of the machine.
CALM = 0.15
# The size that the requirement on read speed applies to.
_AT_SCALE = 10_000
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "sha_ni")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one case."""

    case: str
    symbols: int
    turn: int
    wall_s: float
    cpu_s: float
    peak_mib: int
    before_mib: int  # peak of the process before the case began: imports, an open database
    foreign: float  # share of the machine's CPU time that other processes used
    rows: int
    found: dict[str, Any]  # what else the case reports


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A requirement and its measurement; `met` is None for a number without a limit."""

    name: str
    asked: str
    measured: str
    met: bool | None


class Samples:
    """All samples."""

    def __init__(self) -> None:
        self.all: list[Sample] = []

    def of(self, case: str, symbols: int, *, calm: bool = False) -> list[Sample]:
        """Return the runs of a case at one size; with `calm` those on a quiet machine, if there are any."""
        mine = [one for one in self.all if (one.case, one.symbols) == (case, symbols)]
        return ([one for one in mine if one.foreign <= CALM] if calm else []) or mine

    def median(self, case: str, symbols: int, name: str = "cpu_s", *, calm: bool = False) -> float:
        """Return the median of a number over the rounds; NaN if the case did not run."""
        found = [float(getattr(one, name)) for one in self.of(case, symbols, calm=calm)]
        return statistics.median(found) if found else float("nan")

    def each(self, case: str, symbols: int, name: str = "cpu_s") -> float:
        """Return the median per symbol."""
        return self.median(case, symbols, name) / symbols

    def ratio(self, above: str, below: str, symbols: int) -> float:
        """Return the wall time of one case over that of another, of their calm runs.

        It is the median of the ratios within a round, or the ratio of the medians if the rounds differ.
        """
        over = {one.turn: one.wall_s for one in self.of(above, symbols, calm=True)}
        under = {one.turn: one.wall_s for one in self.of(below, symbols, calm=True)}
        if over.keys() == under.keys():
            return statistics.median(over[turn] / under[turn] for turn in over)
        return statistics.median(over.values()) / statistics.median(under.values())

    def cases(self) -> list[tuple[str, int]]:
        """Return the cases and sizes that ran, in order."""
        return list(dict.fromkeys((one.case, one.symbols) for one in self.all))


def run_case(case: str, *, symbols: int, turn: int, arguments: Sequence[str]) -> Sample:
    """Run one case of the store and return its sample. Raises RuntimeError with the end of its output if it fails."""
    command = [sys.executable, "-m", "benchmarks.prices", case, "--symbols", str(symbols), "--turn", str(turn)]
    found, foreign = run_process([*command, *arguments])
    del found["whole_s"]  # a case times its own part
    known = {name: found.pop(name) for name in ("wall_s", "cpu_s", "peak_mib", "before_mib", "rows")}
    return Sample(case=case, symbols=symbols, turn=turn, foreign=foreign, found=found, **known)


def run_process(command: Sequence[str], more: Mapping[str, str] | None = None) -> tuple[dict[str, Any], float]:
    """Run a program whose last line is JSON; return that, and the share of the machine that other processes used.

    `whole_s`, the wall time of the process including imports, is added. `more` are environment variables. Raises
    RuntimeError with the end of its output if it fails.
    """
    before, began = _busy_s(), time.perf_counter()
    environment = {**os.environ, **(more or {})}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    busy, whole_s = _busy_s() - before, time.perf_counter() - began
    foreign = max(0.0, busy - found.pop("process_cpu_s")) / (whole_s * (os.cpu_count() or 1))
    return {**found, "whole_s": whole_s}, foreign


def environment() -> dict[str, str]:
    """Return what the numbers depend on: processor, memory, system, versions."""
    return {
        "cpu": f"{_cpu('model name')}, {os.cpu_count()} cores",
        "flags": " ".join(flag for flag in _FLAGS if flag in _cpu("flags").split()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)]
        ),
    }


def requirements(samples: Samples, sizes: Sequence[int]) -> list[Requirement]:
    """Return the requirements on the store and their measurements; one thread by CPU time, two by wall time.

    Wall times are those of calm rounds, if there are any.
    """
    found = []
    small, large = min(sizes), max(sizes)
    for case in ("append", "day") if small != large else ():
        ratio = samples.each(case, large) / samples.each(case, small)
        found.append(
            _requirement(f"{case}: CPU per symbol, {large:,} to {small:,}", "at most 1.5", ratio, ratio <= 1.5)
        )
    for size in sizes:
        peer = min(("core", "read_sql"), key=lambda one: samples.median(one, size, "wall_s", calm=True))
        ratio = samples.ratio(peer, "read", size)
        name = f"as-of read into a snapshot, {size:,}: times faster than `{peer}` (wall)"
        asked = size >= _AT_SCALE  # with few symbols, opening and closing dominates
        found.append(_requirement(name, "at least 8" if asked else "", ratio, ratio >= 8 if asked else None))
        ratio = samples.ratio("lean", "read", size)
        found.append(_requirement(f"the same against `lean`, {size:,}", "", ratio, None))
        peak = max(one.peak_mib for one in samples.of("read", size))
        found.append(_requirement(f"its peak memory, {size:,}, MiB", "below 4,096", peak, peak < 4096))
    if small != large:
        ratio = samples.each("read", large) / samples.each("read", small)
        found.append(
            _requirement(f"as-of read: CPU per symbol, {large:,} to {small:,}", "at most 1.5", ratio, ratio <= 1.5)
        )
    for size in sizes:
        for name, target in (("cpu_s", "at least 100"), ("wall_s", "")):
            ratio = samples.median("load", size, name) / samples.median("unchanged", size, name)
            title = f"first load to an unchanged day, {size:,} ({name.removesuffix('_s')})"
            found.append(_requirement(title, target, ratio, ratio >= 100 if target else None))
        rate = samples.median("load", size, "rows") / samples.median("load", size, "wall_s")
        found.append(_requirement(f"first load, {size:,}: bars per second (wall)", "", rate, None))
    return found


def as_markdown(samples: Samples, judged: Sequence[Requirement], about: dict[str, str]) -> str:
    """Return two tables and the environment. `others` is the share of the machine that other processes used."""
    lines = [
        "| case | symbols | rounds | bars | wall s | CPU s | µs a bar (wall) | ms a symbol (CPU) | peak MiB | others |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(_line(samples, case, symbols) for case, symbols in samples.cases()),
        "",
        "| requirement | asked | measured | met |",
        "|---|---|--:|---|",
        *(f"| {one.name} | {one.asked} | {one.measured} | {_MET[one.met]} |" for one in judged),
        "",
        *(f"{name}: {value}  " for name, value in about.items()),
    ]
    return "\n".join(lines) + "\n"


def as_json(samples: Samples, judged: Sequence[Requirement], about: dict[str, str]) -> str:
    """Return every sample as JSON."""
    content = {
        "environment": about,
        "samples": [asdict(one) for one in samples.all],
        "requirements": [asdict(one) for one in judged],
    }
    return json.dumps(content, indent=1) + "\n"


_MET = {True: "met", False: "**not met**", None: ""}


def _requirement(name: str, asked: str, measured: float, met: bool | None) -> Requirement:
    shown = f"{measured:,.0f}" if measured >= 1000 else f"{measured:.2f}"
    return Requirement(name=name, asked=asked, measured=shown, met=met)


def _line(samples: Samples, case: str, symbols: int) -> str:
    mine = samples.of(case, symbols)
    wall, cpu = samples.median(case, symbols, "wall_s"), samples.median(case, symbols)
    rows, foreign = samples.median(case, symbols, "rows"), samples.median(case, symbols, "foreign")
    each = f"{wall / rows * 1e6:.2f}" if rows else ""
    peak = max(one.peak_mib for one in mine)
    return (
        f"| {case} | {symbols:,} | {len(mine)} | {rows:,.0f} | {wall:.3f} | {cpu:.3f} | {each} "
        f"| {cpu / symbols * 1e3:.3f} | {peak:,} | {foreign:.0%} |"
    )


def _busy_s() -> float:
    """CPU seconds of the whole machine since it started; 0 if the system does not report them."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    busy = sum(map(int, first[:3])) + sum(map(int, first[5:8]))  # not idle, not waiting for a disk
    return busy / os.sysconf("SC_CLK_TCK")


def _cpu(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
