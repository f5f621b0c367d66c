"""The benchmarks run and every case reports numbers. Speed is not tested here."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Sample, Samples

ROOT = Path(__file__).resolve().parents[2]
CASES = {"load", "revise", "day", "unchanged", "read", "arrow", "core", "read_sql", "lean", "append"}


def sample(case: str, turn: int, seconds: float, foreign: float = 0.0) -> Sample:
    return Sample(
        case=case, symbols=10, turn=turn, wall_s=seconds, cpu_s=seconds, peak_mib=1, before_mib=1, rows=10,
        foreign=foreign, found={},
    )  # fmt: skip


@pytest.mark.slow
def test_every_case_reports_numbers(tmp_path: Path) -> None:
    file = tmp_path / "samples.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--symbols", "12", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text())
    by_case = {one["case"]: one for one in told["samples"]}
    assert set(by_case) == CASES
    for one in told["samples"]:
        assert one["wall_s"] > 0
        assert math.isfinite(one["cpu_s"])
        assert one["peak_mib"] >= one["before_mib"] > 0
    assert by_case["load"]["rows"] == by_case["read"]["rows"] == by_case["core"]["rows"] == 12 * 300
    assert by_case["day"]["rows"] == by_case["append"]["rows"] == 12
    assert by_case["unchanged"]["found"] == {"new": 0, "asked": 12}
    assert by_case["revise"]["found"]["rewritten"] == 1
    assert "| read | 12 |" in done.stdout


def test_a_ratio_is_taken_within_a_round() -> None:
    samples = Samples()
    samples.all = [sample("core", turn, 8.0 * noise) for turn, noise in enumerate((1, 5, 2))]
    samples.all += [sample("read", turn, 1.0 * noise) for turn, noise in enumerate((1, 5, 2))]
    assert samples.ratio("core", "read", 10) == pytest.approx(8.0)


def test_a_case_that_ran_once_is_compared_with_the_median() -> None:
    samples = Samples()
    samples.all = [sample("core", 0, 30.0), *(sample("read", turn, seconds) for turn, seconds in enumerate((1, 3, 9)))]
    assert samples.ratio("core", "read", 10) == pytest.approx(10.0)


def test_busy_rounds_do_not_count_if_there_are_calm_ones() -> None:
    samples = Samples()
    samples.all = [sample("core", 0, 30.0), sample("read", 0, 30.0, foreign=0.5), sample("read", 1, 3.0)]
    assert samples.ratio("core", "read", 10) == pytest.approx(10.0)
