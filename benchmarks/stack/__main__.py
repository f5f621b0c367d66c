"""A daily run of many symbols through docker-compose.yml's stack: `python -m benchmarks.stack --symbols 500`.

The first run loads ten years, the next ones are ordinary days, which the requirement applies to. Prices are synthetic,
in a file that the source `files` reads. Measured are a run's wall time, the share of it that is not work (see `share`),
and the peak memory of each service. The exit status says only whether everything ran.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from benchmarks.market import Market
from benchmarks.measure import environment
from benchmarks.stack.compose import DAG, Stack, engine
from benchmarks.stack.share import Task, moment, not_work, task_of

SESSIONS = 2520
PRICES = "/var/lib/closing-bell/made.parquet"
ASKED = 0.25


class Memory(threading.Thread):
    """Samples the memory of a stack's containers and keeps the peak of each service."""

    def __init__(self, stack: Stack, every_s: float = 5.0) -> None:
        super().__init__(daemon=True)
        self.every_s = every_s
        self.peaks: dict[str, float] = {}
        self._stack = stack
        self._names = stack.compose("ps", "--format", "{{.Name}}").split()
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(self.every_s):
            words = ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *self._names]
            for line in subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines():
                name, used, *_ = line.split()
                self.peaks[name] = max(self.peaks.get(name, 0.0), _mib(used))

    def stop(self) -> dict[str, float]:
        """Stop, and return the peak of each service in MiB, that of its largest container."""
        self._over.set()
        self.join()
        found: dict[str, float] = {}
        for name, peak in sorted(self.peaks.items()):
            service = name.removeprefix(f"{self._stack.name}-").rsplit("-", 1)[0]
            found[service] = max(found.get(service, 0.0), peak)
        return found


def measured(stack: Stack, kind: str, conf: dict[str, Any], dag: str = DAG) -> dict[str, Any]:
    """Do one run and return its measurements."""
    memory = Memory(stack)
    memory.start()
    begun = time.time()
    run_id = stack.trigger(conf, dag)
    state = stack.finish(run_id, within_s=4 * 3600, dag=dag)
    peaks = memory.stop()
    if state != "success":
        raise RuntimeError(f"{dag} with {conf} ended in {state}")
    run = stack.airflow.get(f"dags/{dag}/dagRuns/{quote(run_id, safe='')}")
    tasks = [task_of(one, log_of(stack, run_id, one)) for one in stack.tasks(run_id, dag)]
    start, end = datetime.fromtimestamp(begun, tz=moment(run["end_date"]).tzinfo), moment(run["end_date"])
    wall_s, share = (end - start).total_seconds(), not_work(tasks, start, end)
    sys.stderr.write(f"{kind}: {wall_s:.0f} s, {share:.1%} not work\n")
    return {
        "run": kind,
        "wall_s": wall_s,
        "not_work": share,
        "work_s": sum(task.work_s for task in tasks),
        "tasks": by_name(tasks),
        "peak_mib": peaks,
    }


def log_of(stack: Stack, run_id: str, instance: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of the log of a task instance's last try."""
    path = f"dags/{instance['dag_id']}/dagRuns/{quote(run_id, safe='')}/taskInstances/{instance['task_id']}/logs"
    query = f"?map_index={instance['map_index']}&full_content=true"
    lines: list[dict[str, Any]] = stack.airflow.get(f"{path}/{instance['try_number']}{query}")["content"]
    return lines


def by_name(tasks: Sequence[Task]) -> dict[str, dict[str, float]]:
    """Return, for each task in its order, how long it took from its first start to its last end, and its parts."""
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(one.name for one in sorted(tasks, key=lambda one: one.start)):
        mine = [one for one in tasks if one.name == name]
        found[name] = {
            "instances": len(mine),
            "wall_s": (max(one.end for one in mine) - min(one.start for one in mine)).total_seconds(),
            "work_s": sum(one.work_s for one in mine),
            "imports_s": sum(one.imports_s for one in mine),
        }
    return found


def made_prices(symbols: int, days: int, path: Path) -> list[str]:
    """Write a file of synthetic prices; return the sessions of the first load and of `days` more days."""
    market = Market(SESSIONS)
    last = market.session(days)
    frames = [market.bars((f"S{number:05}",), last) for number in range(symbols)]
    table = pd.concat(frames, ignore_index=True).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    table["splits"] = 0.0
    table.drop(columns="currency").to_parquet(path, index=False)
    return [str(market.session(day)) for day in range(days + 1)]


def bench(symbols: int, workers: int, days: int, backtest: bool, settings: dict[str, str]) -> dict[str, Any]:
    """Start a stack, load it, run a few days and optionally a backtest of one year by quarters, and remove it."""
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "made.parquet"
        sessions = made_prices(symbols, days, prices)
        given = {"PIPELINE_SOURCE": "files", "PIPELINE_FILES": PRICES, "PIPELINE_SYMBOLS": "", **settings}
        stack = Stack(Path(folder), given, workers, overlays=["benchmarks/stack/timed.yml"])
        try:
            stack.compose("build", "--quiet")
            stack.up()
            stack.copy_in("worker", prices, PRICES)
            kinds = ["first load", *(f"day {number}" for number in range(1, days + 1))]
            runs = [measured(stack, kind, {"as_of": as_of}) for kind, as_of in zip(kinds, sessions, strict=True)]
            if backtest:
                year = {"from": "2023-01-03", "to": "2023-12-29", "refit_every": 63}
                runs.append(measured(stack, "backtest", year, "backtest"))
        finally:
            stack.down(volumes=True)
    return {"symbols": symbols, "workers": workers, "settings": settings, "runs": runs}


def as_markdown(found: Sequence[dict[str, Any]], about: dict[str, str]) -> str:
    """Return the tables: one line for each run, the parts of the median day, and the memory."""
    lines = ["| symbols | workers | run | wall s | work of all tasks, s | not work | met |"]
    lines.append("|--:|--:|---|--:|--:|--:|---|")
    for one in found:
        for run in one["runs"]:
            met = ("met" if run["not_work"] < ASKED else "**not met**") if run["run"].startswith("day") else ""
            what = f"{one['symbols']:,} | {one['workers']} | {run['run']} | {run['wall_s']:.0f} | {run['work_s']:.0f}"
            lines.append(f"| {what} | {run['not_work']:.1%} | {met} |")
    for one in found:
        for run in one["runs"]:
            lines += ["", f"{one['symbols']:,} symbols, {one['workers']} workers, {run['run']}:", ""]
            lines += ["| task | instances | from start to end, s | work s | imports s |", "|---|--:|--:|--:|--:|"]
            lines += [
                f"| {name} | {part['instances']} | "
                + " | ".join(f"{part[f'{kind}_s']:.1f}" for kind in ("wall", "work", "imports"))
                + " |"
                for name, part in run["tasks"].items()
            ]
        peaks = {
            name: max(run["peak_mib"].get(name, 0.0) for run in one["runs"]) for name in one["runs"][0]["peak_mib"]
        }
        lines += ["", "| service | peak memory, MiB |", "|---|--:|"]
        lines += [f"| {name} | {peak:.0f} |" for name, peak in peaks.items()]
    lines += ["", *(f"{name}: {value}  " for name, value in about.items())]
    return "\n".join(lines) + "\n"


def _mib(text: str) -> float:
    for unit, factor in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024), ("B", 1 / 2**20)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(f"not a size: {text}")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack", description=__doc__)
    parser.add_argument("--symbols", type=_numbers, default=[500], help="comma-separated  [500]")
    parser.add_argument("--workers", type=_numbers, default=[2], help="comma-separated  [2]")
    parser.add_argument("--days", type=int, default=3, help="daily runs after the first load  [3]")
    parser.add_argument("--backtest", action="store_true", help="also a backtest of one year by quarters")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the stack")
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    options = parser.parse_args()
    if why_not := engine():
        sys.stderr.write(f"there is no Docker engine: {why_not}\n")
        return 1
    settings = dict(pair.split("=", 1) for pair in options.set)
    found = [
        bench(symbols, workers, options.days, options.backtest, settings)
        for symbols in options.symbols
        for workers in options.workers
    ]
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(), "found": found}, indent=1) + "\n")
    sys.stdout.write(as_markdown(found, environment()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
