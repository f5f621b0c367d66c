"""The models that were promoted, for a person who wants one back: list them, withdraw one."""

from typing import Any

from pipeline.config import Settings
from pipeline.tracking import registry
from pipeline.tracking.model_files import problem_with


def listed() -> list[dict[str, Any]]:
    """Return every champion there has been, the last one first: version, network, sessions, source, MLflow run, and in
    `problem` what is wrong with its files ("" where they are complete).
    """
    settings = Settings.load()
    return [{**_row(one), "problem": problem_with(settings, one)} for one in registry.champions(settings)]


def withdraw(version: str) -> dict[str, Any]:
    """Take a version's promotion back. Return it, and the champion that runs find now (None: a baseline serves).

    Raises BadSetting for a version that is no champion.
    """
    latest = registry.withdraw(Settings.load(), version)
    return {"withdrawn": version, "champion": None if latest is None else _row(latest)}


def _row(one: registry.Registered) -> dict[str, Any]:
    return {
        "version": one.version,
        "network": one.network,
        "champion_since": str(one.champion_since),
        "trained_as_of": str(one.as_of),
        "source": one.source,
        "mlflow_run_id": one.run_id,
    }
