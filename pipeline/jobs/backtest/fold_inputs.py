"""What a fold is made from: where any of it differs, an earlier fold is not reused."""

from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline.evaluation.backtest_results import FoldInputs, FoldPlan
from pipeline.jobs.backtest import exclusions
from pipeline.jobs.context import calendar_digest_of, digest_of, training_precision
from pipeline.jobs.run import Run
from pipeline.storage.atomic_files import sha256_bytes, sha256_file
from pipeline.tracking.source_files import PACKAGE, needed_by

# Packages whose versions can change a number of a fold.
LIBRARIES = ("arch", "exchange_calendars", "numba", "numpy", "pandas", "pyarrow", "scipy", "torch")


def inputs_of(run: Run, fold: FoldPlan) -> FoldInputs:
    """Return everything that shapes a fold of this run, made by this process on this machine."""
    settings = run.settings
    return FoldInputs(
        snapshot=digest_of(run),
        calendar=calendar_digest_of(run),
        seams=exclusions.seams_of(run, date.fromisoformat(fold.last)),
        settings={**settings.frozen(), "threads": settings.threads},
        precision=training_precision(settings),
        libraries={name: version(name) for name in LIBRARIES},
        code=code_digest(),
    )


@cache
def code_digest() -> str:
    """Return the SHA-256 of the source files that a fold needs, as this process found them.

    They are all files that the fold's module imports, directly or through others. A commit says less: it does not
    change while the code is being edited.
    """
    files = needed_by(Path(__file__).with_name("folds.py"))
    lines = [f"{path.relative_to(PACKAGE).as_posix()} {sha256_file(path)}\n" for path in files]
    return sha256_bytes("".join(lines).encode())
