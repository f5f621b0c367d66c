"""A registered model's files in MLflow: downloaded one by one, checked against their SHA-256.

MLflow reports a missing file in several ways (404 behind its artifact proxy, RESOURCE_DOES_NOT_EXIST, an error of the
file system), and a proxy's 404 looks like a broken server. So after a failure the folder is listed: if that succeeds
without the file, the file is lost; if it fails, MLflow is unreachable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.errors import CorruptFile, MissingArtifact
from pipeline.storage.atomic_files import sha256_file
from pipeline.tracking import mlflow_api
from pipeline.tracking.connection import connected
from pipeline.tracking.model_package import DESCRIPTION, WEIGHTS
from pipeline.tracking.registry import MODEL, Registered

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import MlflowClient

_REMEDY = (
    "restore the artifact from a backup, run that session again, or withdraw the version "
    "(`python -m pipeline champions withdraw`)"
)


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """The files of one model: its location in MLflow's artifact store, and what errors call the model."""

    settings: Settings
    location: str
    what: str

    def fetch_all(self, expected: Mapping[str, str], into: Path) -> None:
        """Put files into the folder `into`, each with the SHA-256 that `expected` maps it to; either all or none.

        Raises MissingArtifact for a file that does not exist, CorruptFile for one with other bytes, and MLflow's own
        exception where the artifact store is unreachable.
        """
        with TemporaryDirectory(dir=into, prefix=".") as aside:
            paths = {name: self.fetch(name, digest, Path(aside)) for name, digest in expected.items()}
            for name, path in paths.items():
                path.replace(into / name)

    def fetch(self, name: str, digest: str, into: Path) -> Path:
        """Return where a file was downloaded to below `into`. Raises what `fetch_all` raises."""
        path = self._download(name, into)
        if not path.is_file():
            raise MissingArtifact(f"{self.what}: {self._shown(name)} is not a file; {_REMEDY}")
        found = sha256_file(path)
        if found != digest:
            raise CorruptFile(
                f"{self.what}: {path.name} has SHA-256 {found[:12]}…, recorded was {digest[:12]}…; {_REMEDY}"
            )
        return path

    def _download(self, name: str, into: Path) -> Path:
        uri, server = f"{self.location}/artifacts/{name}", self.settings.tracking_uri
        try:
            return Path(mlflow_api.download_artifacts(artifact_uri=uri, dst_path=str(into), tracking_uri=server))
        except (mlflow_api.MlflowException, OSError):
            if self._has(name):
                raise
        raise MissingArtifact(f"{self.what}: {self._shown(name)} is missing; {_REMEDY}")

    def _has(self, name: str) -> bool:
        """Whether the folder has a file of this name. Raises MLflow's exception where it is unreachable."""
        folder, server = f"{self.location}/artifacts", self.settings.tracking_uri
        found = mlflow_api.list_artifacts(artifact_uri=folder, tracking_uri=server)
        return any(Path(each.path).name == name for each in found)

    def _shown(self, name: str) -> str:
        """Return where the file is among MLflow's artifacts; reports quote it, so without this machine's folders."""
        return "/".join([*self.location.split("/")[-3:], "artifacts", name])


def download(settings: Settings, registered: Registered, into: Path) -> Path:
    """Return `into` with the version's weights and description in it, both checked before they get there.

    Raises CorruptFile if MLflow returns other bytes than were registered, MissingArtifact if it has lost them.
    """
    expected = {WEIGHTS: registered.weights_sha256, DESCRIPTION: registered.description_sha256}
    if all((into / name).is_file() and sha256_file(into / name) == digest for name, digest in expected.items()):
        return into
    into.mkdir(parents=True, exist_ok=True)
    what = f"version {registered.version} of {MODEL} (as of {registered.as_of})"
    with connected(settings, f"download version {registered.version}") as client:
        location = _location(client, registered.model_id, what)
        ModelFiles(settings=settings, location=location, what=what).fetch_all(expected, into)
    return into


def problem_with(settings: Settings, registered: Registered) -> str:
    """Return what is wrong with a version's files in MLflow, "" where they are those that were registered.

    Raises TrackingUnavailable where MLflow is unreachable.
    """
    with TemporaryDirectory() as folder:
        try:
            download(settings, registered, Path(folder))
        except CorruptFile as error:
            return str(error)
    return ""


def _location(client: "MlflowClient", model_id: str, what: str) -> str:
    """Return where the files of a model are. Raises MissingArtifact if its entry was deleted."""
    try:
        return str(client.get_logged_model(model_id).artifact_location)
    except mlflow_api.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise MissingArtifact(
            f"{what}: its model {model_id} was deleted in MLflow; withdraw that version "
            "(`python -m pipeline champions withdraw`)"
        ) from None
