"""Versions are created once, past sessions never use a later champion, and no weights are loaded unchecked."""

import itertools
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.errors import BadSetting, CorruptFile, MissingArtifact, MissingInTracking, MissingStep, PipelineError
from pipeline.storage.atomic_files import sha256_file
from pipeline.tracking import registration, registry
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.model_files import download, problem_with
from tests.tracking.material import AS_OF

DAYS = [date(2013, 2, day) for day in (25, 26, 27, 28)]
Register = Callable[..., registry.Registered]


@pytest.fixture
def register(
    settings: Settings, run: MlflowRun, trained: Callable[..., Path], prices: pd.DataFrame
) -> Callable[..., registry.Registered]:
    def register_one(
        as_of: date = AS_OF, seed: int = 1, run_id: str = run.run_id, source: str = "sample"
    ) -> registry.Registered:
        mine = settings.model_copy(update={"source": source})
        return registration.register(
            MlflowRun(settings=mine, run_id=run_id), model_dir=trained(as_of, seed), example=prices, tags={}
        )

    return register_one


@pytest.fixture
def versions(client: Any) -> Callable[..., str]:
    """Creates versions in the registry without files: these tests read only their tags."""
    client.create_registered_model(registry.MODEL)

    def make(as_of: date, **tags: str) -> str:
        needed = {"as_of": str(as_of), "network": "lstm", "weights_sha256": "a" * 64, "description_sha256": "b" * 64}
        return str(client.create_model_version(registry.MODEL, "/nowhere", tags={**needed, **tags}).version)

    return make


def versions_before(settings: Settings, as_of: date) -> list[str]:
    """Return the versions of the champions before a session, the one that a run finds first."""
    return [one.version for one in registry.champions_before(settings, as_of)]


def aliases(client: Any) -> dict[str, str]:
    return {name: str(version) for name, version in client.get_registered_model(registry.MODEL).aliases.items()}


def test_the_same_training_keeps_its_version(register: Register, client: Any) -> None:
    first = register()
    assert register() == first
    assert register(seed=2).version == "2"
    assert aliases(client)["challenger"] == "2"
    assert register() == first
    assert aliases(client)["challenger"] == "1"


def test_a_version_tells_what_it_is(register: Register, run_id: str, client: Any) -> None:
    made = register()
    assert (made.as_of, made.network, made.run_id, made.champion_since) == (AS_OF, "lstm", run_id, None)
    assert made.tags["source"] == "sample"
    assert made.tags["horizon"] == "5"
    assert made.tags["data_digest"] == "d" * 64
    run = client.get_run(run_id)
    assert run.data.tags["model_version"] == "1"
    assert [output.model_id for output in run.outputs.model_outputs] == [made.model_id]


def test_the_same_weights_from_another_source_are_a_version_of_their_own(register: Register) -> None:
    first, other = register(), register(source="yahoo")
    assert (first.version, first.tags["source"]) == ("1", "sample")
    assert (other.version, other.tags["source"]) == ("2", "yahoo")
    assert register(source="yahoo") == other


def test_another_run_of_the_session_shows_the_version_it_shares(
    register: Register, settings: Settings, client: Any
) -> None:
    first = register()
    experiment = client.get_run(first.run_id).info.experiment_id
    other = client.create_run(experiment).info.run_id
    assert register(run_id=other) == first
    assert [output.model_id for output in client.get_run(other).outputs.model_outputs] == [first.model_id]


@pytest.mark.parametrize(
    "breaks", ["log_model_artifacts", "finalize_logged_model", "create_model_version", "log_outputs"]
)
def test_a_registration_that_broke_off_is_completed_with_one_version(
    breaks: str, register: Register, run_id: str, monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise mlflow.MlflowException("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, breaks, broken)
        with pytest.raises(PipelineError, match="cannot register the model of 2013-02-28"):
            register()
    assert register().version == "1"
    assert len(client.search_model_versions(f"name = '{registry.MODEL}'")) == 1
    assert len(client.search_logged_models([client.get_run(run_id).info.experiment_id])) == 1


def test_a_request_that_was_sent_twice_creates_one_version(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    create = mlflow.MlflowClient.create_model_version

    def create_twice(self: Any, *args: Any, **kwargs: Any) -> Any:
        create(self, *args, **kwargs)
        return create(self, *args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", create_twice)
    assert register().version == "1"
    assert register().version == "1"


def test_weights_that_do_not_match_the_training_are_refused(
    trained: Callable[..., Path], run: MlflowRun, prices: pd.DataFrame
) -> None:
    folder = trained()
    flip_a_byte(folder / "weights.safetensors")
    with pytest.raises(CorruptFile, match=r"weights\.safetensors has SHA-256"):
        registration.register(run, model_dir=folder, example=prices, tags={})
    with pytest.raises(MissingStep, match=r"no weights\.safetensors and no model\.json"):
        registration.register(run, model_dir=folder / "nothing", example=prices, tags={})


def test_an_incomplete_upload_creates_no_version(
    register: Register, monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    upload = mlflow.MlflowClient.log_model_artifacts

    def torn(self: Any, model_id: str, local_dir: str) -> None:
        flip_a_byte(Path(local_dir) / "artifacts" / "weights.safetensors")
        upload(self, model_id, local_dir)

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_artifacts", torn)
    with pytest.raises(CorruptFile, match="the upload"):
        register()
    assert client.search_model_versions(f"name = '{registry.MODEL}'") == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_the_past_never_sees_a_later_champion(
    order: tuple[int, ...], settings: Settings, versions: Callable[..., str], client: Any
) -> None:
    promoted: dict[date, str] = {}
    for day in (DAYS[index] for index in order):
        promoted[day] = versions(day)
        registry.promote(settings, promoted[day], day)
        assert aliases(client)["champion"] == promoted[max(promoted)]
        for asked in [*DAYS, DAYS[-1] + timedelta(days=1)]:
            earlier = [past for past in promoted if past < asked]
            assert versions_before(settings, asked)[:1] == ([promoted[max(earlier)]] if earlier else [])


def test_a_champion_stands_for_its_own_source_alone_and_the_alias_for_the_last_of_any(
    settings: Settings, versions: Callable[..., str], client: Any
) -> None:
    of_source = {name: settings.model_copy(update={"source": name}) for name in ("sample", "yahoo", "files")}
    on_sample, on_yahoo = versions(DAYS[0], source="sample"), versions(DAYS[1], source="yahoo")
    registry.promote(of_source["yahoo"], on_yahoo, DAYS[1])
    registry.promote(of_source["sample"], on_sample, DAYS[0])
    assert aliases(client)["champion"] == on_yahoo
    for name, expected in (("sample", [on_sample]), ("yahoo", [on_yahoo]), ("files", [])):
        assert versions_before(of_source[name], DAYS[3]) == expected
    assert versions_before(of_source["yahoo"], DAYS[1]) == []


def test_a_version_that_does_not_name_its_source_counts_for_every_one(
    settings: Settings, versions: Callable[..., str]
) -> None:
    old, new = versions(DAYS[0]), versions(DAYS[1], source="yahoo")
    for version, day in ((old, DAYS[0]), (new, DAYS[1])):
        registry.promote(settings, version, day)
    for name, expected in (("sample", [old]), ("yahoo", [new, old])):
        mine = settings.model_copy(update={"source": name})
        assert versions_before(mine, DAYS[3]) == expected


def test_without_a_promotion_there_is_no_champion(settings: Settings, versions: Callable[..., str]) -> None:
    assert versions_before(settings, AS_OF) == []
    versions(DAYS[0])
    assert versions_before(settings, AS_OF) == []


def test_without_any_model_there_is_no_champion(settings: Settings) -> None:
    assert versions_before(settings, AS_OF) == []


def test_the_alias_alone_makes_no_champion(settings: Settings, versions: Callable[..., str], client: Any) -> None:
    client.set_registered_model_alias(registry.MODEL, "champion", versions(DAYS[0]))
    assert versions_before(settings, AS_OF) == []


def test_a_champion_trained_after_its_promotion_is_skipped(settings: Settings, versions: Callable[..., str]) -> None:
    versions(DAYS[2], champion_since=str(DAYS[0]))
    assert versions_before(settings, DAYS[1]) == []
    assert versions_before(settings, AS_OF + timedelta(days=1)) == []


def test_of_two_promotions_on_a_session_the_later_version_counts(
    settings: Settings, versions: Callable[..., str], client: Any
) -> None:
    first, second = versions(DAYS[0]), versions(DAYS[0])
    for version in (second, first):
        registry.promote(settings, version, DAYS[0])
    assert versions_before(settings, DAYS[1]) == [second, first]
    assert aliases(client)["champion"] == second


def test_versions_are_compared_as_numbers(settings: Settings, versions: Callable[..., str]) -> None:
    made = [versions(DAYS[0]) for _ in range(10)]
    for version in (made[8], made[9]):  # 9 and 10
        registry.promote(settings, version, DAYS[0])
    assert versions_before(settings, DAYS[1]) == ["10", "9"]


def test_promotion_is_idempotent(settings: Settings, versions: Callable[..., str], client: Any) -> None:
    old, new = versions(DAYS[0]), versions(DAYS[1])
    for version, day in itertools.product([(old, DAYS[0]), (new, DAYS[1])], range(2)):
        del day
        registry.promote(settings, *version)
    registry.promote(settings, old, DAYS[3])  # has been champion since the first day already
    assert client.get_model_version(registry.MODEL, old).tags["champion_since"] == str(DAYS[0])
    assert aliases(client)["champion"] == new


def test_of_two_promotions_at_once_the_later_session_keeps_the_alias(
    settings: Settings, versions: Callable[..., str], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = versions(DAYS[0]), versions(DAYS[1])
    move = mlflow.MlflowClient.set_registered_model_alias
    moves: list[str] = []

    def overtaken(self: Any, name: str, alias: str, version: str) -> None:
        moves.append(version)
        if len(moves) == 1:  # it has looked, and before it moves the alias another promotion comes and goes
            registry.promote(settings, new, DAYS[1])
        move(self, name, alias, version)

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", overtaken)
    registry.promote(settings, old, DAYS[0])
    assert moves == [old, new, new]
    assert aliases(client)["champion"] == new


def test_the_champions_before_a_session_are_listed_from_the_last_one_back(
    settings: Settings, versions: Callable[..., str]
) -> None:
    made = [versions(day) for day in DAYS[:3]]
    for version, day in zip(made, DAYS[:3], strict=True):
        registry.promote(settings, version, day)
    assert [one.version for one in registry.champions_before(settings, DAYS[2])] == [made[1], made[0]]
    assert registry.champions_before(settings, DAYS[0]) == []


def test_a_withdrawn_champion_serves_no_run_and_the_one_before_it_does(
    settings: Settings, versions: Callable[..., str], client: Any
) -> None:
    first, second, third = (versions(day, champion_since=str(day)) for day in DAYS[:3])
    registry.promote(settings, third, DAYS[2])
    assert [one.version for one in registry.champions(settings)] == [third, second, first]
    latest = registry.withdraw(settings, third)
    assert latest is not None
    assert latest.version == second
    assert aliases(client)["champion"] == second
    assert versions_before(settings, DAYS[3]) == [second, first]
    with pytest.raises(BadSetting, match=f"version {third} of daily-forecast is not a champion; champions: "):
        registry.withdraw(settings, third)


def test_of_two_withdrawals_at_once_neither_leaves_the_alias_with_the_others_version(
    settings: Settings, versions: Callable[..., str], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (versions(day, champion_since=str(day)) for day in DAYS[:3])
    registry.promote(settings, third, DAYS[2])
    move = type(client).set_registered_model_alias

    def moved_late(*arguments: Any) -> None:
        monkeypatch.setattr(type(client), "set_registered_model_alias", move)
        registry.withdraw(settings, second)  # by another process, between the look and the move
        move(*arguments)

    monkeypatch.setattr(type(client), "set_registered_model_alias", moved_late)
    latest = registry.withdraw(settings, third)
    assert latest is not None
    assert aliases(client)["champion"] == latest.version == first


def test_that_there_was_a_champion_is_remembered_for_the_sessions_after_it_and_its_own_source(
    settings: Settings, versions: Callable[..., str]
) -> None:
    assert not registry.withdrawn_before(settings, DAYS[3])
    only = versions(DAYS[0], source="sample")
    registry.promote(settings, only, DAYS[1])
    assert not registry.withdrawn_before(settings, DAYS[3])
    registry.withdraw(settings, only)
    assert [registry.withdrawn_before(settings, day) for day in DAYS[:4]] == [False, False, True, True]
    assert not registry.withdrawn_before(settings.model_copy(update={"source": "yahoo"}), DAYS[3])


def test_a_trial_does_not_become_the_challenger(
    run: MlflowRun, trained: Callable[..., Path], prices: pd.DataFrame, register: Register, client: Any
) -> None:
    standing = register()
    folder = trained(AS_OF, 2)
    registration.register(run, model_dir=folder, example=prices, tags={"trial": "x"}, challenger=False)
    assert aliases(client)["challenger"] == standing.version


def test_without_a_champion_left_there_is_no_alias(
    settings: Settings, versions: Callable[..., str], client: Any
) -> None:
    only = versions(DAYS[0])
    registry.promote(settings, only, DAYS[0])
    assert registry.withdraw(settings, only) is None
    assert aliases(client) == {}
    assert registry.champions(settings) == []
    registry.promote(settings, only, DAYS[1])
    assert aliases(client) == {"champion": only}


def test_a_version_cannot_be_champion_of_a_session_before_its_own(
    settings: Settings, versions: Callable[..., str]
) -> None:
    with pytest.raises(ValueError, match="was trained up to 2013-02-28"):
        registry.promote(settings, versions(DAYS[3]), DAYS[0])


def test_an_older_session_does_not_become_the_challenger(register: Register, client: Any) -> None:
    newest = register(DAYS[3])
    register(DAYS[0])
    assert aliases(client)["challenger"] == newest.version


def test_a_download_is_what_was_registered(
    register: Register, settings: Settings, trained: Callable[..., Path], tmp_path: Path
) -> None:
    made = register()
    for _ in range(2):
        folder = download(settings, made, tmp_path / "champion")
    original = trained()
    for name in ("weights.safetensors", "model.json"):
        assert (folder / name).read_bytes() == (original / name).read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "weights.safetensors"]


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_flipped_byte_is_noticed_before_anything_loads_it(
    name: str, register: Register, settings: Settings, tmp_path: Path
) -> None:
    made = register()
    flip_a_byte(next(settings.home.rglob(f"artifacts/artifacts/{name}")))
    with pytest.raises(CorruptFile, match=r"version 1 of daily-forecast \(as of 2013-02-28\).*backup") as told:
        download(settings, made, tmp_path / "champion")
    assert not told.value.retryable
    assert list((tmp_path / "champion").iterdir()) == []


def test_a_damaged_copy_is_fetched_again(register: Register, settings: Settings, tmp_path: Path) -> None:
    made = register()
    folder = download(settings, made, tmp_path / "champion")
    flip_a_byte(folder / "weights.safetensors")
    download(settings, made, folder)
    assert sha256_file(folder / "weights.safetensors") == made.weights_sha256


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_training_that_is_repeated_uploads_files_that_were_lost(
    name: str, register: Register, settings: Settings, client: Any
) -> None:
    made = register()
    next(settings.home.rglob(f"artifacts/artifacts/{name}")).unlink()
    assert problem_with(settings, made).endswith("withdraw the version (`python -m pipeline champions withdraw`)")
    assert register() == made
    assert problem_with(settings, made) == ""
    assert len(client.search_model_versions(f"name = '{registry.MODEL}'")) == 1


def test_a_model_that_was_deleted_in_mlflow_is_not_uploaded_again(
    register: Register, settings: Settings, client: Any
) -> None:
    made = register()
    client.delete_logged_model(made.model_id)
    with pytest.raises(MissingArtifact, match=f"its model {made.model_id} was deleted in MLflow; withdraw"):
        download(settings, made, settings.home / "champion")


@pytest.mark.parametrize(
    "ask",
    [
        lambda settings: registry.promote(settings, "7", AS_OF),
        lambda settings: registry.version_of(settings, "7"),
    ],
)
def test_a_model_or_version_that_was_deleted_is_named_with_the_step_that_records_it_again(
    ask: Callable[[Settings], Any], register: Register, settings: Settings, client: Any
) -> None:
    register()
    with pytest.raises(MissingInTracking, match=r"no longer has the requested object .*version=7.*repeat `upload`"):
        ask(settings)
    client.delete_registered_model(registry.MODEL)
    with pytest.raises(MissingInTracking, match="repeat `upload`"):
        ask(settings)
    assert registry.champions(settings) == []
    assert register().version == "1"


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
