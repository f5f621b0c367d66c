"""The training benchmark runs the product's own training, and its table says what was measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training.__main__ import CASES, as_markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["ours", "tutorial"])
def test_a_case_tells_its_steps_and_its_memory(module: str) -> None:
    words = ["--steps", "12", "--symbols", "6", "--sessions", "300", "--layers", "2"]
    command = [sys.executable, "-m", f"benchmarks.training.{module}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["steps"] == 12
    assert 0 < told["step_ms"] < 1000 * told["wall_s"]
    assert told["peak_mib"] > 0


def sample(case: str, step_ms: float, foreign: float = 0.0, beside: str = "nothing") -> dict[str, Any]:
    numbers = {"step_ms": step_ms, "step_cpu_ms": step_ms, "wall_s": 9.0, "peak_mib": 400, "foreign": foreign}
    return {"case": case, "layers": 1, "beside": beside, **numbers}


def test_the_ratio_is_to_our_step_in_calm_rounds() -> None:
    ours, other = CASES[0].name, CASES[3].name
    samples = [sample(ours, 10.0), sample(ours, 90.0, foreign=0.5), sample(other, 65.0), sample(other, 75.0)]
    table = as_markdown([*samples, sample(ours, 50.0, beside="a busy core")], 100.0)
    assert f"| {other} | 1 | nothing | 70.0 | 70.0 | 7.00 |" in table
    assert f"| {ours} | 1 | a busy core | 50.0 | 50.0 | 5.00 |" in table
