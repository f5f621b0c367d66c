"""Synthetic prices and forecasts for tests of the skill benchmark, and naive scores of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.skill.prices import Outcomes
from benchmarks.skill.saved import Saved
from benchmarks.skill.scorer import score
from benchmarks.skill.windows import judge
from pipeline.forecast_schema import LEVELS

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
    """A forecast from every row with known targets: quantiles around `middle`, wider with the step."""
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
    """CRPS in basis points of each window with five later sessions, computed naively."""
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
