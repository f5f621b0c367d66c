"""The options that commands share, and what they mean as settings."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import BadSession

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
