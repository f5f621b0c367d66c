"""The registered model `daily-forecast`: its versions, and which of them was champion as of a session.

A version is one training: its `as_of` and the SHA-256 of its weights. The pipeline reads the versions' tags, never the
aliases, which only know the present: `champion_since` is the session whose gate promoted a version, `source` the source
of its prices. A run finds only champions of its own source; versions from before that tag count for every source. The
aliases follow the tags, for people and for `mlflow models serve`; there is one of each, so they follow the last session
whatever its source. `withdraw` reverses a promotion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Self

from pipeline.config import Settings
from pipeline.errors import BadSetting
from pipeline.tracking import mlflow_api
from pipeline.tracking.connection import connected

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import MlflowClient, ModelVersion

MODEL = "daily-forecast"
MODEL_URI = "models:/"  # and the id of the model that a version stands for
CHAMPION, CHALLENGER = "champion", "challenger"
WITHDRAWN = "withdrawn_champion_since"  # the tag of a version whose promotion was withdrawn


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One version of the registered model."""

    version: str
    as_of: date  # the last session of its training data
    network: str
    weights_sha256: str
    description_sha256: str
    run_id: str
    model_id: str
    champion_since: date | None
    tags: Mapping[str, str]

    @classmethod
    def of(cls, version: "ModelVersion") -> Self:
        """Return the version that MLflow returned."""
        tags = dict(version.tags)
        since = tags.get("champion_since")
        return cls(
            version=str(version.version),
            as_of=date.fromisoformat(tags["as_of"]),
            network=tags["network"],
            weights_sha256=tags["weights_sha256"],
            description_sha256=tags["description_sha256"],
            run_id=str(version.run_id),
            model_id=str(version.source).removeprefix(MODEL_URI),
            champion_since=date.fromisoformat(since) if since else None,
            tags=tags,
        )

    @property
    def source(self) -> str | None:
        """The source of its prices; None for a version from before versions had this tag."""
        return self.tags.get("source")

    def is_of(self, source: str) -> bool:
        """Whether it was trained on a source; a version without one counts for every source."""
        return self.source in (None, source)


def champions_before(settings: Settings, as_of: date) -> list[Registered]:
    """Return the champion that a run as of `as_of` finds, followed by its predecessors.

    Each was trained on the settings' source, on sessions up to its promotion, and was promoted by a session before
    `as_of`. The latest promotion comes first, and of several on one session the highest version.
    """
    with connected(settings, f"look up the champion before {as_of}") as client:
        mine = [champion for champion in _promoted(client) if champion.is_of(settings.source)]
        earlier = [champion for champion in mine if champion.champion_since and champion.champion_since < as_of]
        return sorted(earlier, key=_seniority, reverse=True)


def promote(settings: Settings, version: str, as_of: date) -> None:
    """Make `version` the champion of its source from the session `as_of` on.

    The alias moves only if no later session, of any source, has a champion. Raises ValueError if the version was
    trained on a session after `as_of`.
    """
    with connected(settings, f"promote version {version}") as client:
        registered = Registered.of(client.get_model_version(MODEL, version))
        if registered.as_of > as_of:
            raise ValueError(
                f"version {version} was trained up to {registered.as_of}: it cannot be champion since {as_of}"
            )
        if registered.champion_since is None or registered.champion_since > as_of:
            client.set_model_version_tag(MODEL, version, "champion_since", as_of.isoformat())
        _follow_champion(client)


def champions(settings: Settings) -> list[Registered]:
    """Return every version that was promoted, of any source, the latest first; none where there is no model yet."""
    with connected(settings, "list the champions") as client:
        return sorted(_promoted(client), key=_seniority, reverse=True)


def version_of(settings: Settings, version: str) -> Registered:
    """Return a version by its number. Raises MissingInTracking where there is none."""
    with connected(settings, f"look up version {version} of {MODEL}") as client:
        return Registered.of(client.get_model_version(MODEL, version))


def withdrawn_before(settings: Settings, as_of: date) -> bool:
    """Whether a promotion of the settings' source from before a session was withdrawn."""
    with connected(settings, f"look up champions withdrawn before {as_of}") as client:
        versions = client.search_model_versions(f"name = '{MODEL}' and tags.{WITHDRAWN} != ''")
        withdrawn = [Registered.of(version) for version in versions if WITHDRAWN in version.tags]
        since = [version.tags[WITHDRAWN] for version in withdrawn if version.is_of(settings.source)]
        return any(date.fromisoformat(day) < as_of for day in since)


def withdraw(settings: Settings, version: str) -> Registered | None:
    """Withdraw a promotion: runs of any session find the previous champion from now on. Return the alias's version.

    Raises BadSetting for a version that is not a champion.
    """
    with connected(settings, f"withdraw version {version}") as client:
        if version not in (known := [champion.version for champion in _promoted(client)]):
            names = ", ".join(known) or "none"
            raise BadSetting(f"version {version} of {MODEL} is not a champion; champions: {names}")
        since = Registered.of(client.get_model_version(MODEL, version)).champion_since
        client.set_model_version_tag(MODEL, version, WITHDRAWN, str(since))
        client.delete_model_version_tag(MODEL, version, "champion_since")
        return _follow_champion(client)


def _follow_champion(client: "MlflowClient") -> Registered | None:
    """Point the alias at the champion of the last session, delete it where there is none, and return that champion.

    Checked again after each move: another promotion or withdrawal may happen between the check and the move.
    """
    while True:
        named = alias_of(client, CHAMPION)
        latest = max(_promoted(client), key=_seniority, default=None)
        if named == (latest and latest.version):
            return latest
        _move_champion(client, named, latest)


def _move_champion(client: "MlflowClient", named: str | None, latest: Registered | None) -> None:
    """Move the alias, last seen at `named`. MLflow may refuse the slower of two processes that move it."""
    try:
        if latest is None:
            client.delete_registered_model_alias(MODEL, CHAMPION)
        else:
            client.set_registered_model_alias(MODEL, CHAMPION, latest.version)
    except mlflow_api.MlflowException:
        if alias_of(client, CHAMPION) == named:  # no other process was faster
            raise


def alias_of(client: "MlflowClient", alias: str) -> str | None:
    """Return the version that an alias points at, None without one."""
    version = client.get_registered_model(MODEL).aliases.get(alias)
    return None if version is None else str(version)


def _promoted(client: "MlflowClient") -> list[Registered]:
    versions = client.search_model_versions(f"name = '{MODEL}' and tags.champion_since != ''")
    # MLflow asks its database for the versions and then for their tags: one withdrawn in between comes without any.
    promoted = [Registered.of(version) for version in versions if "champion_since" in version.tags]
    return [each for each in promoted if each.champion_since is not None and each.as_of <= each.champion_since]


def _seniority(registered: Registered) -> tuple[date, int]:
    assert registered.champion_since is not None
    return registered.champion_since, int(registered.version)
