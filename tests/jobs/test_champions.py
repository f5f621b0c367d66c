"""The champion before the gate: which one is used when files are damaged, and how old it may be."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline import jobs
from pipeline.config import Overrides, Settings
from pipeline.errors import BadSetting, MissingStep, TrackingUnavailable
from pipeline.evaluation.holdout import Heldout
from pipeline.forecast_schema import LEVELS
from pipeline.jobs import gating, incumbent
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import DECISION, TRAINING, UPLOAD
from pipeline.prices.sources.sample import SampleSource
from pipeline.storage.documents import to_document
from pipeline.tracking import registry
from tests.small import set_as_standing

SMALL = {
    "training_steps": 2,
    "hidden_size": 4,
    "context_length": 10,
    "batch_size": 32,
    "holdout_sessions": 40,
    "validation_sessions": 40,
    "symbols": "AAPL,IBM",
}
DAYS = [date(2013, 2, 26), date(2013, 2, 27), date(2013, 2, 28)]
NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)


def judged(as_of: date, **overrides: Any) -> Any:
    """Run everything up to the gate; return its decision as it is kept."""
    planned = jobs.plan(key=None, now=NOW, as_of=as_of, overrides=Overrides({**SMALL, **overrides}), provenance={})
    run, batches = planned.run, planned.batches
    for batch in batches:
        jobs.ingest(run, batch, known_at=NOW)
    jobs.snapshot(run, known_at=NOW)
    for step in (jobs.score, jobs.train_all, jobs.upload):
        step(run)
    return run, to_document(jobs.judge(run))


@pytest.fixture(scope="module")
def two_champions(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the networks of two sessions have become champion."""
    home = tmp_path_factory.mktemp("champions") / "var"
    shutil.copytree(empty_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        set_as_standing(patch, SMALL)
        for number, day in enumerate(DAYS[:2], start=1):
            judged(day)
            registry.promote(Settings.load(), str(number), day)
    return home


def flip(weights: Path, _model: str) -> None:
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)


def delete_entry(_weights: Path, model: str) -> None:
    MlflowClient(Settings.load().tracking_uri).delete_logged_model(model)


def replace_by_folder(weights: Path, _model: str) -> None:
    weights.unlink()
    weights.mkdir()


DAMAGES: dict[str, Callable[[Path, str], Any]] = {
    "a flipped byte": flip,
    "weights truncated": lambda weights, _: weights.write_bytes(weights.read_bytes()[:100]),
    "weights empty": lambda weights, _: weights.write_bytes(b""),
    "weights deleted": lambda weights, _: weights.unlink(),
    "description deleted": lambda weights, _: (weights.parent / "model.json").unlink(),
    "folder deleted": lambda weights, _: shutil.rmtree(weights.parents[2]),
    "a folder in its place": replace_by_folder,
    "entry deleted in MLflow": delete_entry,
}


@pytest.fixture
def damaged(two_champions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Damages files of the given versions in a copy of that home; `how` says in what way."""
    home = tmp_path / "var"
    shutil.copytree(two_champions, home)
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    set_as_standing(monkeypatch, SMALL)
    kept = {one.version: one.model_id for one in registry.champions_before(Settings.load(), DAYS[2])}

    def damage(*versions: str, how: str = "a flipped byte") -> None:
        for version in versions:
            (weights,) = home.rglob(f"{kept[version]}/artifacts/artifacts/weights.safetensors")
            DAMAGES[how](weights, kept[version])

    return damage


@pytest.mark.parametrize(
    ("broken", "champion"),
    [((), "2"), (("2",), "1"), pytest.param(("1",), "2", marks=pytest.mark.slow), (("1", "2"), None)],
)
def test_the_last_champion_that_is_whole_is_used_and_the_reason_names_the_others(
    broken: tuple[str, ...], champion: str | None, damaged: Callable[..., None]
) -> None:
    damaged(*broken)
    run, decision = judged(DAYS[2])
    known = _kept(run)["champion"]
    assert (known and known["version"]) == champion
    skipped = [version for version in ("2", "1") if version in broken and (champion is None or version > champion)]
    for version in ("1", "2"):
        words = f"hampion version {version} of {DAYS[int(version) - 1]} cannot be used"
        assert (words in decision["reason"]) == (version in skipped)
    assert ("no champion can be used" in decision["reason"]) == (champion is None)
    proof = _kept(run)["evidence"]
    assert proof["level"] == 0.10
    assert (proof["against_champion"] is None) == (champion is None)
    assert proof["against_baseline"]["sessions"] == 40


@pytest.mark.parametrize("how", DAMAGES)
def test_whatever_happened_to_its_files_the_champion_before_it_stands_in(
    how: str, damaged: Callable[..., None], tmp_path: Path
) -> None:
    damaged("2", how=how)
    settings = Settings.load(**SMALL)
    this = Run(key="k", as_of=DAYS[2], symbols=("AAPL", "IBM"), overrides=Overrides(SMALL))
    found = incumbent.usable_champion(this, lambda: nullcontext(tmp_path / "champion"))
    assert found.champion is not None
    assert found.champion.version == "1"
    assert found.forecaster is not None
    (why,) = found.skipped
    assert why.startswith("champion version 2 of 2013-02-27 cannot be used (")
    assert "champions withdraw" in why
    assert "\n" not in why
    assert [one.version for one in registry.champions(settings)] == ["2", "1"]  # nobody was withdrawn


def test_where_mlflow_does_not_answer_no_earlier_champion_stands_in(
    damaged: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged()

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("failed") from requests.ConnectionError("refused")

    for name in ("download_artifacts", "list_artifacts"):
        monkeypatch.setattr(f"mlflow.artifacts.{name}", refuse)
    this = Run(key="k", as_of=DAYS[2], symbols=("AAPL", "IBM"), overrides=Overrides(SMALL))
    with pytest.raises(TrackingUnavailable):
        incumbent.usable_champion(this, lambda: nullcontext(tmp_path / "champion"))


def test_a_network_is_trained_when_the_champion_is_young_and_its_files_are_gone(damaged: Callable[..., None]) -> None:
    damaged("2", "1", how="folder deleted")
    run, decision = judged(DAYS[2], retrain_every=5)
    assert run.load(TRAINING).trained
    assert "is missing" in decision["reason"]


def test_the_forecast_fetches_the_champion_again_if_the_runs_copy_is_gone(damaged: Callable[..., None]) -> None:
    damaged()
    run, _ = judged(DAYS[2], retrain_every=5)
    decision = run.load(DECISION)
    assert decision.champion is not None
    run.save(DECISION, replace(decision, model="lstm", model_version=decision.champion.version, promoted=False))
    shutil.rmtree(run.settings.home / "runs" / run.key / "champion")
    assert jobs.forecast(run).symbols == 2
    (run.settings.home / "runs" / run.key / "champion" / "weights.safetensors").write_bytes(b"torn")
    assert jobs.forecast(run).symbols == 2
    shutil.rmtree(run.settings.home / "runs" / run.key / "champion")
    damage_everything(run.settings.home)
    with pytest.raises(MissingStep, match=r"cannot be used \(.*is missing.*repeat `judge`"):
        jobs.forecast(run)


def test_a_moved_home_goes_on_with_its_champion_and_leaves_nothing_at_the_old_place(
    two_champions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after" / "var"
    shutil.copytree(two_champions, before)
    monkeypatch.setenv("PIPELINE_HOME", str(before))
    assert len(registry.champions(Settings.load())) == 2  # a copy: its paths are its own from now on
    after.parent.mkdir()
    before.rename(after)
    monkeypatch.setenv("PIPELINE_HOME", str(after))
    run, decision = judged(DAYS[2])
    assert _kept(run)["champion"]["version"] == "2"
    assert "cannot be used" not in decision["reason"]
    uploaded = run.load(UPLOAD)
    client = MlflowClient(Settings.load().tracking_uri)
    assert client.get_run(uploaded.mlflow_run_id).info.artifact_uri.startswith(str(after))
    assert not before.exists()


def damage_everything(home: Path) -> None:
    shutil.rmtree(home / "mlflow" / "artifacts")


def test_a_champion_of_another_source_is_none(damaged: Callable[..., None], tmp_path: Path) -> None:
    damaged()
    bars = SampleSource().bars(("AAPL", "IBM"), DAYS[2])
    table = bars.rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"})
    table.to_csv(tmp_path / "prices.csv", index=False)
    run, decision = judged(DAYS[2], source="files", files=str(tmp_path / "prices.csv"))
    assert _kept(run)["champion"] is None
    assert f"the source files has no champion from before {DAYS[2]}" in decision["reason"]
    assert registry.champions_before(Settings.load(), DAYS[2])


def test_a_champion_may_read_other_inputs_but_none_that_are_gone(
    damaged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged()
    run, _ = judged(DAYS[2], inputs="return, market_return")
    assert _kept(run)["champion"]["version"] == "2"  # it reads all there are
    monkeypatch.setattr(gating, "INPUTS", ("return", "market_return"))
    decision = to_document(jobs.judge(run))
    assert _kept(run)["champion"] is None
    assert "high_above_close, low_below_close" in decision["reason"]
    assert "which is no longer an input" in decision["reason"]


def test_a_network_that_knows_the_future_is_stopped_and_the_run_is_marked(damaged: Callable[..., None]) -> None:
    damaged()
    run, honest = judged(DAYS[2])
    kept = run.folder
    with kept.reading("heldout.npz") as path:
        heldout = Heldout.load(path)
    spread = np.linspace(-0.01, 0.01, len(LEVELS))
    with kept.making("heldout.npz") as path:
        heldout.also("lstm", heldout.actual_NH[..., None] + spread).save(path)
    decision = to_document(jobs.judge(run))
    assert not decision["promoted"]
    assert decision["model"] == honest["model"]
    assert "is suspect" in decision["reason"]
    client = MlflowClient(Settings.load().tracking_uri)
    uploaded = run.load(UPLOAD)
    assert client.get_run(uploaded.mlflow_run_id).data.tags["gate"].startswith("suspect: ")


def _kept(run: Any) -> Any:
    return to_document(run.load(DECISION))


@pytest.mark.parametrize(("broken", "expired"), [("1", False), ("2", True)])
def test_a_champion_expires_by_the_sessions_since_its_own(
    broken: str, expired: bool, damaged: Callable[..., None]
) -> None:
    damaged(broken)  # the other one is one session old, or two
    _, decision = judged(DAYS[2], champion_expires_after=1)
    assert ("expired" in decision["reason"]) == expired


def test_a_champion_that_would_expire_before_the_next_is_due_is_refused() -> None:
    with pytest.raises(BadSetting, match="PIPELINE_CHAMPION_EXPIRES_AFTER=63: is less than PIPELINE_RETRAIN_EVERY=64"):
        Settings.load(retrain_every=64)
    assert Settings.load(retrain_every=64, champion_expires_after=64).champion_expires_after == 64


@pytest.mark.parametrize("level", [0, 0.6, -1, "much"])
def test_a_level_that_is_none_is_refused(level: Any) -> None:
    with pytest.raises(BadSetting, match="PIPELINE_GATE_LEVEL"):
        Settings.load(gate_level=level)
