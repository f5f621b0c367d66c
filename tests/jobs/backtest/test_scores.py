"""What a backtest leaves: every session by every model, scored on the same windows."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.forecast_schema import BASELINES, LEVELS, quantile_column
from tests.jobs.backtest.walked import COLUMNS, FIRST, LAST, PRICES, Done


def test_every_session_is_forecast_by_every_model_in_the_promised_columns(done: Done) -> None:
    frame = done.frame
    assert list(frame.columns) == COLUMNS
    assert not frame.duplicated(["symbol", "as_of", "step", "model"]).any()
    sessions = Settings.load().clock.sessions.between(FIRST, LAST)
    for model in ("mlp", *BASELINES):
        mine = frame[frame["model"] == model]
        assert sorted(set(mine["as_of"])) == sessions
        assert mine.groupby(["symbol", "as_of"])["step"].apply(list).map(tuple).unique().tolist() == [(1, 2, 3)]
    assert (np.diff(frame[PRICES].to_numpy(), axis=1) >= 0).all()
    row = frame[(frame["as_of"] == date(2012, 12, 19)) & (frame["symbol"] == "IBM")].iloc[:3]
    assert row["target_session"].tolist() == [date(2012, 12, 20), date(2012, 12, 21), date(2012, 12, 24)]
    bars = done.bars.assign(session=lambda rows: pd.to_datetime(rows["session"]).dt.date)
    closes = frame.merge(bars, left_on=["symbol", "as_of"], right_on=["symbol", "session"], how="left")
    assert (closes["last_close"] == closes["close"]).all()


def test_only_origins_whose_targets_have_come_are_scored_and_all_on_the_same_windows(done: Done) -> None:
    scores = done.result["scores"]
    assert (scores["first"], scores["last"]) == ("2012-12-03", "2012-12-14")  # three sessions before the last
    assert done.result["windows"] == {"forecast": 26, "scored": 20}
    assert set(scores["models"]) == {"mlp", *BASELINES}


def test_the_scores_are_what_anyone_gets_from_the_frame(done: Done) -> None:
    bars = done.bars.assign(session=lambda rows: pd.to_datetime(rows["session"]).dt.date)
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
