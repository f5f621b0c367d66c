"""A run: what is to be done for one session, and the place in which its steps leave what the next ones need.

That place and the run itself are all that passes between tasks, so each step can be repeated alone, and on another
machine. A run carries every setting that affects its numbers or labels, frozen when it was planned: a later task does
not read them from its own environment.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.config import Settings
from pipeline.errors import MissingStep
from pipeline.storage import Storage
from pipeline.storage.documents import dump, from_document

T = TypeVar("T")


@dataclass(frozen=True)
class Artifact(Generic[T]):
    """What one step leaves for others as a JSON document: its name, its type, and the step that makes it."""

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

    # Names the request and, by a digest, all that it was resolved to: another session, symbol or setting is another
    # run, even under the same Airflow run id. Safe as a file name.
    key: str
    as_of: date
    symbols: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)  # symbols asked for whose market is not known, and why
    overrides: Mapping[str, Any] = field(default_factory=dict)  # settings that the request changed, for people to read
    frozen: Mapping[str, Any] = field(default_factory=dict)  # all settings of `Settings.frozen`, the request's included
    provenance: Mapping[str, str] = field(default_factory=dict)  # Airflow's dag_id, run_id …
    trial: tuple[str, ...] = ()  # how it differs from the standing configuration, in words; see pipeline.jobs.trials
    make_latest: bool = False  # the request asks that a trial is published as the session's standing edition

    @property
    def standing(self) -> bool:
        """Whether its edition becomes the session's standing one, and its forecasts count for the track record."""
        return self.make_latest or not self.trial

    @cached_property
    def settings(self) -> Settings:
        """The settings as they were when the run was planned; the environment's only where tasks may differ."""
        if not self.frozen:  # planned by a version that did not freeze them
            return Settings.load(**self.overrides)
        return Settings.thaw(self.frozen, symbols=self.symbols)

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

    def save(self, artifact: Artifact[T], value: T) -> None:
        """Keep what a step has made as a JSON document."""
        self.kept.write(f"{artifact.name}.json", dump(value))

    def load(self, artifact: Artifact[T]) -> T:
        """Return what a step has made.

        Raises MissingStep that names the step where there is nothing yet, CorruptFile for a document that cannot be
        read.
        """
        document = self.read(artifact.name, made_by=artifact.step)
        where = str(self.kept / f"{artifact.name}.json")
        return from_document(
            artifact.kind, document, where=where, remedy=f"run `{artifact.step}` for {self.as_of} again"
        )

    @contextmanager
    def reading(self, artifact: FileArtifact) -> Iterator[Path]:
        """Give a path to read a step's file or folder from. Raises MissingStep, naming the step that makes it."""
        with ExitStack() as copies:
            try:
                path = copies.enter_context(self.kept.reading(artifact.name))
            except FileNotFoundError:
                raise self._missing(artifact.name, artifact.step) from None
            yield path

    def making(self, artifact: FileArtifact) -> AbstractContextManager[Path]:
        """Give a path to make a step's file or folder at; it is in the run's folder once the block has ended."""
        return self.kept.making(artifact.name)

    def _missing(self, name: str, made_by: str) -> MissingStep:
        return MissingStep(f"the run {self.key} has no {name} yet; run `{made_by}` for {self.as_of} first")
