"""A task's log on disk, and the lines that explain a failure."""

import json
from pathlib import Path
from typing import Any

LINES = 5
# How `dags/_endings.py` begins the last line of a skipped task.
SKIPPED = "Skipped: "
# Airflow's exceptions around the pipeline's message.
WRAPPERS = {"AirflowFailException", "AirflowSkipException"}


def log_file(airflow_home: Path, dag: str, run_id: str, task: str, map_index: int = -1) -> Path:
    """Return the log of the task's last try; without one, the folder for it."""
    folder = airflow_home / "logs" / f"dag_id={dag}" / f"run_id={run_id}" / f"task_id={task}"
    if map_index >= 0:
        folder /= f"map_index={map_index}"
    tries = sorted(folder.glob("attempt=*.log"), key=lambda path: int(path.stem.removeprefix("attempt=")))
    return tries[-1] if tries else folder


def last_words(log: Path, lines: int = LINES) -> list[str]:
    """Return the last errors of a task's log, oldest first; empty if the log cannot be read.

    Airflow writes one JSON object per line; an exception becomes `Kind: message`. A log without errors gives the reason
    of a skip, or its last lines.
    """
    try:
        records = [_record(line) for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []
    messages = [record for record in records if not str(record.get("event")).startswith("::")]
    errors = [record for record in messages if record.get("level") in ("error", "critical")]
    reasons = [record for record in messages if record.get("reason") or str(record.get("event")).startswith(SKIPPED)]
    return [words for record in (errors or reasons or messages)[-lines:] if (words := _message(record))]


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {"event": line}
    return record if isinstance(record, dict) else {"event": line}


def _message(record: dict[str, Any]) -> str:
    details = [detail for detail in record.get("error_detail") or [] if "exc_type" in detail]
    causes = [
        detail["exc_value"] if detail["exc_type"] in WRAPPERS else f"{detail['exc_type']}: {detail['exc_value']}"
        for detail in details
    ]
    return " ← ".join(causes) or str(record.get("reason") or record.get("event", ""))
