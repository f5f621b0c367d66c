"""What the commands share beside their options: the moment, how an answer is printed, and how a failure is."""

import json
import math
import os
import sys
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType

_PLAIN_WIDTH = 100  # of an answer that goes into a file or another program


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    given = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, width=None if given else _PLAIN_WIDTH, highlight=False)


OUT, ERR = _console(), _console(stderr=True)


def now() -> datetime:
    """Return the moment at which a command was given."""
    return datetime.now(UTC)


def tell(as_json: bool, result: Any, answer: str | RenderableType) -> None:
    """Print the result as JSON for programs, or the answer for people."""
    if as_json:
        print_json(result)
    elif isinstance(answer, str):
        OUT.print(answer, markup=False, soft_wrap=True)
    else:
        OUT.print(answer)


def print_json(value: Any) -> None:
    """Print JSON to standard output, and nothing else."""
    try:
        sys.stdout.write(json.dumps(_finite(value), indent=1, default=str, allow_nan=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        OUT.on_broken_pipe()


def fail(error: BaseException | str, status: int) -> int:
    """Print in one line why a command did not do what it was asked, and return its status."""
    words = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    ERR.print(" ".join(words.split()), style="red", markup=False, soft_wrap=True)
    return status


def _finite(value: Any) -> Any:
    """Return a value, dataclasses as their documents, with null for the numbers that JSON does not have."""
    if is_dataclass(value) and not isinstance(value, type):
        from pipeline.storage.documents import to_document

        return _finite(to_document(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
