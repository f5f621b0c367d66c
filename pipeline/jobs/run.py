"""A run: a request for one session, resolved, and the folder in which its steps leave their artifacts.

Nothing else passes between tasks, so each step can be repeated alone and on another machine. A run carries every
setting that affects its numbers or labels, frozen when it was planned: later tasks do not read them from their own
environment.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import JsonValue

from pipeline.config import Overrides, Settings
from pipeline.errors import CorruptFile, MissingStep
from pipeline.storage import Storage
from pipeline.storage.documents import dump, from_document

T = TypeVar("T")


@dataclass(frozen=True)
class Artifact(Generic[T]):
    """A JSON document that one step leaves for others: its name, its type, and the step that makes it."""

    name: str
    kind: type[T]
    step: str


@dataclass(frozen=True)
class FileArtifact:
    """A file or folder that one step leaves for others: its name in the run's folder, and the step that makes it."""

    name: str
    step: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, resolved once at its beginning. Between tasks it travels as a document (`storage.documents`)."""

    # Identifies the request and, by a digest, what it was resolved to: with another session, symbol or setting it is
    # another run, even under the same Airflow run id. Valid as a file name.
    key: str
    as_of: date
    symbols: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)  # symbols of an unknown market, with the reason
    overrides: Overrides = field(default_factory=Overrides)  # settings of the request, for display
    frozen: Mapping[str, JsonValue] = field(default_factory=dict)  # all of `Settings.frozen`, the request's included
    provenance: Mapping[str, str] = field(default_factory=dict)  # Airflow's dag_id, run_id …
    trial: tuple[str, ...] = ()  # how it differs from the standing configuration; see pipeline.jobs.trials
    make_latest: bool = False  # publish a trial as the session's standing edition

    @property
    def standing(self) -> bool:
        """Whether its edition becomes the session's standing one, and its forecasts count for the track record."""
        return self.make_latest or not self.trial

    @cached_property
    def settings(self) -> Settings:
        """The settings as they were when the run was planned; the environment's only where tasks may differ."""
        if not self.frozen:  # planned by a version that did not freeze them
            return self.overrides.settings()
        return Settings.thaw(self.frozen, symbols=self.symbols)

    @cached_property
    def folder(self) -> Storage:
        """The folder in the store in which the run's steps leave their artifacts."""
        return self.settings.store / f"runs/{self.key}"

    def save(self, artifact: Artifact[T], value: T) -> None:
        """Write a step's artifact as a JSON document."""
        self.folder.write(f"{artifact.name}.json", dump(value))

    def load(self, artifact: Artifact[T]) -> T:
        """Return a step's artifact.

        Raises MissingStep that names the step if there is none yet, CorruptFile for a document that cannot be read.
        """
        name = f"{artifact.name}.json"
        try:
            document = json.loads(self.folder.read(name))
        except FileNotFoundError:
            raise self._missing(artifact.name, artifact.step) from None
        except ValueError:
            raise CorruptFile(f"{self.folder / name} is not JSON; {self._remedy(artifact.step)}") from None
        return from_document(artifact.kind, document, where=str(self.folder / name), remedy=self._remedy(artifact.step))

    @contextmanager
    def reading(self, artifact: FileArtifact) -> Iterator[Path]:
        """Give a path to read a step's file or folder. Raises MissingStep that names the step that makes it."""
        with ExitStack() as copies:
            try:
                path = copies.enter_context(self.folder.reading(artifact.name))
            except FileNotFoundError:
                raise self._missing(artifact.name, artifact.step) from None
            yield path

    def making(self, artifact: FileArtifact) -> AbstractContextManager[Path]:
        """Give a path to make a step's file or folder at; it is in the run's folder once the block has ended."""
        return self.folder.making(artifact.name)

    def _missing(self, name: str, step: str) -> MissingStep:
        return MissingStep(f"the run {self.key} has no {name} yet; run `{step}` for {self.as_of} first")

    def _remedy(self, step: str) -> str:
        return f"run `{step}` for {self.as_of} again"
