"""A run: what is to be done for one session, and the place in which its steps leave what the next ones need.

That place is the only thing that passes between tasks besides a few words, so each step can be repeated alone, and on
another machine.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pipeline.config import Settings
from pipeline.errors import MissingStep
from pipeline.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, settled once at its beginning. It travels between tasks as a plain dict."""

    key: str  # one for each Airflow run and network, or for each request from a terminal; safe as a file name
    as_of: date
    symbols: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)  # settings that the request changes
    provenance: Mapping[str, str] = field(default_factory=dict)  # Airflow's dag_id, run_id …
    trial: tuple[str, ...] = ()  # how it differs from the standing configuration, in words; see pipeline.trials
    make_latest: bool = False  # the request asks that a trial is published as the session's standing edition

    def to_dict(self) -> dict[str, Any]:
        """Return the run as JSON has it."""
        values = {**asdict(self), "as_of": self.as_of.isoformat(), "symbols": list(self.symbols)}
        return {**values, "trial": list(self.trial)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the run that `to_dict` gave."""
        texts = {name: tuple(values.get(name, ())) for name in ("symbols", "trial")}
        return cls(**{**values, "as_of": date.fromisoformat(values["as_of"]), **texts})

    @property
    def standing(self) -> bool:
        """Whether its edition becomes the session's standing one, and its forecasts count for the track record."""
        return self.make_latest or not self.trial

    @cached_property
    def settings(self) -> Settings:
        """The settings of the environment with the request's over them."""
        return Settings.load(**self.overrides)

    @cached_property
    def kept(self) -> Storage:
        """Where the run's steps leave their results, and find those of others."""
        return self.settings.store / f"runs/{self.key}"

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a step's result as `name`.json."""
        text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
        self.kept.write(f"{name}.json", text.encode())

    def read(self, name: str, *, made_by: str) -> dict[str, Any]:
        """Return a step's result. Raises MissingStep, naming the step that makes it."""
        try:
            content: dict[str, Any] = json.loads(self.kept.read(f"{name}.json"))
        except FileNotFoundError:
            raise self._missing(name, made_by) from None
        return content

    @contextmanager
    def reading(self, name: str, *, made_by: str) -> Iterator[Path]:
        """Give a path to read a step's file or folder from. Raises MissingStep, naming the step that makes it."""
        with ExitStack() as copies:
            try:
                path = copies.enter_context(self.kept.reading(name))
            except FileNotFoundError:
                raise self._missing(name, made_by) from None
            yield path

    def _missing(self, name: str, made_by: str) -> MissingStep:
        return MissingStep(f"the run {self.key} has no {name} yet; run `{made_by}` for {self.as_of} first")
