"""Bad prices and settings without sense: every symbol is forecast or named with its reason, and no number is NaN."""

import io
import json
import shutil
import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import jobs
from pipeline.cli import app
from pipeline.config import Overrides
from pipeline.errors import BadSetting, NothingToForecast
from pipeline.forecast_schema import BASELINE_FAMILIES, BASELINES, QUANTILES
from pipeline.jobs import daily_run
from pipeline.jobs.results import JudgeResult, Plan, RunResults
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import DECISION, UPLOAD
from pipeline.storage.documents import to_document
from tests.bad_prices import BAD, COUNT, LAST, MIDDLE, NEVER, SESSIONS, SOUND, STANDS_IN, tables
from tests.small import set_as_standing

SMALL = {
    "source": "files",
    "training_steps": 3,
    "hidden_size": 4,
    "context_length": 10,
    "batch_size": 16,
    "holdout_sessions": 20,
    "validation_sessions": 20,
    "horizon": 3,
    "refit_every": 10,
    "precision": "fp32",
}
NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
BACKTEST_FROM = SESSIONS[-12]  # two folds
NETWORKS = ("lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rnn", "mlp")))


@dataclass(frozen=True)
class Place:
    """A home of its own and a file of prices."""

    home: Path

    def holds(self, table: pd.DataFrame) -> None:
        table.to_csv(self.home.parent / "prices.csv", index=False)

    def overrides(self, **overrides: Any) -> dict[str, Any]:
        return {**SMALL, "files": str(self.home.parent / "prices.csv"), **overrides}

    def plan(self, **overrides: Any) -> Plan:
        given = self.overrides(**overrides)
        return jobs.plan(key=None, now=NOW, as_of=LAST, overrides=Overrides(given), provenance={}, make_latest=True)

    def daily(self, **overrides: Any) -> RunResults:
        return jobs.run_all(self.plan(**overrides), known_at=NOW)

    def backtest(self, first: date = BACKTEST_FROM, last: date = LAST, **overrides: Any) -> dict[str, Any]:
        planned = jobs.plan_backtest(
            key=None, now=NOW, first=first, last=last, overrides=Overrides(self.overrides(**overrides)), provenance={}
        )
        return to_document(jobs.backtest_all(planned, known_at=NOW))

    @property
    def published(self) -> Path:
        return self.home / "published" / f"as_of={LAST}"


@pytest.fixture
def place(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree(empty_home, tmp_path / "var")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    set_as_standing(monkeypatch, {**SMALL, "files": tmp_path / "prices.csv"})
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path / "var")


def let_the_network_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish the network of three steps, whatever the gate says of it."""
    judge = jobs.judge

    def judged(run: Run) -> JudgeResult:
        result, version = judge(run), run.load(UPLOAD).model_version
        decision = replace(run.load(DECISION), model=run.settings.network, model_version=version, promoted=True)
        run.save(DECISION, decision)
        return result

    monkeypatch.setattr(daily_run, "judge", judged)


def are_prices(frame: pd.DataFrame) -> bool:
    numbers = frame[["last_close", *QUANTILES]].to_numpy(float)
    return bool(np.isfinite(numbers).all() and (numbers > 0).all() and (np.diff(numbers[:, 1:], axis=1) >= 0).all())


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


def reasons_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["symbol"]: row["reason"] for row in rows}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_daily_run_forecasts_each_symbol_or_names_it_with_the_reason(
    place: Place, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.holds(tables((*SOUND, *BAD)))
    let_the_network_through(monkeypatch)
    results = place.daily(network=network)
    assert results.train.trained
    frame = pd.read_csv(io.BytesIO((place.published / "forecasts.csv").read_bytes()))
    assert are_prices(frame)
    assert are_prices(pd.read_parquet(place.published / "forecasts.parquet"))
    for path in [*place.published.rglob("*.json"), *(place.home / "runs").rglob("*.json")]:
        json.loads(path.read_text(), parse_constant=no_constant)
    published = json.loads((place.published / "forecasts.json").read_text())
    withheld = reasons_of(published["withheld"])
    expected = {name: reason for name, (_, reason) in BAD.items() if reason is not None}
    assert set(withheld) == set(expected)
    for name, reason in expected.items():
        assert reason in withheld[name]
    assert set(frame["symbol"]) == {*SOUND, *BAD} - set(expected)
    stand_ins = reasons_of(to_document(results.forecast)["fallbacks"])
    assert set(stand_ins) == set(STANDS_IN)
    for name, reason in STANDS_IN.items():
        assert stand_ins[name].startswith(f"{reason}: ")
    models = frame.groupby("symbol")["model"].unique().map(list).to_dict()
    assert {name for name, mine in models.items() if mine != [network]} == set(STANDS_IN)
    report = (place.published / "report.html").read_text()
    assert ">nan<" not in report.lower()
    for name in expected:
        assert f"<b>{name}</b>" in report


@pytest.mark.parametrize("network", NETWORKS)
def test_a_backtest_forecasts_each_symbol_or_names_it_with_the_reason(place: Place, network: str) -> None:
    place.holds(tables((*SOUND, *BAD)))
    result = place.backtest(network=network)
    frame = pd.read_parquet(result["file"])
    assert [fold["trained"] for fold in result["folds"]] == [True, True]
    assert set(frame["model"]) == {network, *BASELINE_FAMILIES}
    assert are_prices(frame)
    for path in (place.home / "runs").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=no_constant)
    assert set(result["without_forecast"]) == set(NEVER)
    withheld = reasons_of(result["withheld"])
    assert set(withheld) == set(NEVER)
    for name in ("SHORT", "CONSTANT", "ALLZERO", "ALLNAN"):
        assert str(BAD[name][1]) in withheld[name]
    assert "its last is for" in withheld["GONE"]
    assert set(frame["symbol"]) == {*SOUND, *BAD} - set(NEVER)
    last = frame[frame["as_of"] == LAST]
    assert not {"OPENLAST", "HIGHLAST", "INFLAST", "ZEROLAST"} & set(last["symbol"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("SHORT",), ["SHORT has 10 sessions, 21 are needed"]),
        (("CONSTANT",), ["CONSTANT has not moved for so long"]),
        (("ALLNAN",), ["ALLNAN its bar of 2020-06-30 is in quarantine: an empty row"]),
        (("OPENLAST",), ["OPENLAST its bar of 2020-06-30 is in quarantine"]),
        (
            ("SHORT", "CONSTANT", "OPENLAST", "INFLAST", "ZEROLAST", "ALLNAN", "ALLZERO"),
            ["ALLNAN its bar of", "CONSTANT has not moved", "and 2 more"],
        ),
    ],
)
def test_where_all_symbols_are_bad_the_run_ends_with_their_reasons_in_a_line(
    place: Place, names: tuple[str, ...], words: list[str]
) -> None:
    place.holds(tables(names))
    with pytest.raises(NothingToForecast, match="no symbol can be forecast as of 2020-06-30") as told:
        place.daily(network="mlp")
    assert "\n" not in str(told.value)
    for one in words:
        assert one in str(told.value)
    assert not place.published.exists()


@pytest.mark.parametrize("names", [("CONSTANT",), ("ALLNAN",), ("CONSTANT", "GONE", "ALLZERO")])
def test_where_all_symbols_are_bad_a_backtest_ends_with_their_reasons_in_a_line(
    place: Place, names: tuple[str, ...]
) -> None:
    place.holds(tables(names))
    with pytest.raises(NothingToForecast) as told:
        place.backtest(network="mlp")
    assert "\n" not in str(told.value)
    for name in names:
        assert name in str(told.value)


def test_a_fold_before_the_first_bar_of_every_symbol_names_them(place: Place) -> None:
    place.holds(tables((*SOUND, "HALFWAY")))
    days = SESSIONS[MIDDLE - 10 :][:40]
    result = place.backtest(days[0], days[-1], symbols="HALFWAY", network="mlp")
    frame = pd.read_parquet(result["file"])
    assert set(frame["as_of"]) == set(days[30:])  # a volatility takes 20 returns
    assert are_prices(frame)
    said = [(row["reason"], row["sessions"]) for row in result["withheld"]]
    assert said == [
        ("has no bar at all", 10),
        ("has 10 sessions, 21 are needed for a volatility", 10),
        ("has 20 sessions, 21 are needed for a volatility", 10),
    ]


@pytest.mark.parametrize(
    "name", ["GAP", *(pytest.param(name, marks=pytest.mark.slow) for name in ("HALFWAY", "VOLUMEZERO"))]
)
def test_a_symbol_alone_gets_the_baseline_and_the_reason(place: Place, name: str) -> None:
    place.holds(tables((name,)))
    results = place.daily(network="mlp")
    assert "No network was trained: too little history to train on" in results.judge.reason
    frame = pd.read_parquet(place.published / "forecasts.parquet")
    assert set(frame["symbol"]) == {name}
    assert set(frame["model"]) <= set(BASELINES)
    assert are_prices(frame)


def test_fewer_sessions_than_the_network_reads_leave_the_baseline_unjudged_and_say_so(place: Place) -> None:
    place.holds(tables(SOUND))
    results = place.daily(network="lstm", context_length=300)
    assert "No network was trained: too little history to train on: 0 windows" in results.judge.reason
    assert "There are no held-out sessions yet" in results.judge.reason
    assert are_prices(pd.read_parquet(place.published / "forecasts.parquet"))
    result = place.backtest(network="lstm", context_length=300)
    assert "0 windows" in result["folds"][0]["reason"]
    assert are_prices(pd.read_parquet(result["file"]))


@pytest.mark.parametrize("block", ["validation_sessions", "holdout_sessions"])
@pytest.mark.parametrize("way", ["daily", "backtest"])
def test_a_horizon_that_does_not_fit_into_a_block_is_refused_by_name(place: Place, block: str, way: str) -> None:
    place.holds(tables(SOUND))
    words = f"PIPELINE_{block.upper()}=20: is less than PIPELINE_HORIZON=30"
    blocks = {"validation_sessions": 40, "holdout_sessions": 40, block: 20}
    with pytest.raises(BadSetting, match=words) as told:
        getattr(place, way)(horizon=30, **blocks)
    assert "\n" not in str(told.value)
    assert not told.value.retryable


@pytest.mark.parametrize("way", ["daily", "backtest"])
def test_a_horizon_as_long_as_the_blocks_gives_prices(place: Place, way: str) -> None:
    place.holds(tables(SOUND))
    getattr(place, way)(network="mlp", horizon=20)
    (path,) = [*(place.home / "runs").glob("*/forecasts.parquet")]
    frame = pd.read_parquet(path)
    assert frame["step"].max() == 20
    assert are_prices(frame)


@pytest.mark.parametrize("value", [0.0, pytest.param(np.inf, marks=pytest.mark.slow)])
def test_an_adjusted_close_that_is_none_says_nothing_of_dividends(place: Place, value: float) -> None:
    table = tables(SOUND[:2]).assign(adj_close=lambda rows: rows["close"])
    table.loc[[5, COUNT - 5, COUNT + 30], "adj_close"] = value
    place.holds(table)
    results = place.daily(network="mlp")
    assert not results.forecast.withheld
    assert are_prices(pd.read_parquet(place.published / "forecasts.parquet"))


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--files", "prices.csv", "--symbols", "SHORT"), 1, "NothingToForecast: no symbol can be forecast"),
        (("--files", "prices.csv", "--horizon", "300"), 1, "BadSetting: PIPELINE_HORIZON=300"),
        (("--files", "none.csv"), 1, "BadFile: "),
        (("--files", "prices.csv", "--symbols", "SOUNDA"), 0, ""),
    ],
)
def test_the_command_ends_in_success_or_in_one_line(
    place: Place,
    words: tuple[str, ...],
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.holds(tables(("SOUNDA", "SHORT")))
    monkeypatch.setattr(sys, "argv", ["pipeline", "run", "--as-of", str(LAST), "--network", "mlp", *words])
    monkeypatch.setenv("PIPELINE_CONTEXT_LENGTH", "10")
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == status
    assert said in capsys.readouterr().err
