"""Provenance: the commit and the Airflow run that made a result. Independent of MLflow."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pipeline import __version__
from pipeline.config import Settings

RELEASE = f"release {__version__}"


def git_commit(folder: Path) -> str:
    """Return the commit that `folder` is at, with `-dirty` if its code has changed since.

    Untracked data does not make it dirty; an untracked Python file does. Where git does not track the folder's code, it
    is the value of `CLOSING_BELL_COMMIT`, as in an image that was built from a commit, or the installed release.
    """
    # A virtual environment may lie in a repository of its user, whose commits say nothing of this code.
    tracked = _git(folder, "ls-files", "--", "*.py")
    described = tracked and _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    if not described:
        return os.environ.get("CLOSING_BELL_COMMIT") or RELEASE
    added = not described.endswith("-dirty") and _git(
        folder, "ls-files", "--others", "--exclude-standard", "--", "*.py"
    )
    return f"{described}-dirty" if added else described


def run_tags(
    settings: Settings,
    *,
    as_of: date,
    symbols: Sequence[str],
    commit: str,
    provenance: Mapping[str, str],
    try_number: int = 1,
) -> dict[str, str]:
    """Return the tags that identify a run and from which its description is made.

    `provenance` identifies the run in Airflow (`dag_id`, `run_id`, …), empty for a run from the command line.
    """
    origin = {f"airflow.{name}": str(value) for name, value in provenance.items() if value}
    if origin:
        origin["airflow.try"] = str(try_number)
    if url := settings.airflow_run(provenance.get("dag_id", ""), provenance.get("run_id", "")) if origin else None:
        origin["airflow.url"] = url
    return {
        "as_of": as_of.isoformat(),
        "network": settings.network,
        "source": settings.source,
        "exchange": settings.exchange,
        "symbol_count": str(len(symbols)),
        "symbols": _some(symbols),
        "git_commit": commit,
        **origin,
    }


def _some(symbols: Sequence[str], most: int = 20) -> str:
    rest = len(symbols) - most
    return ", ".join(symbols[:most]) + (f" and {rest} more" if rest > 0 else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
