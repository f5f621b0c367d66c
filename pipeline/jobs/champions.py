"""The promoted models: list them, withdraw one."""

from dataclasses import dataclass, replace
from typing import Annotated

from pipeline.config import Settings
from pipeline.storage.documents import OMIT_NONE
from pipeline.tracking import registry
from pipeline.tracking.model_files import problem_with


@dataclass(frozen=True, kw_only=True)
class Champion:
    """A model version that was promoted; `problem` says what is wrong with its files, "" if they are intact."""

    version: str
    network: str
    champion_since: str
    trained_as_of: str
    source: str | None
    mlflow_run_id: str | None
    problem: Annotated[str | None, OMIT_NONE] = None  # None: not checked


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A withdrawn version, and the champion since (None: the best baseline is published)."""

    withdrawn: str
    champion: Champion | None


def listed() -> list[Champion]:
    """Return all champions, the latest first, with the problems of their files."""
    settings = Settings.load()
    return [replace(_champion(one), problem=problem_with(settings, one)) for one in registry.champions(settings)]


def withdraw(version: str) -> Withdrawal:
    """Withdraw the promotion of a version. Raises BadSetting for a version that is not a champion."""
    latest = registry.withdraw(Settings.load(), version)
    return Withdrawal(withdrawn=version, champion=None if latest is None else _champion(latest))


def _champion(registered: registry.Registered) -> Champion:
    return Champion(
        version=registered.version,
        network=registered.network,
        champion_since=str(registered.champion_since),
        trained_as_of=str(registered.as_of),
        source=registered.source,
        mlflow_run_id=registered.run_id,
    )
