"""The training benchmark runs the product's own training, and its tables show the measurements."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training import requirements
from benchmarks.training.__main__ import as_markdown
from benchmarks.training.requirements import OURS, OURS_TWO, SHIPPED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "words"), [("ours", ["--threads", "2"]), ("ours", ["--forecast"]), ("tutorial", [])]
)
def test_a_case_reports_its_steps_and_its_memory(module: str, words: list[str]) -> None:
    words = ["--steps", "12", "--symbols", "6", "--sessions", "300", "--layers", "2", *words]
    command = [sys.executable, "-m", f"benchmarks.training.{module}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["steps"] == 12
    assert 0 < told["step_ms"] < 1000 * told["process_cpu_s"]
    assert told["peak_mib"] > 0


def sample(case: str, step_ms: float, foreign: float = 0.0, load: str = "none", turn: int = 0) -> dict[str, Any]:
    numbers = {"step_ms": step_ms, "step_cpu_ms": step_ms, "whole_s": 9.0, "peak_mib": 430, "foreign": foreign}
    return {"case": case, "layers": 1, "load": load, "turn": turn, **numbers}


def test_the_ratio_is_to_our_step_in_calm_rounds() -> None:
    samples = [sample(OURS, 10.0), sample(OURS, 90.0, foreign=0.5), sample(SHIPPED, 65.0), sample(SHIPPED, 75.0)]
    table = as_markdown([*samples, sample(OURS, 50.0, load="a busy core")], 100.0)
    assert f"| {SHIPPED} | 1 | none | 70.0 | 70.0 | 7.00 |" in table
    assert f"| {OURS} | 1 | a busy core | 50.0 | 50.0 | 5.00 |" in table


def test_a_case_without_a_comparable_step_of_ours_has_no_ratio() -> None:
    assert f"| {OURS} | 1 | a busy core | 50.0 | 50.0 |  |" in as_markdown(
        [sample(OURS, 50.0, load="a busy core")], 1.0
    )


def test_requirements_are_compared_round_by_round() -> None:
    samples = [
        *(sample(OURS_TWO, ours, turn=turn) for turn, ours in enumerate([10.0, 20.0, 10.0])),
        *(sample(SHIPPED, peer, turn=turn) for turn, peer in enumerate([70.0, 160.0, 90.0])),
        sample(OURS_TWO, 10.0, foreign=0.9, turn=3),
        sample(SHIPPED, 10.0, turn=3),
        sample(OURS, 40.0),
    ]
    assert requirements.ratio(samples, SHIPPED, OURS_TWO, "step_ms") == 8.0
    table = requirements.as_markdown(samples, 60.0)
    assert f"| step: times faster than {SHIPPED} | 6.5 | 8 | 8.00 | target |" in table
    assert "| peak memory, MiB | 460 | 400 | 430.00 | floor |" in table
    assert "| step: than darts as shipped | 2.7 | 3.5 | not measured | |" in table
    assert (
        f"| share of the fp32 GEMM peak, one thread, % | 52 | 60 | {100 * 1.62791424 / 0.04 / 60:.2f} | target |"
        in table
    )
