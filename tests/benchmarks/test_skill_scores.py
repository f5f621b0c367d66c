"""The scorer of the skill benchmark: sessions, shared windows, and agreement with a naive computation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.skill.__main__ import main, scored
from benchmarks.skill.prices import Outcomes
from benchmarks.skill.tables import as_markdown
from tests.benchmarks.made_forecasts import (
    Frames,
    judged_and_scored,
    laid_down,
    made_forecasts,
    made_prices,
    slow_crps,
    slow_t,
)


def test_scores_equal_a_naive_computation(tmp_path: Path) -> None:
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


def test_only_windows_that_all_models_have_are_scored(tmp_path: Path) -> None:
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


def test_a_forecast_for_a_session_not_in_the_table_does_not_count(tmp_path: Path) -> None:
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


def test_nan_forecasts_do_not_count(tmp_path: Path) -> None:
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


def test_models_with_more_steps_have_a_separate_table(tmp_path: Path) -> None:
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


def test_forecasts_from_elsewhere_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = made_prices()
    laid_down(tmp_path / "quantiles", {("garch", None): made_forecasts(prices, "garch", (1,))})
    made_forecasts(prices, "somebody's", (1,)).to_parquet(tmp_path / "quantiles" / "theirs.parquet")
    prices.to_parquet(tmp_path / "prices.parquet")
    file = tmp_path / "told.json"
    assert main(["--score-only", "--out", str(tmp_path), "--json", str(file)]) == 0
    assert "| `somebody's` |" in capsys.readouterr().out
    assert len(json.loads(file.read_text())["tables"][0]["forecasters"]) == 2
