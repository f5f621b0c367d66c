"""Whole runs on real prices with a small network, from end to end."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Overrides, Settings
from pipeline.errors import CorruptFile, MissingStep, PipelineError, SessionNotAvailable, TrackingUnavailable, UserError
from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.recent_rates import RecentRates
from pipeline.market.sessions import Sessions
from pipeline.prices.sources.sample import SampleSource
from pipeline.publishing import reader, track_record_files
from pipeline.publishing.edition import BASELINES
from tests.small import SMALL, set_as_standing

TODAY = datetime(2026, 11, 20, 23, tzinfo=UTC)
NEW_YORK = Sessions("XNYS")
DAYS = [date(2013, 2, 26), date(2013, 2, 27), date(2013, 2, 28)]
PROMISED = ("forecasts.parquet", "forecasts.csv", "forecasts.json")


@pytest.fixture(autouse=True)
def new_home(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use(empty_home, tmp_path / "var", monkeypatch)


def use(empty_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(empty_home, home, dirs_exist_ok=True)
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    set_as_standing(monkeypatch)
    monkeypatch.chdir(home.parent)
    return home


def plan(as_of: date | None = DAYS[0], *, now: datetime = TODAY, key: str | None = None, **overrides: Any) -> Any:
    return jobs.plan(key=key, now=now, as_of=as_of, overrides=Overrides({**SMALL, **overrides}), provenance={})


def run(as_of: date | None = DAYS[0], *, now: datetime = TODAY, **overrides: Any) -> Any:
    return jobs.run_all(plan(as_of, now=now, **overrides), known_at=now)


def promised(home: Path, as_of: date) -> dict[str, bytes]:
    return {name: (home / "published" / f"as_of={as_of}" / name).read_bytes() for name in PROMISED}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mlflow_runs(home: Path, experiment: str = "daily-forecast") -> Iterator[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    found = client.get_experiment_by_name(experiment)
    return iter(client.search_runs([found.experiment_id]) if found else [])


def versions(home: Path) -> list[Any]:
    from mlflow import MlflowClient

    return list(
        MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}").search_model_versions("name='daily-forecast'")
    )


def test_a_run_publishes_what_it_promises(new_home: Path) -> None:
    results = run()
    folder = Path(results.publish.folder)
    frame = pd.read_parquet(folder / "forecasts.parquet")
    assert frame.groupby("symbol")["step"].apply(list).to_dict() == {s: [1, 2, 3, 4, 5] for s in ("AAPL", "FB", "IBM")}
    assert [str(day)[:10] for day in frame["target_session"].iloc[:2]] == ["2013-02-27", "2013-02-28"]
    assert json.loads((new_home / "published" / "latest.json").read_text())["as_of"] == "2013-02-26"
    (mlflow_run,) = mlflow_runs(new_home)
    metrics, tags = mlflow_run.data.metrics, mlflow_run.data.tags
    assert {"crps_bp/lstm", *(f"crps_bp/{name}" for name in BASELINES)} <= set(metrics)
    (notes,) = (new_home / "runs").glob("*/baseline-garch.json")
    assert json.loads(notes.read_text())["by_ewma"]["fewer than 250 returns"]["symbols"] == 1
    assert metrics["drift/psi_return"] >= 0
    assert tags["data_sha256"] == results.snapshot.digest
    assert (tags["as_of"], mlflow_run.info.status) == ("2013-02-26", "FINISHED")


def test_every_step_twice_equals_once(new_home: Path) -> None:
    planned = plan()
    jobs.run_all(planned, known_at=TODAY)
    before = everything(new_home / "published")
    again = jobs.run_all(planned, known_at=TODAY + timedelta(hours=1))
    assert again.ingest.batches[0].new == 0
    assert again.publish.changed is False
    assert everything(new_home / "published") == before
    assert len(list(mlflow_runs(new_home))) == 1
    assert len(versions(new_home)) == 1


def test_nothing_after_the_session_moves_a_byte(
    new_home: Path, empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SampleSource()
    table = sample.bars(("AAPL", "FB", "IBM"), date(2013, 3, 1)).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    poisoned = table.copy()
    after = table["date"] > pd.Timestamp(DAYS[0])
    poisoned.loc[after, ["open", "high", "low", "close", "volume"]] *= 17.0
    poisoned.loc[after, "splits"] = 3.0
    outcomes = []
    for name, prices in (("clean", table), ("poisoned", poisoned)):
        home = use(empty_home, tmp_path / name / "var", monkeypatch)
        prices.to_csv(home.parent / "prices.csv", index=False)
        set_as_standing(monkeypatch, {"source": "files", "files": home.parent / "prices.csv"})
        run()
        outcomes.append(promised(home, DAYS[0]))
    assert after.any()
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
def test_a_backfill_gives_the_bytes_of_the_live_runs_and_in_any_order_sees_no_later_model(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = use(empty_home, tmp_path / "live" / "var", monkeypatch)
    for day in DAYS:
        run(day, now=NEW_YORK.complete_at(day) + timedelta(minutes=1))
    backfill = use(empty_home, tmp_path / "backfill" / "var", monkeypatch)
    for day in DAYS:
        run(day)
    for day in DAYS:
        assert promised(backfill, day) == promised(live, day)

    backwards = use(empty_home, tmp_path / "backwards" / "var", monkeypatch)
    for day in reversed(DAYS):
        run(day)
    for path in (backwards / "runs").glob("*/decision.json"):
        champion = json.loads(path.read_text())["champion"]
        as_of = json.loads(path.with_name("run.json").read_text())["as_of"]
        assert champion is None or champion["as_of"] < as_of
    assert json.loads((backwards / "published" / "latest.json").read_text())["as_of"] == "2013-02-28"
    first = [
        pd.read_parquet(home / "published" / f"as_of={DAYS[0]}" / "forecasts.parquet") for home in (backwards, live)
    ]
    pd.testing.assert_frame_equal(*(frame.drop(columns="model_version") for frame in first))


def test_earlier_forecasts_are_scored_when_their_session_comes(new_home: Path) -> None:
    run(DAYS[0])
    scored = run(DAYS[1]).score
    # one step of three symbols, of the published model and of the baseline (the same one if it was published)
    assert scored.in_the_record == 3
    assert scored.live is None  # 2013 is over: what is made of it now is a replay
    latest = next(one for one in mlflow_runs(new_home) if one.data.tags["as_of"] == str(DAYS[1]))
    assert latest.data.metrics["replayed/crps_bp"] == pytest.approx(scored.replayed.crps_bp)


@pytest.mark.slow
def test_the_track_record_tells_forecasts_of_event_sessions_from_others(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NETWORK", "mlp")
    day, following = date(2013, 1, 22), date(2013, 1, 23)  # IBM reported on the first, Apple on the second
    run(day)
    scored = run(following).score
    split = scored.replayed.events
    assert (split.on.windows, split.off.windows) == (2, 1)
    record = pd.read_parquet(new_home / "published" / f"as_of={following}" / "record.parquet").set_index("symbol")
    assert record["report_due"].astype(bool).to_dict() == {"AAPL": True, "FB": False, "IBM": True}
    latest = next(one for one in mlflow_runs(new_home) if one.data.tags["as_of"] == str(following))
    assert latest.data.metrics["replayed/events_coverage_90"] == split.on.coverage[90]
    assert latest.data.metrics["replayed/other_coverage_90"] == split.off.coverage[90]
    assert {used.dataset.name for used in latest.inputs.dataset_inputs} == {"sample-prices", "sample-events"}
    assert latest.data.metrics["other/windows"] > 0
    assert "events/windows" not in latest.data.metrics  # no report lies in the few sessions held out
    (curves,) = mlflow_runs(new_home, "live-scores")
    assert curves.data.metrics["events/rolling_coverage_90"] == split.on.coverage[90]


@pytest.mark.slow
def test_a_forecast_published_in_time_is_live_and_has_a_record_of_its_own(new_home: Path) -> None:
    for day in DAYS:
        run(day, now=NEW_YORK.complete_at(day) + timedelta(minutes=5))
    (record,) = mlflow_runs(new_home, "live-scores")
    assert record.data.tags["kind"] == "live"
    assert record.data.metrics["forecasts"] == 6  # of the last session: made one and two sessions before it
    assert 0 <= record.data.metrics["rolling_coverage_90"] <= 1
    before = everything(new_home / "mlflow" / "artifacts" / "live-scores")
    run(DAYS[-1], now=NEW_YORK.complete_at(DAYS[-1]) + timedelta(minutes=5))
    (again,) = mlflow_runs(new_home, "live-scores")
    assert again.info.run_id == record.info.run_id
    assert everything(new_home / "mlflow" / "artifacts" / "live-scores") == before


def test_a_symbol_judged_out_of_bounds_is_marked_in_the_report(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.evaluation import track_record

    monkeypatch.setattr(track_record, "out_of_bounds", lambda _record: {"IBM": "its coverage is out of bounds"})
    for day in DAYS[:2]:
        run(day, now=NEW_YORK.complete_at(day) + timedelta(minutes=5))
    first, second = (
        (new_home / "published" / f"as_of={day}" / "report.html").read_text(encoding="utf-8") for day in DAYS[:2]
    )
    assert first.count("90 % range: coverage ") == 0, "nothing has matured"
    assert second.count("90 % range: coverage ") == 1


@pytest.mark.slow
def test_a_young_champion_serves_until_the_next_is_due_or_its_ranges_no_longer_hold(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.evaluation import track_record
    from pipeline.tracking import registry

    run(DAYS[0])
    registry.promote(Settings.load(), versions(new_home)[0].version, DAYS[0])
    set_as_standing(monkeypatch, {"retrain_every": 3})
    trained = run(DAYS[2], retrain_every=3).train
    assert trained.trained is False
    assert trained.reason == f"the champion of {DAYS[0]} is 2 sessions old, and the next is due after 3"
    assert run(DAYS[2], retrain_every=2).train.trained
    assert run(DAYS[2], retrain_every=3, network="mlp").train.trained  # there is no champion of this kind
    numbers = dict.fromkeys(("crps_bp", "baseline_crps_bp", "skill_percent", "forecasts"), 1.0)
    breached = RecentRates(**numbers, coverage={90: 0.5}, sessions=63, breach="its coverage is out of bounds")
    monkeypatch.setattr(track_record, "recent_rates", lambda _record: breached)
    monkeypatch.setattr(track_record, "by_kind", lambda record: {"live": record} if len(record) else {})
    assert run(DAYS[2], retrain_every=3).train.trained


def test_without_mlflow_nothing_is_lost_and_the_upload_alone_completes(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    planned = plan(key="scheduled")
    this = planned.run
    jobs.ingest(this, planned.batches[0], known_at=TODAY)
    jobs.snapshot(this, known_at=TODAY)
    jobs.score(this)
    jobs.train_all(this)
    with pytest.raises(TrackingUnavailable, match=r"127\.0\.0\.1:9"):
        jobs.upload(this)
    weights = (new_home / "runs" / this.key / "model" / "weights.safetensors").read_bytes()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    this = replace(this)  # as another process reads it: with the address of now
    for step in (jobs.upload, jobs.judge, jobs.forecast):
        step(this)
    jobs.publish(this, now=TODAY)
    assert (new_home / "runs" / this.key / "model" / "weights.safetensors").read_bytes() == weights
    assert len(versions(new_home)) == 1


def test_a_symbol_too_short_to_train_on_gets_the_baseline_and_the_reason(new_home: Path) -> None:
    results = run(symbols="FB", context_length=60, holdout_sessions=40, validation_sessions=40)
    assert results.train.trained is False
    assert "too little history" in results.judge.reason
    frame = pd.read_parquet(Path(results.publish.folder) / "forecasts.parquet")
    assert set(frame["model"]) <= set(BASELINES)
    assert len(frame) == 5


def test_a_symbol_with_hardly_any_history_is_withheld_with_the_reason(new_home: Path) -> None:
    results = run(date(2012, 5, 30))
    assert [row.symbol for row in results.forecast.withheld] == ["FB"]
    published = json.loads((Path(results.publish.folder) / "forecasts.json").read_text())
    assert published["withheld"][0]["symbol"] == "FB"
    assert {row["symbol"] for row in published["forecasts"]} == {"AAPL", "IBM"}


@pytest.mark.parametrize(
    ("as_of", "overrides", "words"),
    [
        (date(2013, 3, 2), {}, "2013-03-01 and 2013-03-04"),
        (date(2030, 1, 2), {}, "in the future"),
        (date(1999, 1, 4), {}, "begins on 2000-03-01"),
        (date(2014, 1, 2), {}, "after the end"),
        (DAYS[0], {"symbols": "TSLA"}, "TSLA"),
        (DAYS[0], {"horizon": 0}, "PIPELINE_HORIZON=0"),
        (DAYS[0], {"source": "files", "files": "/none.csv"}, "/none.csv"),
        (DAYS[0], {"exchange": "NOWHERE"}, "NOWHERE"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    new_home: Path, as_of: date, overrides: dict[str, Any], words: str
) -> None:
    before = set(new_home.rglob("*"))
    with pytest.raises(UserError) as caught:
        plan(as_of, **overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caught.value.retryable
    assert set(new_home.rglob("*")) == before


def test_a_scheduled_session_after_the_end_of_the_sample_is_nothing_to_do() -> None:
    with pytest.raises(SessionNotAvailable, match="ends on 2013-03-01"):
        jobs.plan(
            key="k", now=TODAY, interval_end=NEW_YORK.complete_at(date(2013, 3, 4)), manual=False,
            overrides=Overrides(SMALL), provenance={},
        )  # fmt: skip


@pytest.mark.parametrize("interval_end", [None, TODAY])
def test_a_run_by_hand_without_a_session_takes_the_last_of_the_sample(interval_end: datetime | None) -> None:
    planned = jobs.plan(
        key="k", now=TODAY, interval_end=interval_end, manual=True, overrides=Overrides(SMALL), provenance={}
    )
    assert planned.run.as_of == date(2013, 3, 1)


def test_a_scheduled_run_takes_the_session_its_interval_ends_with() -> None:
    end = NEW_YORK.complete_at(DAYS[1])
    planned = jobs.plan(key="k", now=TODAY, interval_end=end, manual=False, overrides=Overrides(SMALL), provenance={})
    assert planned.run.as_of == DAYS[1]


def test_a_step_before_its_time_names_the_one_to_run() -> None:
    planned = plan()
    with pytest.raises(PipelineError, match="run `ingest`"):
        jobs.train_all(planned.run)


def test_contenders_made_on_other_windows_are_not_compared(new_home: Path) -> None:
    planned = plan()
    this = planned.run
    jobs.ingest_all(planned, known_at=TODAY)
    jobs.snapshot(this, known_at=TODAY)
    jobs.score(this)
    with pytest.raises(MissingStep, match=r"has no heldout-network\.npz yet; run `train`"):
        jobs.compare(this)
    jobs.train_all(this)
    (path,) = (new_home / "runs").glob("*/heldout-garch.npz")
    heldout = Heldout.load(path)
    replace(heldout, actual_NH=heldout.actual_NH + 0.01).save(path)
    with pytest.raises(CorruptFile, match=r"the baseline garch of the run .* was made on other windows"):
        jobs.compare(this)


@pytest.mark.slow
def test_a_trial_moves_neither_latest_nor_the_champion_nor_the_track_record(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.evaluation import gate
    from pipeline.tracking import registry

    for passes in ("takes_over", "may_be_published"):
        monkeypatch.setattr(gate, passes, lambda *_: True)
    run(DAYS[0])
    champion, *_ = registry.champions_before(Settings.load(), DAYS[2])
    before = {name: data for name, data in everything(new_home / "published").items() if "lock" not in name}
    trial = run(DAYS[0], symbols="IBM", training_steps=1)
    after = everything(new_home / "published")
    assert {name: after[name] for name in before} == before
    assert list(trial.publish.trial) == ["1 of 3 symbols", "1 training step instead of 20"]
    assert trial.publish.place.startswith(f"editions/as_of={DAYS[0]}/0001-")
    assert "(trial: 1 of 3 symbols, 1 training step instead of 20)" in trial.publish.headline
    decision = json.loads((new_home / "runs" / run_of(trial) / "decision.json").read_text())
    assert "does not become champion" in decision["reason"]
    assert registry.champions_before(Settings.load(), DAYS[2]) == [champion]
    told = next(one for one in mlflow_runs(new_home) if "trial" in one.data.tags).data
    assert told.tags["gate"] == "challenger passed, not promoted (trial)"
    assert "**Trial:** 1 of 3 symbols" in told.tags["mlflow.note.content"]

    second = run(DAYS[1])
    assert second.score.in_the_record == 3
    record = track_record_files.read(Settings.load().published, "sample").to_pandas()
    counts = record.groupby(record["series"] != "")["symbol"].agg(list).to_dict()
    assert counts == {False: ["AAPL", "FB", "IBM"], True: ["IBM"]}

    latest = jobs.plan(
        key=None,
        now=TODAY,
        as_of=DAYS[1],
        overrides=Overrides({**SMALL, "symbols": "IBM"}),
        provenance={},
        make_latest=True,
    )
    published = jobs.run_all(latest, known_at=TODAY).publish
    assert (published.place, published.standing) == (f"as_of={DAYS[1]}", True)
    assert registry.champions_before(Settings.load(), DAYS[2])[0] != champion
    (kept,) = reader.other_editions(Settings.load().published, DAYS[1])
    manifest = reader.read_manifest(Settings.load().published / kept.place)
    assert (manifest.symbols, manifest.trial) == (3, ())


def run_of(results: Any) -> str:
    manifest = json.loads((Path(results.publish.folder) / "manifest.json").read_text())
    return str(manifest["provenance"]["run_key"])
