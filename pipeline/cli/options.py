"""Options that several commands share, and the settings that they change."""

import functools
import inspect
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import BadSession

if TYPE_CHECKING:
    from pipeline.config import Overrides


def published_symbols(incomplete: str) -> list[str]:
    """Return completions of a symbol: the symbols of the newest published session."""
    *before, begun = incomplete.upper().split(",")
    names = _newest()
    return [",".join([*before, name]) for name in names if name.startswith(begun)]


def published_sessions(incomplete: str) -> list[str]:
    """Return completions of a session: the published sessions, newest first."""
    from pipeline.config import Settings
    from pipeline.errors import PipelineError
    from pipeline.publishing import reader

    try:
        days = [str(day) for day in reader.all_sessions(Settings.load().published)]
    except (PipelineError, OSError):
        return []
    return [day for day in reversed(days) if day.startswith(incomplete)]


def _newest() -> list[str]:
    from pipeline.config import Settings
    from pipeline.errors import PipelineError
    from pipeline.publishing import reader

    try:
        return reader.read_published(reader.newest(Settings.load().published)).forecasts.symbols
    except (PipelineError, OSError):  # no completions, and a shell prompt is no place for an error
        return []


def _one_of(*values: str) -> Callable[[str], list[str]]:
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


Source = Annotated[
    str | None,
    typer.Option(help="sample, yahoo or files  [PIPELINE_SOURCE]", autocompletion=_one_of("sample", "yahoo", "files")),
]
Files = Annotated[Path | None, typer.Option(help="CSV or Parquet for the source files  [PIPELINE_FILES]")]
FilesDates = Annotated[
    str | None,
    typer.Option(
        help="day-first, month-first, year-first or a strptime format  [PIPELINE_FILES_DATES]",
        autocompletion=_one_of("day-first", "month-first", "year-first"),
    ),
]
FilesDecimal = Annotated[
    str | None,
    typer.Option(help="point or comma  [PIPELINE_FILES_DECIMAL]", autocompletion=_one_of("point", "comma")),
]
Events = Annotated[
    str | None,
    typer.Option(
        help="none, sample, yahoo, or a CSV or Parquet file of scheduled events  [PIPELINE_EVENTS]",
        autocompletion=_one_of("none", "sample", "yahoo"),
    ),
]
Symbols = Annotated[
    str | None, typer.Option(help="comma-separated symbols  [PIPELINE_SYMBOLS]", autocompletion=published_symbols)
]
AsOf = Annotated[
    str | None,
    typer.Option(
        help="session to forecast from, YYYY-MM-DD; default: the last complete",
        autocompletion=published_sessions,
    ),
]
Network = Annotated[
    str | None,
    typer.Option(help="lstm, rnn or mlp  [PIPELINE_NETWORK]", autocompletion=_one_of("lstm", "rnn", "mlp")),
]
Horizon = Annotated[int | None, typer.Option(help="sessions to forecast  [PIPELINE_HORIZON]")]
Steps = Annotated[int | None, typer.Option(help="training budget in optimizer steps  [PIPELINE_TRAINING_STEPS]")]
Retrain = Annotated[int | None, typer.Option(help="sessions a champion serves; 1: train now  [PIPELINE_RETRAIN_EVERY]")]
Refit = Annotated[int | None, typer.Option(help="sessions that one model forecasts  [PIPELINE_REFIT_EVERY]")]
Exchange = Annotated[str | None, typer.Option(help="calendar code, such as XNYS  [PIPELINE_EXCHANGE]")]
Markets = Annotated[
    str | None,
    typer.Option(help="calendars of suffixes or indices, such as SR=XSAU,XY=24/5  [PIPELINE_MARKETS]"),
]
Latest = Annotated[
    bool,
    typer.Option("--latest", help="publish the run as the session's standing edition although its settings differ"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="show no progress")]


# The options that are settings, by the names of these.
_SETTINGS: dict[str, Any] = {
    "source": Source,
    "files": Files,
    "files_dates": FilesDates,
    "files_decimal": FilesDecimal,
    "events": Events,
    "symbols": Symbols,
    "network": Network,
    "horizon": Horizon,
    "training_steps": Steps,
    "retrain_every": Retrain,
    "refit_every": Refit,
    "exchange": Exchange,
    "markets": Markets,
}
PRICES = ("source", "files", "files_dates", "files_decimal", "events", "symbols", "exchange", "markets")
TRAINING = ("network", "horizon", "training_steps")


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter `overrides` by the options of these settings.

    The command gets the settings that were given as `Overrides`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(**values: Any) -> None:
            given = {name: values.pop(name) for name in names}
            command(overrides=_overrides(given), **values)

        added = [_parameter(name) for name in names]
        own = inspect.signature(command).parameters.values()
        parameters = [new for old in own for new in (added if old.name == "overrides" else [old])]
        keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        wrapped.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]  # what Typer reads
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword_only}
        return wrapped

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_SETTINGS[name])


def _overrides(given: Mapping[str, str | int | Path | None]) -> "Overrides":
    """Return the settings that were given. A file without a source means the source `files`."""
    from pipeline.config import Overrides

    values = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    if values.get("files") and not values.get("source"):
        values["source"] = "files"
    return Overrides({name: value for name, value in values.items() if value is not None})


def date_of(text: str | None, option: str = "--as-of") -> date | None:
    """Return the date of an option; None if it is missing. Raises BadSession for other text."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadSession(f"{option} {text!r} is not a date; write it as 2013-02-28") from None
