"""The promoted models: list them, withdraw one."""

from typing import Any

from pipeline.config import Settings
from pipeline.tracking import registry
from pipeline.tracking.model_files import problem_with


def listed() -> list[dict[str, Any]]:
    """Return all champions, the latest first: version, network, sessions, source, MLflow run, and in `problem` what is
    wrong with its files ("" if they are intact).
    """
    settings = Settings.load()
    return [{**_row(one), "problem": problem_with(settings, one)} for one in registry.champions(settings)]


def withdraw(version: str) -> dict[str, Any]:
    """Withdraw the promotion of a version. Return it and the current champion (None: the best baseline is published).

    Raises BadSetting for a version that is not a champion.
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
