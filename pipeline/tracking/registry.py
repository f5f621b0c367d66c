"""The registered model `daily-forecast`: its versions, and which of them was champion as of a session.

A version is one training: its `as_of` and the SHA-256 of its weights. The pipeline's own questions are answered from
the versions' tags, never from the aliases, which know only today: `champion_since` is the session from whose gate a
version came out as champion, `source` is where its prices came from. A run finds only champions of its own source;
those from before there was the tag count for every source. The aliases follow the tags, for people and for
`mlflow models serve`; there is one of each, so they follow the last session whatever its source. `withdraw` takes a
promotion back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSetting, CorruptFile, MissingArtifact, MissingStep, PipelineError
from pipeline.storage.atomic_files import make_tree_private, sha256_file
from pipeline.tracking.artifacts import check, fetch, fetch_all
from pipeline.tracking.connection import addressed, connected
from pipeline.tracking.model_package import DESCRIPTION, WEIGHTS, save_package

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

MODEL = "daily-forecast"
_SOURCE = "models:/"  # and the id of the model that a version stands for
CHAMPION, CHALLENGER = "champion", "challenger"
WITHDRAWN = "withdrawn_champion_since"  # the tag of a version whose promotion was taken back
_DESCRIPTION_TEXT = (
    "The range of tomorrow's prices: a price history goes in, quantiles of the next sessions' closes come out.\n\n"
    "`champion` is the version that passed the gate last, `challenger` the one trained last, whatever their source. A "
    "version passes if on sessions kept from training it beats the champion and the best baseline, beyond chance.\n\n"
    "`mlflow models serve -m models:/daily-forecast@champion --env-manager local` answers forecasts over HTTP. "
    "A forecast is no advice."
)
# What model.json tells of a model, and each version carries as a tag.
_FACTS = ("as_of", "network", "horizon", "context_length", "hidden_size", "training_steps", "seed", "data_digest")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One version of the registered model."""

    version: str
    as_of: date  # the last session it has seen
    network: str
    weights_sha256: str
    description_sha256: str
    run_id: str
    model_id: str
    champion_since: date | None
    tags: Mapping[str, str]


def register(
    settings: Settings,
    run_id: str,
    *,
    model_dir: Path,
    example: pd.DataFrame,
    tags: Mapping[str, str],
    challenger: bool = True,
) -> Registered:
    """Return the version that holds the model in `model_dir`, registered under the run if there is none yet.

    `example` is a short price history, kept as the model's input example. The version is made last, when the uploaded
    weights were read back, so that a half-done upload leaves none. Files that MLflow has lost since are uploaded again.
    The same weights trained on another source are another version. `challenger` moves the alias of that name to it,
    which a trial does not.
    """
    facts = {**_facts(model_dir), "source": settings.source}
    with connected(settings, f"register the model of {facts['as_of']}") as client:
        version = _find(client, facts)
        if version is None:
            model = _logged_model(client, run_id, facts)
            _upload(client, settings, model, model_dir, example)
            version = _create_version(client, settings, run_id, model, {**tags, **facts})
        else:
            _complete(client, settings, _read(version), model_dir, example)
        registered = _read(version)
        _link(client, run_id, registered)
        if challenger:
            _point_challenger(client, registered)
        return registered


def champion_before(settings: Settings, as_of: date) -> Registered | None:
    """Return the champion that a run as of `as_of` finds: promoted by a session before it, and trained on none later.

    It was trained on the source of the settings. The latest promotion counts, and of several on one session the highest
    version.
    """
    return next(iter(champions_before(settings, as_of)), None)


def champions_before(settings: Settings, as_of: date) -> list[Registered]:
    """Return every champion there was for a run as of `as_of`, the one that counts first, its predecessors after it."""
    with connected(settings, f"look up the champion before {as_of}") as client:
        mine = [one for one in _promoted(client) if _is_of(one.tags, settings.source)]
        earlier = [one for one in mine if one.champion_since and one.champion_since < as_of]
        return sorted(earlier, key=_seniority, reverse=True)


def promote(settings: Settings, version: str, as_of: date) -> None:
    """Make `version` the champion of its source from the session `as_of` on.

    The alias moves only if no later session, of any source, has a champion. Raises ValueError if the version has seen a
    session after `as_of`.
    """
    with connected(settings, f"promote version {version}") as client:
        registered = _read(client.get_model_version(MODEL, version))
        if registered.as_of > as_of:
            raise ValueError(f"version {version} has seen {registered.as_of}, it cannot be champion since {as_of}")
        if registered.champion_since is None or registered.champion_since > as_of:
            client.set_model_version_tag(MODEL, version, "champion_since", as_of.isoformat())
        _follow_champion(client)


def champions(settings: Settings) -> list[Registered]:
    """Return every version that was promoted, of any source, the last one first; none where there is no model yet."""
    with connected(settings, "list the champions") as client:
        return sorted(_promoted(client), key=_seniority, reverse=True)


def is_of(registered: Registered, source: str) -> bool:
    """Whether a version was trained on a source; one from before versions said so counts for every source."""
    return _is_of(registered.tags, source)


def problem_with(settings: Settings, registered: Registered) -> str:
    """Return what is wrong with a version's files in MLflow, "" where they are those that were registered.

    Raises TrackingUnavailable where MLflow does not answer.
    """
    with TemporaryDirectory() as folder:
        try:
            download(settings, registered, Path(folder))
        except CorruptFile as error:
            return str(error)
    return ""


def version_of(settings: Settings, version: str) -> Registered:
    """Return a version by its number. Raises MissingInTracking where there is none."""
    with connected(settings, f"look up version {version} of {MODEL}") as client:
        return _read(client.get_model_version(MODEL, version))


def withdrawn_before(settings: Settings, as_of: date) -> bool:
    """Whether a promotion of the settings' source from before a session was taken back."""
    with connected(settings, f"look up champions withdrawn before {as_of}") as client:
        versions = client.search_model_versions(f"name = '{MODEL}' and tags.{WITHDRAWN} != ''")
        since = [one.tags[WITHDRAWN] for one in versions if _is_of(one.tags, settings.source)]
        return any(date.fromisoformat(day) < as_of for day in since)


def withdraw(settings: Settings, version: str) -> Registered | None:
    """Take a promotion back: runs of any session find the champion before it from now on. Return whom the alias names.

    Raises BadSetting for a version that is no champion.
    """
    with connected(settings, f"withdraw version {version}") as client:
        if version not in (known := [one.version for one in _promoted(client)]):
            names = ", ".join(known) or "there is none"
            raise BadSetting(f"version {version} of {MODEL} is no champion; champions: {names}")
        since = _read(client.get_model_version(MODEL, version)).champion_since
        client.set_model_version_tag(MODEL, version, WITHDRAWN, str(since))
        client.delete_model_version_tag(MODEL, version, "champion_since")
        return _follow_champion(client)


def download(settings: Settings, registered: Registered, into: Path) -> Path:
    """Return `into` with the version's weights and description in it, both checked before they get there.

    Raises CorruptFile if MLflow hands out other bytes than were registered, MissingArtifact if it has lost them.
    """
    expected = {WEIGHTS: registered.weights_sha256, DESCRIPTION: registered.description_sha256}
    if all((into / name).is_file() and sha256_file(into / name) == digest for name, digest in expected.items()):
        return into
    into.mkdir(parents=True, exist_ok=True)
    what = f"version {registered.version} of {MODEL} (as of {registered.as_of})"
    with connected(settings, f"download version {registered.version}") as client:
        fetch_all(settings, _location(client, registered.model_id, what), expected, into, what)
    return into


def _location(client: "MlflowClient", model_id: str, what: str) -> str:
    """Where the files of a model are. Raises MissingArtifact if its entry was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_logged_model(model_id).artifact_location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise MissingArtifact(
            f"{what}: its model {model_id} was deleted in MLflow; withdraw that version "
            "(`python -m pipeline champions withdraw`)"
        ) from None


def _facts(model_dir: Path) -> dict[str, str]:
    """What the files say of the model, as tags. Raises MissingStep or CorruptFile if training left something else."""
    missing = [name for name in (WEIGHTS, DESCRIPTION) if not (model_dir / name).is_file()]
    if missing:
        raise MissingStep(f"{model_dir} has no {' and no '.join(missing)}; run the training again")
    described: dict[str, Any] = json.loads((model_dir / DESCRIPTION).read_text(encoding="utf-8"))
    weights = sha256_file(model_dir / WEIGHTS)
    if weights != described["weights_sha256"]:
        raise CorruptFile(
            f"{model_dir / WEIGHTS} has SHA-256 {weights[:12]}…, {DESCRIPTION} beside it says "
            f"{described['weights_sha256'][:12]}…; run the training again"
        )
    digests = {"weights_sha256": weights, "description_sha256": sha256_file(model_dir / DESCRIPTION)}
    return {name: str(described[name]) for name in _FACTS if name in described} | digests


def _find(client: "MlflowClient", facts: Mapping[str, str]) -> "ModelVersion | None":
    """The version of this training, the oldest if a request that was sent twice has left two."""
    same = f"name = '{MODEL}' and tags.weights_sha256 = '{facts['weights_sha256']}' and tags.as_of = '{facts['as_of']}'"
    mine = [version for version in client.search_model_versions(same) if _is_of(version.tags, facts["source"])]
    return min(mine, key=lambda version: int(version.version), default=None)


def _is_of(tags: Mapping[str, str], source: str) -> bool:
    """Whether a version is of a source; one from before versions said so is of every source."""
    return tags.get("source", source) == source


def _logged_model(client: "MlflowClient", run_id: str, facts: Mapping[str, str]) -> "LoggedModel":
    """The run's model entry for these weights: one that a broken attempt left behind, else a new one."""
    experiment = client.get_run(run_id).info.experiment_id
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if model.tags.get("weights_sha256") == facts["weights_sha256"]:
            return model
    return client.create_logged_model(
        experiment, name="forecast", source_run_id=run_id, tags=dict(facts), params=dict(facts), model_type="forecaster"
    )


def _upload(
    client: "MlflowClient", settings: Settings, model: "LoggedModel", model_dir: Path, example: pd.DataFrame
) -> None:
    with TemporaryDirectory() as folder:
        package = Path(folder) / "model"
        save_package(package, model_dir=model_dir, example=example, exchange=settings.exchange, model=model)
        make_tree_private(package)  # on a disk MLflow copies files with their permissions, here those of the checkout
        client.log_model_artifacts(model.model_id, str(package))
        for name in (WEIGHTS, DESCRIPTION):
            what = f"the upload to model {model.model_id}"
            back = fetch(settings, model.artifact_location, name, Path(folder), what)
            check(back, sha256_file(model_dir / name), what)
    client.finalize_logged_model(model.model_id, "READY")


def _complete(
    client: "MlflowClient", settings: Settings, registered: Registered, model_dir: Path, example: pd.DataFrame
) -> None:
    """Upload a version's files again if MLflow has lost them: the training that was repeated has made the same."""
    from mlflow.exceptions import MlflowException

    if not problem_with(settings, registered):
        return
    try:
        model = client.get_logged_model(registered.model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return  # somebody deleted the entry: the gate passes the version over, and says so
    _upload(client, settings, model, model_dir, example)


def _create_version(
    client: "MlflowClient", settings: Settings, run_id: str, model: "LoggedModel", tags: Mapping[str, str]
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(MODEL, description=_DESCRIPTION_TEXT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with addressed(settings):
        source = f"{_SOURCE}{model.model_id}"
        client.create_model_version(MODEL, source, run_id=run_id, tags=dict(tags), model_id=model.model_id)
    version = _find(client, tags)  # read back: of two that were made at once, both makers take the older
    if version is None:
        raise PipelineError(f"MLflow has lost a new version of {MODEL}; look at the server's log and retry")
    return version


def _link(client: "MlflowClient", run_id: str, registered: Registered) -> None:
    """Show the version's model on the run's page, also where an earlier run of the same session has made it."""
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    shown = [output.model_id for output in run.outputs.model_outputs] if run.outputs else []
    if registered.model_id not in shown:
        client.log_outputs(run_id, [LoggedModelOutput(registered.model_id, step=0)])
    if run.data.tags.get("model_version") != registered.version:
        client.set_tag(run_id, "model_version", registered.version)


def _follow_champion(client: "MlflowClient") -> Registered | None:
    """Have the alias name the champion of the last session, nobody where there is none, and return whom it names.

    Looked at again after each move: another promotion or withdrawal may have come between the look and the move.
    """
    while True:
        named = _alias(client, CHAMPION)
        latest = max(_promoted(client), key=_seniority, default=None)
        if named == (latest and latest.version):
            return latest
        _move_champion(client, named, latest)


def _move_champion(client: "MlflowClient", named: str | None, latest: Registered | None) -> None:
    """Move the alias, which was seen to name `named`. MLflow may refuse the slower of two processes that move it."""
    from mlflow.exceptions import MlflowException

    try:
        if latest is None:
            client.delete_registered_model_alias(MODEL, CHAMPION)
        else:
            client.set_registered_model_alias(MODEL, CHAMPION, latest.version)
    except MlflowException:
        if _alias(client, CHAMPION) == named:  # nobody was quicker
            raise


def _point_challenger(client: "MlflowClient", registered: Registered) -> None:
    """Point the alias at the version, unless it is at a version of a later session already."""
    current = _alias(client, CHALLENGER)
    if current is not None and _read(client.get_model_version(MODEL, current)).as_of > registered.as_of:
        return
    if current != registered.version:
        client.set_registered_model_alias(MODEL, CHALLENGER, registered.version)


def _alias(client: "MlflowClient", alias: str) -> str | None:
    version = client.get_registered_model(MODEL).aliases.get(alias)
    return None if version is None else str(version)


def _promoted(client: "MlflowClient") -> list[Registered]:
    versions = client.search_model_versions(f"name = '{MODEL}' and tags.champion_since != ''")
    # MLflow asks its database for the versions and then for their tags: one withdrawn in between comes without any.
    promoted = [_read(version) for version in versions if "champion_since" in version.tags]
    return [one for one in promoted if one.champion_since is not None and one.as_of <= one.champion_since]


def _seniority(registered: Registered) -> tuple[date, int]:
    assert registered.champion_since is not None
    return registered.champion_since, int(registered.version)


def _read(version: "ModelVersion") -> Registered:
    tags = dict(version.tags)
    since = tags.get("champion_since")
    return Registered(
        version=str(version.version),
        as_of=date.fromisoformat(tags["as_of"]),
        network=tags["network"],
        weights_sha256=tags["weights_sha256"],
        description_sha256=tags["description_sha256"],
        run_id=str(version.run_id),
        model_id=str(version.source).removeprefix(_SOURCE),
        champion_since=date.fromisoformat(since) if since else None,
        tags=tags,
    )
