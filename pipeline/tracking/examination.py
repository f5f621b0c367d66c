"""What `doctor` checks of MLflow: that it responds, can be written to, has the experiments and the champion's files."""

from pathlib import Path

from pipeline.config import Settings
from pipeline.database.probe import require_writable
from pipeline.errors import CorruptFile, MissingArtifact
from pipeline.tracking import registry
from pipeline.tracking.addresses import address, is_server
from pipeline.tracking.connection import connected
from pipeline.tracking.experiments import require_experiments
from pipeline.tracking.model_files import problem_with


def require_working(settings: Settings) -> None:
    """Raise TrackingUnavailable where MLflow is unreachable or its database not writable, MissingInTracking where one
    of the experiments was deleted.

    A server's database is written to by setting an experiment's tag to the value it has.
    """
    with connected(settings, "write to the store") as client:
        require_experiments(client, settings)
        if not is_server(settings.tracking_uri):
            require_writable(settings.tracking_uri)


def artifact_folder(settings: Settings) -> Path | None:
    """Return the folder on this machine's disk that artifacts go to; None where a server stores them."""
    return None if is_server(settings.tracking_uri) else settings.home / "mlflow" / "artifacts"


def champion(settings: Settings) -> str:
    """Return in words which champion runs of the settings' source find.

    Raises MissingArtifact or CorruptFile where its files are not those that were registered; the message names the
    version that replaces it.
    """
    unusable: list[str] = []
    for version in registry.champions(settings):
        if not version.is_of(settings.source):
            continue
        name = f"version {version.version} of {version.as_of}"
        if problem := problem_with(settings, version):
            unusable.append(f"champion {name} cannot be used ({problem})")
            continue
        if unusable:
            raise CorruptFile(f"{'; '.join(unusable)}; runs use {name} meanwhile")
        return f"champion {name} is complete"
    if unusable:
        raise MissingArtifact(f"{'; '.join(unusable)}; runs use a baseline until a network is promoted")
    return "no network has been promoted yet"


def shown(settings: Settings) -> str:
    """Return MLflow's address without credentials."""
    return address(settings.tracking_uri)
