"""Runs whose every step is done by another machine, with an empty disk that is thrown away after it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.cli.app import app
from pipeline.config import Overrides
from pipeline.errors import CorruptFile, MissingStep
from pipeline.evaluation import gate
from pipeline.forecast_schema import BASELINE_FAMILIES
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import HELDOUT
from pipeline.storage import Storage, open_storage
from pipeline.storage.documents import from_document, to_document
from tests.small import SMALL, set_as_standing

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
DAYS = [date(2013, 2, 27), date(2013, 2, 28)]
SHARED = {
    "PIPELINE_DATABASE_URL": "sqlite:///{}/prices.db",
    "MLFLOW_TRACKING_URI": "sqlite:///{}/var/mlflow/mlflow.db",
}
Step = Callable[[], Any]


def another_process(run: Run) -> Run:
    """Return a run as another process gets it: by its document, with the settings of that process."""
    document = json.loads(json.dumps(to_document(run)))
    return from_document(Run, document, where="the XCom", remedy="plan again")


class Machines:
    """What all machines share, in a folder, and one machine after the other."""

    def __init__(self, shared: Path, empty_home: Path, store: str, publish: str, patch: pytest.MonkeyPatch) -> None:
        from mlflow import MlflowClient

        self.shared, self.patch, self.used = shared, patch, 0
        shutil.copytree(empty_home, shared / "var")
        for name, value in SHARED.items():
            patch.setenv(name, value.format(shared))
        self.tracking = SHARED["MLFLOW_TRACKING_URI"].format(shared)
        for name in ("daily-forecast", "live-scores", "backtest"):  # as a server would: not on a worker's disk
            MlflowClient(self.tracking).create_experiment(name, str(shared / "artifacts" / name))
        set_as_standing(patch)
        patch.setenv("PIPELINE_STORE_URI", store)
        patch.setenv("PIPELINE_PUBLISH_URI", publish)
        self.published = open_storage(publish, shared.parent / "look")
        patch.chdir(shared)

    def do(self, step: Step) -> Any:
        """Do a step on a new machine, and throw the machine away."""
        self.used += 1
        home = self.shared / f"machine{self.used}"
        self.patch.setenv("PIPELINE_HOME", str(home))
        try:
            return step()
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def daily(self, as_of: date) -> dict[str, Any]:
        """Do a daily run, each step on another machine."""
        planned = self.do(lambda: jobs.plan(key=None, now=NOW, as_of=as_of, overrides=Overrides(SMALL), provenance={}))
        run = partial(another_process, planned.run)
        steps: dict[str, Step] = {
            "ingest": lambda: jobs.ingest_all(replace(planned, run=run()), known_at=NOW),
            "snapshot": lambda: jobs.snapshot(run(), known_at=NOW),
            "score": lambda: jobs.score(run()),
            **{f"baseline {name}": lambda name=name: jobs.baseline(run(), name) for name in BASELINE_FAMILIES},
            "train": lambda: jobs.train(run()),
            "compare": lambda: jobs.compare(run()),
            "upload": lambda: jobs.upload(run()),
            "judge": lambda: jobs.judge(run()),
            "forecast": lambda: jobs.forecast(run()),
            "publish": lambda: jobs.publish(run(), now=NOW),
        }
        return {name: self.do(step) for name, step in steps.items()}

    def backtest(self, out: Path) -> dict[str, Any]:
        """Do a backtest of two folds, each step on another machine."""
        given = {**SMALL, "refit_every": 3, "network": "mlp", "horizon": 3}
        asked = {"key": None, "now": NOW, "first": date(2012, 12, 3), "last": date(2012, 12, 7)}
        planned = self.do(lambda: jobs.plan_backtest(**asked, overrides=Overrides(given), provenance={}))
        run, folds = partial(another_process, planned.run), planned.folds
        self.do(lambda: jobs.ingest_all(replace(planned, run=run()), known_at=NOW))
        self.do(lambda: jobs.backtest_snapshot(run(), known_at=NOW))
        for fold in folds:
            assert not self.do(lambda fold=fold: jobs.backtest_fold(run(), fold)).reused
            assert self.do(lambda fold=fold: jobs.backtest_fold(run(), fold)).reused
        return to_document(self.do(lambda: jobs.backtest_summary(run(), folds, out=out)))


@pytest.fixture
def machines(
    empty_home: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Machines]:
    """Return a function that gives machines which share a folder, or a bucket."""

    def make(kind: str) -> Machines:
        places = {"folder": (str(tmp_path / "store"), str(tmp_path / "published")), "bucket": (bucket, f"{bucket}-too")}
        return Machines(tmp_path / kind, empty_home, *places[kind], monkeypatch)

    return make


def whoever_is_newest(challenger: Any, champion: Any, baseline: Any, **_: Any) -> gate.Decision:
    """Let a network through whatever it is worth: the champion, where there is one."""
    chosen = champion or challenger
    return gate.Decision(
        model=chosen.model, model_version=chosen.version, promoted=champion is None, reason="It is there."
    )


def published(root: Storage, as_of: date) -> dict[str, bytes]:
    """Return the files of an edition, without the names that MLflow gives its runs."""
    with root.reading(f"as_of={as_of}") as folder:
        found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = json.loads(found.pop("manifest.json"))
    run_id = manifest["provenance"]["mlflow_run_id"]
    del manifest["files"]["report.html"]
    told = json.dumps(manifest).replace(run_id, "RUN").encode()
    return {**found, "manifest.json": told, "report.html": found["report.html"].replace(run_id.encode(), b"RUN")}


@pytest.mark.slow
def test_machines_that_hold_nothing_publish_the_same_bytes_by_a_bucket_as_by_a_folder(
    machines: Callable[[str], Machines], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "decide", whoever_is_newest)
    editions, told = {}, {}
    for kind in ("folder", "bucket"):
        mine = machines(kind)
        first, second = (mine.daily(as_of) for as_of in DAYS)
        assert (first["judge"].promoted, second["judge"].promoted) == (True, False)
        assert second["judge"].model == "lstm"  # of the day before, fetched by one machine and used by another
        editions[kind] = [published(mine.published, as_of) for as_of in DAYS]
        told[kind] = {name: second[name] for name in ("ingest", "snapshot", "score", "forecast")}
        left = {path.name for path in mine.shared.iterdir()}
        assert left == {"artifacts", "prices.db", "var"}
    assert editions["bucket"] == editions["folder"]
    assert told["bucket"] == told["folder"]
    assert second["publish"].folder == f"s3://bell/kept-too/as_of={DAYS[1]}"
    assert source_of(mine) == {"uri": f"s3://bell/kept/snapshots/as_of={DAYS[1]}/{second['snapshot'].digest}.parquet"}


def source_of(mine: Machines) -> Any:
    """Return where MLflow says that the prices of the newest run are."""
    from mlflow import MlflowClient

    client = MlflowClient(mine.tracking)
    newest, *_ = client.search_runs([client.get_experiment_by_name("daily-forecast").experiment_id])
    return json.loads(newest.inputs.dataset_inputs[0].dataset.source)


def test_what_is_in_a_bucket_is_shown_and_damage_to_it_refused(
    machines: Callable[[str], Machines], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = machines("bucket")
    mine.daily(DAYS[0])

    def show(*words: str) -> Any:
        return mine.do(lambda: CliRunner().invoke(app, ["show", *words], catch_exceptions=False))

    assert json.loads(show("--json").stdout)["as_of"] == str(DAYS[0])
    assert f"Report: s3://bell/kept-too/as_of={DAYS[0]}/report.html" in show("--as-of", str(DAYS[0])).stdout.replace(
        "\n", ""
    )
    (mine.published / f"as_of={DAYS[0]}").write("report.html", b"another")
    with pytest.raises(CorruptFile, match=r"report\.html in s3://bell/kept-too"):
        show("--json")


def test_a_snapshot_that_is_gone_or_changed_is_refused(machines: Callable[[str], Machines]) -> None:
    mine = machines("bucket")
    planned = mine.do(lambda: jobs.plan(key="k", now=NOW, as_of=DAYS[0], overrides=Overrides(SMALL), provenance={}))
    mine.do(lambda: jobs.ingest_all(replace(planned, run=another_process(planned.run)), known_at=NOW))
    mine.do(lambda: jobs.snapshot(another_process(planned.run), known_at=NOW))
    store = open_storage(os.environ["PIPELINE_STORE_URI"], mine.shared.parent / "look")
    name = json.loads(store.read(f"runs/{planned.run.key}/snapshot.json"))["name"]
    store.write(name, b"another")
    with pytest.raises(CorruptFile, match=f"s3://bell/kept/{name} is damaged"):
        mine.do(lambda: jobs.score(another_process(planned.run)))
    store.remove(name)
    with pytest.raises(MissingStep, match=f"s3://bell/kept/{name} is gone; run ingest and snapshot"):
        mine.do(lambda: jobs.score(another_process(planned.run)))
    with pytest.raises(MissingStep, match=r"the run k__[0-9a-f]{8}__lstm has no heldout\.npz yet; run `train`"):
        mine.do(lambda: another_process(planned.run).reading(HELDOUT).__enter__())


@pytest.mark.slow
def test_a_backtest_of_machines_that_hold_nothing_is_the_same_by_a_bucket_as_by_a_folder(
    machines: Callable[[str], Machines], tmp_path: Path
) -> None:
    results = {kind: machines(kind).backtest(tmp_path / f"{kind}.parquet") for kind in ("folder", "bucket")}
    assert (tmp_path / "bucket.parquet").read_bytes() == (tmp_path / "folder.parquet").read_bytes()
    for name in ("scores", "folds", "sha256", "data_digest", "withheld"):
        assert results["bucket"][name] == results["folder"][name]
    assert results["bucket"]["folder"].startswith("s3://bell/kept/runs/backtest__2012-12-03__3__")
