"""Trials: runs whose settings or symbols differ from the standing configuration, and how they differ.

The standing configuration is that of the environment and `.env`, without the overrides of a request. Editions of a
trial are published next to the standing ones, `latest` does not move, and its forecasts have a separate track record.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.config import PER_PROCESS, Settings
from pipeline.errors import PipelineError, UserError
from pipeline.jobs.run import Run
from pipeline.prices.sources import Source

# Used by backtests only: it changes no published forecast.
_OF_BACKTESTS = frozenset({"refit_every"})
_COMPARED_APART = frozenset({"source", "files", "symbols"})
_MOST_NAMED = 5  # symbols


def departures(asked: Settings, symbols: tuple[str, ...], source: Source) -> tuple[str, ...]:
    """Return how a request differs from the standing configuration, as phrases; empty if it does not.

    `symbols` are those of the request, `source` is the one that its settings name.
    """
    try:
        standing = Settings.load()
    except UserError as error:
        return (f"the standing configuration cannot be read: {error}",)
    found = [*_of_the_source(asked, standing)]
    if not found:  # with another source the symbols differ anyway
        found += _of_the_symbols(symbols, standing, source)
    names = [name for name in type(asked).model_fields if name not in PER_PROCESS | _OF_BACKTESTS | _COMPARED_APART]
    found += [
        _WORDS.get(name, _differs)(name, getattr(asked, name), getattr(standing, name))
        for name in names
        if getattr(asked, name) != getattr(standing, name)
    ]
    return tuple(found)


def series_of(run: Run) -> str:
    """Return the track record series of a run's forecasts: "" for the standing configuration, a digest for a trial.

    Trials with the same compared settings and symbols share a series.
    """
    if run.standing:
        return ""
    compared = {name: value for name, value in run.settings.frozen().items() if name not in _OF_BACKTESTS}
    return hashlib.sha256(json.dumps([compared, sorted(run.symbols)], sort_keys=True).encode()).hexdigest()[:12]


def _of_the_source(asked: Settings, standing: Settings) -> list[str]:
    if asked.source != standing.source:
        return [f"source {asked.source} instead of {standing.source}"]
    if asked.source == "files" and asked.files != standing.files:
        return [f"the file {asked.files} instead of {standing.files or 'none'}"]
    return []


def _of_the_symbols(symbols: tuple[str, ...], standing: Settings, source: Source) -> list[str]:
    try:
        usual = set(standing.symbols or source.symbols())
    except PipelineError:  # sources such as Yahoo have no list of symbols
        return [f"{_count(len(symbols), 'symbol')} where none is set"]
    mine = set(symbols)
    if mine == usual:
        return []
    if mine < usual:
        return [f"{len(mine)} of {_count(len(usual), 'symbol')}"]
    added, left_out = sorted(mine - usual), sorted(usual - mine)
    parts = [f"with {_names(added)}", *([f"without {_names(left_out)}"] if left_out else [])]
    return [f"other symbols: {', '.join(parts)}"]


def _names(symbols: list[str]) -> str:
    rest = len(symbols) - _MOST_NAMED
    return " ".join(symbols[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'s' * (number != 1)}"


def _differs(name: str, mine: Any, usual: Any) -> str:
    return f"{name.replace('_', ' ')} {_text(mine)} instead of {_text(usual)}"


def _inputs(_name: str, mine: tuple[str, ...], usual: tuple[str, ...]) -> str:
    return f"{_count(len(mine), 'input')} ({', '.join(mine)}) instead of {len(usual)}"


def _counted(one: str) -> Callable[[str, Any, Any], str]:
    def words(_name: str, mine: int | None, usual: int | None) -> str:
        usually = f" instead of {usual:,}" if usual is not None else ""
        return f"{_count(mine, one)}{usually}" if mine is not None else f"{one}s by the data{usually}"

    return words


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _events(_name: str, mine: str, usual: str) -> str:
    return f"events from {mine or 'the price source'} instead of {usual or 'the price source'}"


_WORDS: Mapping[str, Callable[[str, Any, Any], str]] = {
    "training_steps": _counted("training step"),
    "horizon": lambda _name, mine, usual: f"{_count(mine, 'session')} ahead instead of {usual}",
    "events": _events,
    "inputs": _inputs,
}
