"""What the commands share beside their options: the moment, the progress bar, and how an answer is printed."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

OUT, ERR = Console(), Console(stderr=True)


def now() -> datetime:
    """Return the moment at which a command was given."""
    return datetime.now(UTC)


def steps_of(planned: dict[str, Any]) -> int:
    """Return how many steps one training of a planned run takes."""
    from pipeline.runs import Run

    return Run.from_dict(planned["run"]).settings.training_steps


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:16}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        yield bar


def ingesting(bar: Progress, task: TaskID) -> Callable[[int, int, str], None]:
    """Return what tells the bar how far the ingestion is."""

    def told(done: int, total: int, symbol: str) -> None:
        bar.update(task, completed=done, total=total, description=f"ingest {symbol}")

    return told


def tell(as_json: bool, result: Any, words: str) -> None:
    """Print the answer as JSON for programs, or a few words for people."""
    if as_json:
        print_json(result)
    else:
        OUT.print(words, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON to standard output, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
