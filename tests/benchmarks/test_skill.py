"""The skill benchmark: one scorer, the right session, nobody looks ahead, and what was run is not run again."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.skill import neuralforecast_lstm, peer, series
from benchmarks.skill.__main__ import _parser, main, scored
from benchmarks.skill.__main__ import _request as settle
from benchmarks.skill.__main__ import _run as run_cases
from benchmarks.skill.cases import Case, Request, cases
from benchmarks.skill.prices import Outcomes, chosen, price_table
from benchmarks.skill.saved import Saved
from benchmarks.skill.scorer import score
from benchmarks.skill.tables import as_markdown
from benchmarks.skill.windows import judge
from pipeline.config import LEVELS, Settings
from pipeline.learning.features import DECAY, STILL, WARM_UP, ewma_volatility
from pipeline.publishing.tables import SCHEMA

SYMBOLS = ("A", "B", "C")
Frames = dict[tuple[str, int | None], pd.DataFrame]


def made_prices(bars: int = 130, seed: int = 1) -> pd.DataFrame:
    """Three symbols on the same weekdays, the last listed later; a level that is not the close."""
    rng = np.random.default_rng(seed)
    sessions = pd.bdate_range("2020-01-01", periods=bars).drop("2020-03-06")
    parts = []
    for at, symbol in enumerate(SYMBOLS):
        mine = sessions[10 * at :]
        moves = rng.standard_t(5, len(mine)) * 0.01
        close = 50.0 * (at + 1) * np.exp(np.cumsum(moves))
        level = close * np.linspace(0.9, 1.0, len(mine))
        parts.append(pd.DataFrame({"symbol": symbol, "session": mine, "close": close, "level": level}))
    return pd.concat(parts, ignore_index=True).astype({"session": "datetime64[s]"})


def made_forecasts(
    prices: pd.DataFrame, model: str, steps: Sequence[int] = (1, 2, 5), width: float = 0.01, middle: float = 0.0
) -> pd.DataFrame:
    """A forecast from every row whose targets have come: quantiles around `middle`, wider with the step."""
    parts = []
    for symbol, rows in prices.groupby("symbol"):
        sessions, close = rows["session"].to_numpy(), rows["close"].to_numpy()
        for step in steps:
            origins = np.arange(len(rows) - step)
            returns = middle + width * np.sqrt(step) * np.linspace(-1.6, 1.6, len(LEVELS))
            columns = {
                "symbol": symbol,
                "as_of": sessions[origins],
                "step": step,
                "target_session": sessions[origins + step],
                "last_close": close[origins],
                "model": model,
                "model_version": "1",
            }
            quantiles = {
                f"q{level:g}": close[origins] * np.exp(each) for level, each in zip(LEVELS, returns, strict=True)
            }
            parts.append(pd.DataFrame({**columns, **quantiles}))
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=3)


def laid_down(folder: Path, frames: Frames) -> Saved:
    saved = Saved(folder)
    for (model, seed), frame in frames.items():
        saved.keep(f"{model}-{seed}", frame, {"model": model}, seed=seed, seconds=2.0)
    return saved


def judged_and_scored(tmp_path: Path, frames: Frames, prices: pd.DataFrame, steps: Sequence[int]) -> dict[str, Any]:
    saved = laid_down(tmp_path / "quantiles", frames)
    everyone = saved.forecasters(saved.names())
    return score(judge(everyone, Outcomes(prices), steps), everyone)


def slow_crps(frame: pd.DataFrame, prices: pd.DataFrame, step: int) -> dict[tuple[str, pd.Timestamp], float]:
    """CRPS in basis points of each window with five sessions to come, as one would write it down at first."""
    found = {}
    for symbol, rows in prices.groupby("symbol"):
        sessions = list(rows["session"])
        levels = dict(zip(sessions, rows["level"], strict=True))
        for _, one in frame[(frame["symbol"] == symbol) & (frame["step"] == step)].iterrows():
            at = sessions.index(one["as_of"])
            if at + 5 >= len(sessions):
                continue
            actual = np.log(levels[sessions[at + step]] / levels[sessions[at]])
            losses = []
            for level in LEVELS:
                error = actual - np.log(one[f"q{level:g}"] / one["last_close"])
                losses.append(level * error if error >= 0 else (level - 1) * error)
            found[symbol, one["as_of"]] = 2e4 * float(np.mean(losses))
    return found


def slow_t(difference: Sequence[float], horizon: int) -> float:
    count, mean = len(difference), float(np.mean(difference))
    error = [one - mean for one in difference]
    variance = sum(one * one for one in error) / count
    lags = 2 * (horizon - 1)
    for lag in range(1, lags + 1):
        covariance = sum(error[at] * error[at - lag] for at in range(lag, count)) / count
        variance += 2 * (1 - lag / (lags + 1)) * covariance
    small = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    return float(mean / np.sqrt(variance / count) * np.sqrt(small))


def test_the_scores_are_those_of_a_slow_obvious_computation(tmp_path: Path) -> None:
    prices = made_prices()
    frames: Frames = {
        ("garch", None): made_forecasts(prices, "garch", width=0.02),
        ("lstm", 1): made_forecasts(prices, "lstm", width=0.012, middle=0.001),
    }
    table = judged_and_scored(tmp_path, frames, prices, (1, 5))
    slow = {model: {step: slow_crps(frame, prices, step) for step in (1, 5)} for (model, _), frame in frames.items()}
    windows = list(slow["lstm"][5])
    assert table["windows"] == len(windows)
    assert table["best_baseline"] == "garch"
    by_session: dict[str, dict[pd.Timestamp, list[float]]] = {}
    for row in table["forecasters"]:
        mine = slow[row["model"]]
        assert [each["step"] for each in row["by_step"]] == [1, 5]
        for each in row["by_step"]:
            assert each["crps_bp"] == pytest.approx(np.mean([mine[each["step"]][one] for one in windows]))
        assert row["crps_bp"] == pytest.approx(np.mean([mine[step][one] for one in windows for step in (1, 5)]))
        for one in windows:
            both = (mine[1][one] + mine[5][one]) / 2
            by_session.setdefault(row["model"], {}).setdefault(one[1], []).append(both)
    days = sorted(by_session["lstm"])
    assert table["sessions"] == len(days)
    means = {model: [float(np.mean(losses[day])) for day in days] for model, losses in by_session.items()}
    (row,) = (row for row in table["forecasters"] if row["model"] == "lstm")
    gap = [other - mine for mine, other in zip(means["lstm"], means["garch"], strict=True)]
    assert row["t"] == pytest.approx(slow_t(gap, 5))
    assert row["skill_percent"] == pytest.approx(100 * np.sum(gap) / np.sum(means["garch"]))
    assert row["p_holm"] == row["p"]  # there is but one test


def test_coverage_direction_and_error_are_those_of_the_outcomes(tmp_path: Path) -> None:
    prices = made_prices()
    frame = made_forecasts(prices, "lstm", middle=0.002)
    table = judged_and_scored(tmp_path, {("lstm", 1): frame}, prices, (1, 5))
    (row,) = table["forecasters"]
    actual = {1: [], 5: []}
    for _, rows in prices.groupby("symbol"):
        logs = np.log(rows["level"].to_numpy())
        for step in actual:
            actual[step] += [logs[at + step] - logs[at] for at in range(len(logs) - 5)]
    for each in row["by_step"]:
        came = np.array(actual[each["step"]])
        wide = 0.01 * np.sqrt(each["step"]) * 1.6
        assert each["coverage_90"] == pytest.approx(np.mean(np.abs(came - 0.002) <= wide))
        assert each["direction"] == each["up"] == pytest.approx(np.mean(came > 0))
        assert each["mae_over_random_walk"] == pytest.approx(np.abs(came - 0.002).mean() / np.abs(came).mean())
        assert each["direction_low"] < each["direction"] < each["direction_high"]
    assert table["best_baseline"] is None
    assert row["t"] is None


def test_outcomes_end_with_their_symbol() -> None:
    prices = made_prices()
    outcomes = Outcomes(prices)
    for step in (1, 5):
        returns = outcomes.returns(prices["symbol"], prices["session"].to_numpy(), (step,))[:, 0]
        logs = np.log(prices["level"])
        later = logs.groupby(prices["symbol"]).shift(-step)
        np.testing.assert_allclose(returns, later - logs, rtol=0, atol=1e-12)
        assert np.isnan(returns).sum() == 3 * step
    nobody = outcomes.returns(["A", "Z"], np.array(["2020-03-06", "2020-03-05"], "datetime64[s]"), (1,))
    assert np.isnan(nobody).all()


def test_windows_that_one_model_lacks_are_scored_for_none(tmp_path: Path) -> None:
    prices = made_prices()
    few = made_forecasts(prices, "darts", steps=(1, 5))
    few = few[(few["symbol"] != "B") & (few["as_of"] >= "2020-03-02")]
    several = made_forecasts(prices, "garch")
    table = judged_and_scored(tmp_path, {("darts", 1): few, ("garch", None): several}, prices, (1, 5))
    assert table["symbols"] == 2
    assert table["first"] == "2020-03-02"
    assert table["windows"] == 2 * table["sessions"] == (few["step"] == 5).sum()
    alone = judged_and_scored(
        tmp_path / "alone", {("garch", None): several.merge(few[["symbol", "as_of", "step"]])}, prices, (1, 5)
    )
    (row,) = (row for row in table["forecasters"] if row["model"] == "garch")
    assert row["crps_bp"] == pytest.approx(alone["forecasters"][0]["crps_bp"])


def test_a_forecast_for_another_session_than_the_tables_does_not_count(tmp_path: Path) -> None:
    prices = made_prices()
    frame = made_forecasts(prices, "lstm")
    off = frame.assign(target_session=frame["target_session"] + pd.Timedelta(days=1))
    frame.loc[frame["symbol"] == "A"] = off[off["symbol"] == "A"]
    table = judged_and_scored(tmp_path, {("lstm", 1): frame}, prices, (1, 5))
    assert table["symbols"] == 2
    (row,) = table["forecasters"]
    assert row["unusable"] == (frame["step"].isin((1, 5)) & (frame["symbol"] == "A")).sum()
    assert "Not scored, lstm, seed 1" in as_markdown(table)
    with pytest.raises(ValueError, match="no window"):
        judged_and_scored(tmp_path / "off", {("lstm", 1): off}, prices, (1, 5))


def test_what_is_no_number_does_not_count(tmp_path: Path) -> None:
    prices = made_prices()
    frame = made_forecasts(prices, "lstm")
    frame.loc[frame.index[:3], "q0.5"] = np.nan
    table = judged_and_scored(tmp_path, {("lstm", 1): frame}, prices, (1, 2, 5))
    assert table["forecasters"][0]["unusable"] == 3
    assert np.isfinite(table["forecasters"][0]["crps_bp"])


def test_two_forecasts_of_one_window_are_refused(tmp_path: Path) -> None:
    prices = made_prices()
    frame = made_forecasts(prices, "lstm")
    with pytest.raises(ValueError, match="lstm, seed 1 has two forecasts"):
        judged_and_scored(tmp_path, {("lstm", 1): pd.concat([frame, frame.head(1)])}, prices, (1, 2, 5))


def test_seeds_have_a_mean_and_networks_are_compared_seed_by_seed(tmp_path: Path) -> None:
    prices = made_prices()
    widths = {("lstm", 1): 0.010, ("lstm", 2): 0.011, ("rnn", 1): 0.013, ("rnn", 2): 0.014, ("darts", 1): 0.03}
    frames: Frames = {key: made_forecasts(prices, key[0], width=width) for key, width in widths.items()}
    frames["garch", None] = made_forecasts(prices, "garch", width=0.02)
    frames["random_walk", None] = made_forecasts(prices, "random_walk", width=0.025)
    table = judged_and_scored(tmp_path, frames, prices, (1, 2, 5))
    rows = {(row["model"], row["seed"]): row for row in table["forecasters"]}
    assert [row["model"] for row in table["forecasters"]][:4] == ["random_walk", "garch", "lstm", "lstm"]
    means = {row["model"]: row for row in table["means"]}
    both = [rows["lstm", 1], rows["lstm", 2]]
    assert means["lstm"]["crps_bp"] == pytest.approx(np.mean([row["crps_bp"] for row in both]))
    assert means["lstm"]["skill_percent"] == pytest.approx(np.mean([row["skill_percent"] for row in both]))
    pairs = [(row["model"], row["other"], row["seed"]) for row in table["pairs"]]
    assert pairs == [("lstm", "rnn", 1), ("lstm", "rnn", 2), ("lstm", "darts", 1)]
    expected = 100 * (1 - rows["lstm", 1]["crps_bp"] / rows["rnn", 1]["crps_bp"])
    assert table["pairs"][0]["skill_percent"] == pytest.approx(expected, abs=0.3)  # of sessions, not of windows
    assert rows["random_walk", None]["p_holm"] is None
    tested = [row["p"] for row in table["forecasters"] if row["seed"] is not None]
    assert min(row["p_holm"] for row in table["forecasters"] if row["p_holm"]) == pytest.approx(
        min(1.0, min(tested) * len(tested))
    )
    text = as_markdown(table)
    assert "| **`lstm`** | mean of 2 |" in text
    assert text.index("| `random_walk` |") < text.index("| `lstm` | 1 |") < text.index("| `darts` | 1 |")


def test_models_with_more_steps_have_a_table_of_their_own(tmp_path: Path) -> None:
    prices = made_prices()
    saved = laid_down(
        tmp_path,
        {
            ("darts", 1): made_forecasts(prices, "darts", (1, 5)),
            ("lstm", 1): made_forecasts(prices, "lstm", range(1, 6)),
        },
    )
    both, ours = scored(saved, saved.names(), prices)
    assert both["steps"] == [1, 5]
    assert ours["steps"] == [1, 2, 3, 4, 5]
    assert [row["model"] for row in ours["forecasters"]] == ["lstm"]
    assert as_markdown(ours).startswith("Steps 1 to 5: ")


def test_forecasts_from_elsewhere_are_scored_where_they_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = made_prices()
    laid_down(tmp_path / "quantiles", {("garch", None): made_forecasts(prices, "garch", (1,))})
    made_forecasts(prices, "somebody's", (1,)).to_parquet(tmp_path / "quantiles" / "theirs.parquet")
    prices.to_parquet(tmp_path / "prices.parquet")
    file = tmp_path / "told.json"
    assert main(["--score-only", "--out", str(tmp_path), "--json", str(file)]) == 0
    assert "| `somebody's` |" in capsys.readouterr().out
    assert len(json.loads(file.read_text())["tables"][0]["forecasters"]) == 2


def test_the_plain_volatility_is_the_products() -> None:
    assert (series.DECAY, series.WARM_UP, series.STILL) == (DECAY, WARM_UP, STILL)
    returns = np.random.default_rng(2).normal(0, 0.02, 300)
    returns[[0, 40, 41]] = np.nan
    ours = ewma_volatility(returns[None], DECAY)[0]
    np.testing.assert_allclose(series.ewma_volatility(returns), ours, rtol=1e-12)


def test_the_peers_are_asked_for_what_the_product_forecasts() -> None:
    assert peer.LEVELS == LEVELS
    assert Settings.model_fields["context_length"].default == peer.CONTEXT
    assert Settings.model_fields["hidden_size"].default == peer.HIDDEN


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("step", [1, 5])
def test_the_last_output_of_a_peer_is_the_return_after_its_origin(step: int, scaled: bool) -> None:
    prices = made_prices()
    made = series.series_of(prices, step=step, scaled=scaled)
    assert [one.symbol for one in made] == list(SYMBOLS)
    for one in made:
        whole = prices[prices["symbol"] == one.symbol]
        level = whole["level"].to_numpy()[-len(one.y_T) :]
        assert (whole["session"].to_numpy()[-len(one.y_T) :] == one.sessions_T).all()
        came = np.log(level[step:] / level[:-step])
        np.testing.assert_allclose(one.y_T[step:] * one.scale_T[:-step], came, rtol=0, atol=1e-12)
        assert np.isfinite(one.y_T).all()


def test_a_symbol_begins_after_what_cannot_be_used() -> None:
    still = pd.DataFrame(
        {"symbol": "S", "session": pd.bdate_range("2020-01-01", periods=200), "close": 10.0, "level": 10.0}
    )
    assert series.series_of(still, step=1, scaled=True) == []
    (one,) = series.series_of(still, step=1, scaled=False)
    assert len(one.y_T) == 199


def test_every_session_lies_in_one_fold_and_no_value_of_it_trains() -> None:
    prices = made_prices()
    folds = list(series.folds_of(prices, date(2020, 4, 1), date(2020, 5, 29), 20))
    sessions = np.unique(prices["session"].to_numpy().astype("datetime64[D]"))
    asked = sessions[(sessions >= np.datetime64("2020-04-01")) & (sessions <= np.datetime64("2020-05-29"))]
    inside = [[day for day in asked if fold.first <= day <= fold.last] for fold in folds]
    assert [len(days) for days in inside] == [20, 20, 3]
    assert [day for days in inside for day in days] == list(asked)
    (one, *_) = series.series_of(prices, step=5, scaled=True)
    for fold in folds:
        seen = series.history(one, fold)
        assert one.sessions_T[len(seen)] == fold.first  # the one before is the newest
        t_W = series.origins(one, fold, context=20, step=5)
        assert one.sessions_T[t_W[0]] == fold.first
        assert one.sessions_T[t_W[-1]] == min(fold.last, one.sessions_T[-6])
        np.testing.assert_array_equal(series.contexts(one, t_W, 20)[0], one.y_T[t_W[0] - 19 : t_W[0] + 1])


def echo(seen: Sequence[series.Array], _asked: peer.Asked) -> peer.Forecast:
    """A peer that says what it was shown: the last value of the context, around it what it was trained on."""
    trained = float(np.mean(np.concatenate(list(seen))))
    spread = np.array([0.3, 0.2, 0.1, 0.0, -0.1, -0.2, -0.3])  # from the top down: the quantiles cross

    def forecast(contexts_WL: series.Array) -> series.Array:
        assert contexts_WL.shape[1] == peer.CONTEXT
        return contexts_WL[:, -1:] + trained + spread

    return forecast


def asked_of(step: int, scaled: bool) -> peer.Asked:
    return peer.Asked(
        prices=Path("none"), first=date(2020, 5, 18), last=date(2020, 6, 26), refit_every=10, step=step, scaled=scaled,
        seed=1, out=Path("none"), training_steps=None,
    )  # fmt: skip


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("step", [1, 5])
def test_nothing_after_an_origin_moves_what_a_peer_says(step: int, scaled: bool) -> None:
    prices = made_prices()
    before, _ = peer.forecasts(prices, asked_of(step, scaled), echo, model="echo", version="1")
    day = pd.Timestamp("2020-06-05")
    poisoned = prices.assign(level=np.where(prices["session"] > day, 9 * prices["level"] + 1, prices["level"]))
    after, _ = peer.forecasts(poisoned, asked_of(step, scaled), echo, model="echo", version="1")
    upto = before["as_of"] <= day
    pd.testing.assert_frame_equal(before[upto], after[upto])
    assert not np.allclose(before.loc[~upto, "q0.5"], after.loc[~upto, "q0.5"])


@pytest.mark.parametrize("step", [1, 5])
def test_a_peer_answers_in_the_published_columns(step: int) -> None:
    prices = made_prices()
    frame, seconds = peer.forecasts(prices, asked_of(step, False), echo, model="echo", version="1")
    assert list(frame.columns) == SCHEMA.names
    assert seconds >= 0
    quantiles = frame[[f"q{level:g}" for level in LEVELS]].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    outcomes = Outcomes(prices)
    row_N = outcomes.rows(frame["symbol"], frame["as_of"].to_numpy())
    later = outcomes.sessions(outcomes.later(row_N, step))
    assert (later == frame["target_session"].to_numpy().astype("datetime64[D]")).all()
    assert (prices["close"].to_numpy()[row_N] == frame["last_close"]).all()
    assert (frame["as_of"].min(), set(frame["step"])) == (pd.Timestamp("2020-05-18"), {step})


def test_a_fold_whose_targets_have_not_come_is_left_out_and_no_history_is_refused() -> None:
    prices = made_prices()
    last = prices["session"].max().date()
    whole, _ = peer.forecasts(prices, replace(asked_of(5, False), last=last), echo, model="echo", version="1")
    assert whole["target_session"].max() == prices["session"].max()
    late = replace(asked_of(5, False), first=last, last=last)
    with pytest.raises(ValueError, match="no target 5 sessions after"):
        peer.forecasts(prices, late, echo, model="echo", version="1")
    with pytest.raises(ValueError, match="no symbol has 65 usable values"):
        peer.forecasts(prices, replace(asked_of(5, True), first=date(2020, 4, 27)), echo, model="echo", version="1")


def test_neuralforecasts_names_of_quantiles() -> None:
    names = [neuralforecast_lstm.column(level) for level in LEVELS]
    assert names == ["-lo-90.0", "-lo-80.0", "-lo-50.0", "-median", "-hi-50.0", "-hi-80.0", "-hi-90.0"]


def request(tmp_path: Path, **changed: Any) -> Request:
    given: dict[str, Any] = {
        "out": tmp_path, "files": tmp_path / "p.csv", "data": "1f", "symbols": ("A", "B"), "first": date(2020, 5, 1),
        "last": date(2020, 6, 1), "refit_every": 10, "horizon": 5, "networks": ("lstm", "rnn"), "seeds": 2,
        "peers": Path(sys.executable),
    }  # fmt: skip
    return Request(**{**given, **changed})


def test_each_case_has_a_name_and_what_it_depends_on(tmp_path: Path) -> None:
    made = list(cases(request(tmp_path), {}))
    assert [case.ours for case in made] == [True] * 4 + [False] * 8
    assert len({case.name for case in made}) == 12
    for changed in ({"data": "2e"}, {"first": date(2020, 5, 4)}, {"symbols": ("A",)}, {"training_steps": 3}):
        for case, other in zip(made, cases(request(tmp_path, **changed), {}), strict=True):
            assert case.name == other.name
            assert case.parameters != other.parameters
    with pytest.raises(ValueError, match="beyond --horizon 3"):
        request(tmp_path, horizon=3)
    with pytest.raises(ValueError, match="no such interpreter"):
        request(tmp_path, peers=tmp_path / "python")


def test_a_request_ends_with_its_prices_and_asks_for_symbols_that_they_have(tmp_path: Path) -> None:
    file, out = tmp_path / "prices.parquet", tmp_path / "out"
    out.mkdir()
    made_prices().rename(columns={"session": "date", "level": "adj_close"}).to_parquet(file)
    words = ["--files", str(file), "--from", "2020-05-01", "--to", "2021-01-01", "--symbols", "2", "--seeds", "1"]
    settled = settle(_parser().parse_args([*words, "--refit-every", "20"]), out)
    assert settled.last == date(2020, 6, 30)
    assert settled.symbols == ("A", "B")
    assert set(pd.read_parquet(settled.prices)["symbol"]) == {"A", "B"}
    with pytest.raises(SystemExit, match="the prices have no Z"):
        main([*words, "--symbols", "Z", "--out", str(out)])
    with pytest.raises(SystemExit, match="would be written over"):
        main([*words, "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["--files", str(file)])  # which sessions?


def test_settings_of_the_caller_are_part_of_a_case_and_his_database_is_not_reached(tmp_path: Path) -> None:
    theirs = {"PIPELINE_LEARNING_RATE": "0.002", "PIPELINE_DATABASE_URL": "postgresql://x", "PIPELINE_HOME": "/x"}
    theirs |= {"MLFLOW_TRACKING_URI": "http://x", "PIPELINE_SEED": "9"}
    case, *_ = cases(request(tmp_path), theirs)
    assert case.parameters["settings"] == {"PIPELINE_LEARNING_RATE": "0.002"}
    assert case.environment["PIPELINE_HOME"] == str(tmp_path / "home")
    assert case.environment["PIPELINE_SEED"] == "1"
    assert not {"PIPELINE_DATABASE_URL", "MLFLOW_TRACKING_URI"} & case.environment.keys()


def test_forecasts_without_their_note_are_made_again(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    saved.keep("one", made_forecasts(made_prices(), "lstm"), {"seed": 1, "symbols": ("A",)}, seed=1)
    assert saved.has("one", {"seed": 1, "symbols": ("A",)})
    assert not saved.has("one", {"seed": 2, "symbols": ("A",)})
    (tmp_path / "one.json").unlink()
    assert not saved.has("one", {"seed": 1, "symbols": ("A",)})


def test_what_was_run_is_not_run_again_and_a_failure_stops_nothing(tmp_path: Path) -> None:
    source = tmp_path / "made.parquet"
    made_forecasts(made_prices(), "darts", (1,)).to_parquet(source)
    script = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[3]); open(sys.argv[4], 'a').write('x'); print('{}')"
    runs = tmp_path / "runs"
    runs.touch()
    copying = (sys.executable, "-c", f"import sys; sys.argv.append({str(runs)!r}); {script}", str(source))
    case = Case(name="darts-step1", seed=1, command=copying, parameters={"step": 1})
    broken = Case(name="broken", seed=1, command=(sys.executable, "-c", "raise SystemExit('no memory')"), parameters={})
    saved = Saved(tmp_path / "quantiles")
    for _ in range(2):
        names, failed = run_cases([broken, case], saved)
        assert names == ["darts-step1"]
        assert "no memory" in failed[0]
    assert runs.read_text() == "x"
    run_cases([replace(case, parameters={"step": 5})], saved)
    assert runs.read_text() == "xx"


def test_the_products_file_is_parted_and_its_baselines_are_kept_once(tmp_path: Path) -> None:
    prices = made_prices()
    whole = pd.concat([made_forecasts(prices, model, (1,)) for model in ("lstm", "garch", "random_walk")])
    fold = tmp_path / "run" / "folds" / "2020-05-01"
    fold.mkdir(parents=True)
    (fold / "fold.json").write_text(json.dumps({"training": {"seconds": 12.5}}))
    whole.to_parquet(tmp_path / "made.parquet")
    told = {"folder": str(tmp_path / "run"), "folds": [{"first": "2020-05-01", "trained": True, "reason": None}]}
    words = (
        f"import shutil, sys; shutil.copy({str(tmp_path / 'made.parquet')!r}, sys.argv[2]); print({json.dumps(told)!r})"
    )
    parameters = {"network": "lstm", "seed": 1, "data": "1f"}
    case = Case(name="lstm-seed1", seed=1, command=(sys.executable, "-c", words), parameters=parameters, ours=True)
    saved = Saved(tmp_path / "quantiles")
    assert not case.done(saved)
    case.run(saved)
    assert case.done(saved)
    assert {one.model: one.seconds for one in saved.forecasters(saved.names())} == {
        "random_walk": None, "garch": None, "lstm": 12.5,
    }  # fmt: skip
    written = (tmp_path / "quantiles" / "baselines.json").stat().st_mtime_ns
    replace(case, name="lstm-seed2", seed=2, parameters={**parameters, "seed": 2}).run(saved)
    assert (tmp_path / "quantiles" / "baselines.json").stat().st_mtime_ns == written
    (tmp_path / "quantiles" / "baselines.parquet").unlink()
    assert not case.done(saved)


def test_prices_come_from_a_file_or_the_sample(tmp_path: Path) -> None:
    rows = [
        ("a", "2020-01-02", 10.0, 9.0), ("a", "2020-01-03", 11.0, 9.9), ("a", "2020-01-06", np.nan, 9.0),
        ("b", "2020-01-02", 5.0, 5.0), ("b", "2020-01-03", 6.0, 6.0), ("b", "2020-01-07", 7.0, 7.0),
    ]  # fmt: skip
    file = tmp_path / "prices.csv"
    pd.DataFrame(rows, columns=["Symbol", "Date", "Close", "Adj Close"]).to_csv(file, index=False)
    table = price_table(file, date(2020, 1, 6))
    assert table["symbol"].tolist() == ["A", "A", "B", "B"]
    assert table["level"].tolist() == [9.0, 9.9, 5.0, 6.0]
    assert chosen(table, ["1"])["symbol"].unique().tolist() == ["A"]
    assert chosen(table, ["b"])["symbol"].unique().tolist() == ["B"]
    with pytest.raises(ValueError, match="the prices have no Z"):
        chosen(table, ["Z"])
    sample = price_table(None, date(2012, 12, 31))
    assert sample["symbol"].nunique() == 5
    assert sample["session"].max() == pd.Timestamp("2012-12-31")


def test_without_an_adjusted_close_dividends_and_splits_make_the_level(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    frame = pd.DataFrame({"symbol": "A", "date": pd.bdate_range("2020-01-01", periods=4)})
    frame = frame.assign(open=10.0, high=10.0, low=10.0, close=[10.0, 10.0, 5.0, 5.0], volume=1.0)
    frame.assign(dividends=[0, 1.0, 0, 0], splits=[0, 0, 2.0, 0]).to_csv(file, index=False)
    level = price_table(file, date(2020, 2, 1))["level"].to_numpy()
    np.testing.assert_allclose(level[1:] / level[:-1], [1.1, 1.0, 1.0])
