"""What `doctor` asks of MLflow: whether it answers, can be written, has its experiments and the champion's files."""

from pathlib import Path

from pipeline.config import Settings
from pipeline.database.probe import require_writable
from pipeline.errors import CorruptFile, MissingArtifact
from pipeline.tracking import registry
from pipeline.tracking.addresses import address, is_server
from pipeline.tracking.connection import connected, require_experiments


def require_working(settings: Settings) -> None:
    """Raise TrackingUnavailable where MLflow does not answer or its database cannot be written; MissingInTracking where
    an experiment of ours was deleted.

    A server's database is written through an experiment's tag, which keeps its value.
    """
    with connected(settings, "write to the store") as client:
        require_experiments(client, settings)
        if not is_server(settings.tracking_uri):
            require_writable(settings.tracking_uri)


def artifact_folder(settings: Settings) -> Path | None:
    """Return the folder on this machine's disk that artifacts go to; None where a server keeps them."""
    return None if is_server(settings.tracking_uri) else settings.home / "mlflow" / "artifacts"


def champion(settings: Settings) -> str:
    """Return in words which champion runs of the settings' source find. Raises MissingArtifact or CorruptFile where its
    files are not those that were registered, and says which one stands in for it.
    """
    unusable: list[str] = []
    for one in registry.champions(settings):
        if not registry.is_of(one, settings.source):
            continue
        if problem := registry.problem_with(settings, one):
            unusable.append(f"champion version {one.version} of {one.as_of} cannot be used ({problem})")
            continue
        if unusable:
            raise CorruptFile(f"{'; '.join(unusable)}; runs use version {one.version} of {one.as_of} meanwhile")
        return f"champion version {one.version} of {one.as_of} is complete"
    if unusable:
        raise MissingArtifact(f"{'; '.join(unusable)}; runs use a baseline until a network is promoted")
    return "no network has been promoted yet"


def shown(settings: Settings) -> str:
    """Return MLflow's address as people may see it."""
    return address(settings.tracking_uri)
