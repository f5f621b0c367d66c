"""Which code and which Airflow run made something. Knows nothing of MLflow."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pipeline.config import Settings

UNKNOWN = "unknown"


def git_commit(folder: Path) -> str:
    """Return the commit that `folder` is at, with `-dirty` if its code has changed since.

    Data that lies about untracked does not make it dirty; an untracked Python file does. Outside git it is what
    `CLOSING_BELL_COMMIT` says, as in an image that was built from a commit, or `unknown`.
    """
    described = _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    if not described:
        return os.environ.get("CLOSING_BELL_COMMIT") or UNKNOWN
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
    """Return the tags by which a run is found and from which its description is written.

    `provenance` is what Airflow calls the run (`dag_id`, `run_id`, …), empty for a run from the command line.
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
