"""A model's files in MLflow: fetched one by one, checked against their SHA-256, and told apart from an outage.

MLflow reports a missing file in several ways (404 behind its artifact proxy, RESOURCE_DOES_NOT_EXIST, an error of the
file system), and a proxy's 404 looks like a broken server. So after a failure the folder is listed: a place that
answers and does not have the file has lost it; one that does not answer cannot be reached.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config import Settings
from pipeline.errors import CorruptFile, MissingArtifact
from pipeline.storage.atomic_files import sha256_file


def fetch_all(settings: Settings, location: str, expected: Mapping[str, str], into: Path, what: str) -> None:
    """Put files of the model at `location` into the folder `into`, each with the SHA-256 that `expected` maps it to.

    Nothing is put there unless all are right. Raises MissingArtifact for a file that is not there, CorruptFile for one
    with other bytes, and MLflow's own exception where the place does not answer.
    """
    with TemporaryDirectory(dir=into, prefix=".") as aside:
        paths = {name: fetch(settings, location, name, Path(aside), what) for name in expected}
        for name, path in paths.items():
            check(path, expected[name], what)
        for name, path in paths.items():
            path.replace(into / name)


def fetch(settings: Settings, location: str, name: str, into: Path, what: str) -> Path:
    """Return where a file of the model at `location` was downloaded to, unchecked."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = f"{location}/artifacts/{name}"
    try:
        path = Path(download_artifacts(artifact_uri=uri, dst_path=str(into), tracking_uri=settings.tracking_uri))
    except (MlflowException, OSError):
        if _has(settings, location, name):
            raise
        raise MissingArtifact(f"{what}: {_below(location, name)} is missing; {_REMEDY}") from None
    if not path.is_file():
        raise MissingArtifact(f"{what}: {_below(location, name)} is not a file; {_REMEDY}")
    return path


def check(path: Path, digest: str, what: str) -> None:
    """Raise CorruptFile if the file's SHA-256 is not `digest`."""
    found = sha256_file(path)
    if found != digest:
        raise CorruptFile(f"{what}: {path.name} has SHA-256 {found[:12]}…, recorded was {digest[:12]}…; {_REMEDY}")


_REMEDY = (
    "restore the artifact from a backup, run that session again, or withdraw the version "
    "(`python -m pipeline champions withdraw`)"
)


def _below(location: str, name: str) -> str:
    """Where the file is among MLflow's artifacts; reports quote it, so without this machine's folders."""
    return "/".join([*location.split("/")[-3:], "artifacts", name])


def _has(settings: Settings, location: str, name: str) -> bool:
    """Whether the model's folder has a file of this name. Raises MLflow's exception where the place does not answer."""
    from mlflow.artifacts import list_artifacts

    found = list_artifacts(artifact_uri=f"{location}/artifacts", tracking_uri=settings.tracking_uri)
    return any(Path(one.path).name == name for one in found)
