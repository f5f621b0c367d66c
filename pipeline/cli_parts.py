"""What the commands share: their options, the progress bar, and how an answer is printed."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.errors import BadSession

OUT, ERR = Console(), Console(stderr=True)

Source = Annotated[str | None, typer.Option(help="sample, yahoo or files  [PIPELINE_SOURCE]")]
Files = Annotated[Path | None, typer.Option(help="CSV or Parquet for the source files  [PIPELINE_FILES]")]
Symbols = Annotated[str | None, typer.Option(help="symbols, by comma  [PIPELINE_SYMBOLS]")]
AsOf = Annotated[str | None, typer.Option(help="session to forecast from, YYYY-MM-DD; default: the last complete one")]
Network = Annotated[str | None, typer.Option(help="lstm, rnn or mlp  [PIPELINE_NETWORK]")]
Horizon = Annotated[int | None, typer.Option(help="sessions to forecast  [PIPELINE_HORIZON]")]
Steps = Annotated[int | None, typer.Option(help="training budget in optimizer steps  [PIPELINE_TRAINING_STEPS]")]
Retrain = Annotated[int | None, typer.Option(help="sessions a champion serves; 1: train now  [PIPELINE_RETRAIN_EVERY]")]
Exchange = Annotated[str | None, typer.Option(help="calendar code, such as XNYS  [PIPELINE_EXCHANGE]")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def overrides_of(source: str | None, files: Path | None, symbols: str | None, **others: Any) -> dict[str, Any]:
    """Return the settings that the options of a command change."""
    # A file named on the command line is the source, unless another was named too.
    named = source or ("files" if files is not None else None)
    given = {"source": named, "files": str(files) if files else None, "symbols": symbols, **others}
    return {name: value for name, value in given.items() if value is not None}


def date_of(text: str | None, option: str = "--as-of") -> date | None:
    """Return the date that an option names; None where it was left out. Raises BadSession for another text."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadSession(f"{option} {text!r} is not a date; write it as 2013-02-28") from None


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
