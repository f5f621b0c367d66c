"""Would it have worked? Each fold forecasts from what lay before it, whatever comes later, however often it is done."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.cli import app
from pipeline.config import LEVELS, Settings
from pipeline.errors import BadFile, CorruptFile, MissingStep, NothingToForecast, PipelineError, UserError
from pipeline.jobs import folds
from pipeline.learning.baselines import BASELINES
from pipeline.learning.frame import quantile_column
from pipeline.prices.snapshot import write_snapshot
from pipeline.prices.sources.sample import SampleSource
from pipeline.runs import Run

SMALL = {
    "training_steps": 5,
    "hidden_size": 8,
    "context_length": 20,
    "batch_size": 32,
    "validation_sessions": 40,
    "refit_every": 5,
    "horizon": 3,
    "network": "mlp",
    "symbols": "FB,IBM",
}
NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
FIRST, LAST = date(2012, 12, 3), date(2012, 12, 19)  # 13 sessions: folds of 5, 5 and 3
PRICES = [quantile_column(level) for level in LEVELS]
COLUMNS = ["symbol", "as_of", "step", "target_session", "last_close", "model", "model_version", *PRICES]


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty MLflow database: making one takes seconds, copying it none."""
    from pipeline.tracking.store import ping

    home = tmp_path_factory.mktemp("empty") / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        ping(Settings.load())
    return home


@dataclass(frozen=True)
class Done:
    """A backtest that has been run, and where."""

    home: Path
    planned: dict[str, Any]
    result: dict[str, Any]

    @property
    def run(self) -> Run:
        return Run.from_dict(self.planned["run"])

    @property
    def frame(self) -> pd.DataFrame:
        return pd.read_parquet(self.home.parent / "out.parquet")


def plan(first: date = FIRST, last: date = LAST, **overrides: Any) -> dict[str, Any]:
    given = {**SMALL, **overrides}
    return jobs.plan_backtest(key=None, now=NOW, first=first, last=last, overrides=given, provenance={})


@pytest.fixture(scope="module")
def done(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    home = tmp_path_factory.mktemp("done") / "var"
    shutil.copytree(empty_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_HOME", str(home))
        planned = plan()
        yield Done(home, planned, jobs.backtest_all(planned, known_at=NOW, out=home.parent / "out.parquet"))


@pytest.fixture
def again(done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same run in a home of its own, with its snapshot and none of its folds done."""
    home = tmp_path / "var"
    (home / "runs" / done.run.key).mkdir(parents=True)
    shutil.copyfile(done.run.folder / "snapshot.json", home / "runs" / done.run.key / "snapshot.json")
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    return done.run


def bars_of(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.read("snapshot", made_by="ingest")["path"])


def poison(run: Run, bars: pd.DataFrame, first: pd.Timestamp) -> None:
    """Make the run's snapshot one in which nothing from `first` on is as it was."""
    bad = bars.copy()
    after = pd.to_datetime(bad["session"]) >= first
    wild = np.random.default_rng(1).uniform(0.2, 5.0, int(after.sum()))
    for name in ("open", "high", "low", "close", "volume"):
        bad.loc[after, name] *= wild
    bad.loc[after, "split_ratio"] = 3.0
    bad.loc[after, "dividend"] = 1.0
    assert after.any()
    table = pa.Table.from_pandas(bad, preserve_index=False)
    frozen = write_snapshot([table], run.as_of, run.settings.home / "poisoned")
    run.write("snapshot", {"path": str(frozen.path), "digest": frozen.digest, "rows": len(bad)})


def part(run: Run, fold: dict[str, Any]) -> bytes:
    return (run.folder / "folds" / fold["first"] / "part.parquet").read_bytes()


def weights(run: Run, fold: dict[str, Any]) -> bytes:
    return (run.folder / "folds" / fold["first"] / "model" / "weights.safetensors").read_bytes()


def test_every_session_is_forecast_by_every_model_in_the_promised_columns(done: Done) -> None:
    frame = done.frame
    assert list(frame.columns) == COLUMNS
    assert not frame.duplicated(["symbol", "as_of", "step", "model"]).any()
    sessions = done.run.settings.sessions.between(FIRST, LAST)
    for model in ("mlp", *BASELINES):
        mine = frame[frame["model"] == model]
        assert sorted(set(mine["as_of"])) == sessions
        assert mine.groupby(["symbol", "as_of"])["step"].apply(list).map(tuple).unique().tolist() == [(1, 2, 3)]
    assert (np.diff(frame[PRICES].to_numpy(), axis=1) >= 0).all()
    row = frame[(frame["as_of"] == date(2012, 12, 19)) & (frame["symbol"] == "IBM")].iloc[:3]
    assert row["target_session"].tolist() == [date(2012, 12, 20), date(2012, 12, 21), date(2012, 12, 24)]
    bars = bars_of(done.run).assign(session=lambda rows: pd.to_datetime(rows["session"]).dt.date)
    closes = frame.merge(bars, left_on=["symbol", "as_of"], right_on=["symbol", "session"], how="left")
    assert (closes["last_close"] == closes["close"]).all()


def test_only_origins_whose_targets_have_come_are_scored_and_all_on_the_same_windows(done: Done) -> None:
    scores = done.result["scores"]
    assert (scores["first"], scores["last"]) == ("2012-12-03", "2012-12-14")  # three sessions before the last
    assert done.result["windows"] == {"forecast": 26, "scored": 20}
    assert set(scores["models"]) == {"mlp", *BASELINES}


def test_the_scores_are_what_anyone_gets_from_the_frame(done: Done) -> None:
    bars = bars_of(done.run).assign(session=lambda rows: pd.to_datetime(rows["session"]).dt.date)
    losses = []
    for row in done.frame[done.frame["model"] == "mlp"].to_dict("records"):
        mine = bars[bars["symbol"] == row["symbol"]].sort_values("session").reset_index(drop=True)
        at = mine.index[mine["session"] == row["as_of"]][0]
        if at + 3 >= len(mine):
            continue
        actual = sum(
            np.log((mine["close"][k] + mine["dividend"][k]) * mine["split_ratio"][k] / mine["close"][k - 1])
            for k in range(at + 1, at + 1 + row["step"])
        )
        errors = [(level, actual - np.log(row[quantile_column(level)] / row["last_close"])) for level in LEVELS]
        losses.append(2e4 * np.mean([max(level * error, (level - 1) * error) for level, error in errors]))
    assert done.result["scores"]["models"]["mlp"]["crps_bp"] == pytest.approx(np.mean(losses), rel=1e-9)


def test_what_was_gained_adds_up_to_the_difference_of_the_scores(done: Done) -> None:
    models, best = done.result["scores"]["models"], done.result["best_baseline"]
    assert models[best]["crps_bp"] == min(models[name]["crps_bp"] for name in BASELINES)
    mean = done.result["gained_bp"][-1] / len(done.result["sessions"])
    assert mean == pytest.approx(models[best]["crps_bp"] - models["mlp"]["crps_bp"])


def test_nothing_after_a_fold_moves_a_byte_of_it_or_of_those_before(done: Done, again: Run) -> None:
    one, two, three = done.planned["folds"]
    poison(again, bars_of(done.run), pd.Timestamp(three["first"]))
    for fold in (one, two, three):
        folds.make(again, fold, None)
    kept = {fold["number"]: (done.home / "runs" / again.key / "folds" / fold["first"]) for fold in (one, two, three)}
    assert part(again, one) == (kept[1] / "part.parquet").read_bytes()
    assert part(again, two) == (kept[2] / "part.parquet").read_bytes()
    assert part(again, three) != (kept[3] / "part.parquet").read_bytes()


def test_a_model_has_seen_nothing_of_its_own_fold_and_an_origin_nothing_after_itself(done: Done, again: Run) -> None:
    fold = done.planned["folds"][1]
    poison(again, bars_of(done.run), pd.Timestamp("2012-12-12"))  # the fold's first sessions are 10 and 11 December
    folds.make(again, fold, None)
    folder = done.home / "runs" / again.key / "folds" / fold["first"]
    assert weights(again, fold) == (folder / "model" / "weights.safetensors").read_bytes()
    before, after = (
        pd.read_parquet(path / "part.parquet") for path in (folder, again.folder / "folds" / fold["first"])
    )
    early = before["as_of"] < date(2012, 12, 12)
    assert early.sum() == 2 * 2 * 3 * (1 + len(BASELINES))
    pd.testing.assert_frame_equal(
        before.loc[early, COLUMNS[:6] + PRICES], after.loc[early, COLUMNS[:6] + PRICES], check_exact=True
    )
    assert not before.loc[~early, PRICES].equals(after.loc[~early, PRICES])


def test_done_again_elsewhere_it_gives_the_same_bytes(done: Done, again: Run, tmp_path: Path) -> None:
    for fold in done.planned["folds"]:
        folds.make(again, fold, None)
    for fold in done.planned["folds"]:
        assert (
            part(again, fold)
            == (done.home / "runs" / again.key / "folds" / fold["first"] / "part.parquet").read_bytes()
        )


def test_a_fold_that_was_killed_half_way_does_not_count_as_done_and_gives_the_same_bytes(
    done: Done, again: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, write = done.planned["folds"][0], Run.write
    monkeypatch.setattr(Run, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        folds.make(again, fold, None)
    assert folds.kept(again, fold) is None
    monkeypatch.setattr(Run, "write", write)
    made = folds.make(again, fold, None)
    assert part(again, fold) == (done.home / "runs" / again.key / "folds" / fold["first"] / "part.parquet").read_bytes()
    assert json.loads(json.dumps(made)) == folds.kept(again, fold)


def test_a_fold_by_other_code_does_not_count_as_done(done: Done, again: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = done.planned["folds"][0]
    folds.make(again, fold, None)
    assert folds.kept(again, fold) is not None
    monkeypatch.setattr(folds, "_code", lambda: "another version")
    assert folds.kept(again, fold) is None


def test_a_fold_from_other_prices_or_with_a_changed_byte_does_not_count_as_done(done: Done, again: Run) -> None:
    fold = done.planned["folds"][0]
    folds.make(again, fold, None)
    assert folds.kept(again, fold) is not None
    path = again.folder / "folds" / fold["first"] / "part.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert folds.kept(again, fold) is None
    with pytest.raises(CorruptFile, match="run the backtest"):
        folds.part_of(again, fold)
    folds.make(again, fold, None)
    poison(again, bars_of(done.run), pd.Timestamp("2012-12-19"))
    assert folds.kept(again, fold) is None


def test_every_step_twice_equals_once_and_trains_once(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.learning.retraining.fit", lambda *_: pytest.fail("trained again"))
    before = {
        path: path.read_bytes() for path in done.run.folder.rglob("*") if path.is_file() and path.suffix != ".json"
    }
    result = jobs.backtest_all(done.planned, known_at=NOW)
    assert result["scores"] == done.result["scores"]
    assert result["mlflow_run_id"] == done.result["mlflow_run_id"]
    assert {path: path.read_bytes() for path in before} == before


def test_without_a_fold_there_is_no_summary(done: Done, again: Run) -> None:
    with pytest.raises(MissingStep, match="run `backtest`"):
        jobs.backtest_summary(again.to_dict(), done.planned["folds"])


def test_with_too_little_history_the_baselines_are_judged_alone_and_the_reason_is_kept(
    empty_home: Path, home: Path
) -> None:
    shutil.copytree(empty_home, home)
    planned = plan(last=date(2012, 12, 14), symbols="FB", refit_every=63)
    result = jobs.backtest_all(planned, known_at=NOW, out=home.parent / "out.csv")
    assert set(result["scores"]["models"]) == set(BASELINES)
    assert "too little history" in result["folds"][0]["reason"]
    assert result["gained_bp"] == []
    table = pd.read_csv(home.parent / "out.csv")
    assert list(table.columns) == COLUMNS
    assert table["as_of"].iloc[0] == "2012-12-03"


def test_a_symbol_of_another_market_is_forecast_from_its_own_last_session(empty_home: Path, home: Path) -> None:
    shutil.copytree(empty_home, home)
    bars = SampleSource().bars(("IBM",), date(2013, 1, 31), date(2012, 1, 3))
    london = Settings.load().sessions_on("XLON")
    other = bars[[london.is_session(day.date()) for day in bars["session"]]].assign(symbol="IBM.L")
    table = pd.concat([bars, other]).rename(
        columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    )
    table.drop(columns="currency", errors="ignore").to_csv(home.parent / "prices.csv", index=False)
    planned = plan(
        date(2012, 12, 24), date(2012, 12, 28), symbols="", source="files", files=str(home.parent / "prices.csv")
    )
    jobs.backtest_all(planned, known_at=NOW, out=home.parent / "out.parquet")
    frame = pd.read_parquet(home.parent / "out.parquet")
    boxing_day = frame[(frame["as_of"] == date(2012, 12, 26)) & (frame["model"] == "random_walk")].set_index("symbol")
    closes = bars.set_index("session")["close"]
    assert boxing_day.loc["IBM", "last_close"].iloc[0] == closes["2012-12-26"]
    assert boxing_day.loc["IBM.L", "last_close"].iloc[0] == closes["2012-12-24"]
    assert boxing_day.loc["IBM.L", "target_session"].tolist() == [
        date(2012, 12, 27),
        date(2012, 12, 28),
        date(2012, 12, 31),
    ]


def test_doubt_about_the_last_session_does_not_take_the_past_away(empty_home: Path, home: Path) -> None:
    shutil.copytree(empty_home, home)
    bars = SampleSource().bars(("IBM",), date(2012, 12, 20), date(2012, 1, 3))
    table = bars[bars["session"] != "2012-12-19"].rename(columns={"session": "date"})
    table[["symbol", "date", "open", "high", "low", "close", "volume"]].to_csv(home.parent / "prices.csv", index=False)
    planned = plan(date(2012, 12, 10), LAST, symbols="IBM", source="files", files=str(home.parent / "prices.csv"))
    jobs.ingest_all(planned, known_at=NOW)
    with pytest.raises(NothingToForecast):
        jobs.snapshot(planned["run"], known_at=NOW)
    result = jobs.backtest_all(planned, known_at=NOW)
    assert result["scores"]["sessions"] == 4  # 10 to 13 December: the targets of later ones touch the missing session
    assert result["windows"]["forecast"] == 7  # and from 19 December itself there is none


@pytest.mark.parametrize(
    ("first", "last", "overrides", "words"),
    [
        (date(2012, 12, 4), date(2012, 12, 3), {}, "no session from 2012-12-04 to 2012-12-03"),
        (date(2012, 12, 1), date(2012, 12, 2), {}, "no session"),
        (date(1999, 12, 1), date(2012, 12, 3), {}, "begins on 2000-03-01"),
        (date(2012, 12, 3), date(2027, 1, 4), {}, "in the future"),
        (date(2012, 12, 3), date(2014, 1, 3), {}, "after the end"),
        (date(2001, 1, 2), date(2012, 12, 3), {"refit_every": 1}, "PIPELINE_REFIT_EVERY=1"),
        (FIRST, LAST, {"refit_every": 0}, "PIPELINE_REFIT_EVERY=0"),
        (FIRST, LAST, {"symbols": "NOPE"}, "NOPE"),
    ],
)
def test_what_cannot_be_met_is_one_line_and_leaves_nothing(
    home: Path, first: date, last: date, overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        plan(first, last, **overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_another_beginning_or_interval_is_another_backtest(home: Path) -> None:
    asked = [plan(), plan(first=date(2012, 12, 4)), plan(refit_every=6), plan(horizon=2), plan(network="rnn")]
    keys = [planned["run"]["key"] for planned in asked]
    assert len(set(keys)) == len(keys)
    assert keys[0] == plan()["run"]["key"]


def test_days_on_which_nothing_was_traded_may_begin_and_end_it(home: Path) -> None:
    assert plan(date(2012, 12, 1), date(2012, 12, 16))["folds"] == [
        {"number": 1, "first": "2012-12-03", "last": "2012-12-07"},
        {"number": 2, "first": "2012-12-10", "last": "2012-12-14"},
    ]


def call(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["backtest", *map(str, words)])


def test_the_command_prints_the_table_and_json(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "plan_backtest", lambda **_: done.planned)
    monkeypatch.setattr(jobs, "backtest_all", lambda *_, **__: {**done.result, "file": "x.parquet"})
    shown = call("--from", FIRST, "--to", LAST)
    assert shown.exit_code == 0, shown.output
    assert "MLP" in shown.stdout
    assert f"{done.result['scores']['models']['mlp']['crps_bp']:.2f}" in shown.stdout
    printed = call("--from", FIRST, "--to", LAST, "--json")
    assert json.loads(printed.stdout)["scores"] == done.result["scores"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("--from", "June", "--to", "2012-12-19"), PipelineError),
        (("--from", "2012-12-03", "--to", "2012-12-19", "--out", "frame.xlsx"), BadFile),
        (("--from", "2012-12-03", "--to", "2012-12-19", "--out", "/nowhere/frame.csv"), BadFile),
    ],
)
def test_the_command_refuses_what_it_cannot_write_before_it_begins(
    home: Path, words: tuple[str, ...], kind: type[Exception]
) -> None:
    assert isinstance(call(*words).exception, kind)
    assert not home.exists()
