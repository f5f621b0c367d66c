"""Output of the commands: the current time, how a result is printed, and how an error is."""

import json
import math
import os
import sys
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType

_PLAIN_WIDTH = 100  # of output that goes to a file or another program


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    given = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, width=None if given else _PLAIN_WIDTH, highlight=False)


OUT, ERR = _console(), _console(stderr=True)


def now() -> datetime:
    """Return the time at which the command was given."""
    return datetime.now(UTC)


def print_result(as_json: bool, result: Any, answer: str | RenderableType) -> None:
    """Print the result as JSON for programs, or the answer for people."""
    if as_json:
        print_json(result)
    elif isinstance(answer, str):
        OUT.print(answer, markup=False, soft_wrap=True)
    else:
        OUT.print(answer)


def print_json(value: Any) -> None:
    """Print JSON, and nothing else, to standard output."""
    try:
        sys.stdout.write(json.dumps(_finite(value), indent=1, default=str, allow_nan=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        OUT.on_broken_pipe()


def fail(error: BaseException | str, status: int) -> int:
    """Print an error in one line, and return the exit status."""
    words = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    ERR.print(" ".join(words.split()), style="red", markup=False, soft_wrap=True)
    return status


def _finite(value: Any) -> Any:
    """Return a value with dataclasses as their documents and null for numbers that JSON does not have."""
    if is_dataclass(value) and not isinstance(value, type):
        from pipeline.storage.documents import to_document

        return _finite(to_document(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
