"""What a worker imports before it forks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.small import SMALL

# What libraries import late themselves, hypothesis only where the tests' requirements are installed.
LATE = {"_hypothesis_globals", "_openssl", "cffi", "cryptography", "hypothesis", "mpmath", "pycparser"}
LATE |= {"sortedcontainers", "sympy"}
DAILY_RUN = """""
import json, os, sys, threading
from pipeline.preload import preload
named = preload()
threads = threading.active_count()
known = {name.partition(".")[0] for name in sys.modules}
child = os.fork()
if not child:
    from pipeline.cli.app import app
    app(["run", "--as-of", "2013-02-28"], standalone_mode=False)
    imported = {name.partition(".")[0] for name in sys.modules} - known - sys.stdlib_module_names
    with open("imported.json", "w") as file:
        json.dump(sorted(imported), file)
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"named": named, "threads": threads, "status": status}))
"""


@pytest.mark.slow
def test_a_forked_worker_runs_a_daily_run_and_imports_no_further_package(empty_home: Path, tmp_path: Path) -> None:
    settings = {f"PIPELINE_{name.upper()}": str(value) for name, value in SMALL.items()}
    done = subprocess.run(
        [sys.executable, "-c", DAILY_RUN],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PIPELINE_HOME": str(tmp_path / "var"), **settings},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["status"] == 0, done.stderr
    assert found["threads"] == 1, "a thread of Python's would be gone in the children, with what it holds"
    assert {"torch", "mlflow.pyfunc", "arch.univariate.volatility", "pipeline.jobs.forecasts"} <= set(found["named"])
    imported = {
        name for name in json.loads((tmp_path / "imported.json").read_text()) if not name.startswith("code_model_")
    }
    assert imported <= LATE
