"""A run: what is to be done for one session, and the folder in which its steps leave what the next ones need.

The folder is the only thing that passes between tasks besides a few words, so each step can be repeated alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pipeline.config import Settings
from pipeline.errors import MissingStep
from pipeline.files import write_atomic


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, settled once at its beginning. It travels between tasks as a plain dict."""

    key: str  # one for each Airflow run and network, or for each request from a terminal; safe as a file name
    as_of: date
    symbols: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)  # settings that the request changes
    provenance: Mapping[str, str] = field(default_factory=dict)  # Airflow's dag_id, run_id …

    def to_dict(self) -> dict[str, Any]:
        """Return the run as JSON has it."""
        return {**asdict(self), "as_of": self.as_of.isoformat(), "symbols": list(self.symbols)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the run that `to_dict` gave."""
        return cls(**{**values, "as_of": date.fromisoformat(values["as_of"]), "symbols": tuple(values["symbols"])})

    @cached_property
    def settings(self) -> Settings:
        """The settings of the environment with the request's over them."""
        return Settings.load(**self.overrides)

    @property
    def folder(self) -> Path:
        """Where the run's steps leave their results."""
        return self.settings.home / "runs" / self.key

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a step's result as `name`.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(
            self.folder / f"{name}.json", json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
        )

    def read(self, name: str, *, made_by: str) -> dict[str, Any]:
        """Return a step's result. Raises MissingStep, naming the step that makes it."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            raise MissingStep(f"the run {self.key} has no {name} yet; run `{made_by}` for {self.as_of} first")
        content: dict[str, Any] = json.loads(path.read_text())
        return content
