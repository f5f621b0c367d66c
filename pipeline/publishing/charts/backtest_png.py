"""The charts of a backtest: CRPS gained on the best baseline session by session, and coverage of the ranges.

Both are functions of backtest.json alone. Only drawing one imports matplotlib.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.backtest_results import BacktestSummary
from pipeline.evaluation.model_scores import ModelScores
from pipeline.forecast_schema import RANGES
from pipeline.publishing.charts.png import BANDS, BRASS, GRID, INK, MUTED, TEAL, canvas, look_of, png_of
from pipeline.publishing.formatting import in_prose, model_name
from pipeline.storage.atomic_files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SOME_FOLDS = 40  # more of them are not marked: their lines would cover the curve


def draw(result: BacktestSummary, folder: Path) -> list[Path]:
    """Write the pictures that can be drawn into `folder` and return them; none where nothing was scored."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if result.gained_bp:
        drawn.append(skill_chart(result, folder / "skill.png"))
    if result.scores.models:
        drawn.append(coverage_chart(result, folder / "coverage.png"))
    return drawn


def skill_chart(result: BacktestSummary, path: Path) -> Path:
    """Write the network's gain in CRPS on the best baseline, added up over the sessions; up is better."""
    days, total = np.array(result.sessions, "datetime64[D]"), result.gained_bp
    with canvas(10, 4.0) as figure:
        axes = figure.subplots()
        best = in_prose(result.best_baseline)
        axes.axhline(0, color=MUTED, linewidth=1, linestyle=":")
        _mark_folds(axes, result)
        axes.plot(days, total, color=TEAL)
        axes.fill_between(days, total, where=[each >= 0 for each in total], color=BANDS[90], interpolate=True)
        axes.fill_between(days, total, where=[each <= 0 for each in total], color="#f3e4cf", interpolate=True)
        axes.annotate(
            f"{total[-1]:+,.0f}".replace("-", "−"), (days[-1], total[-1]), (6, 0), textcoords="offset points",
            color=INK, va="center", fontweight="bold",
        )  # fmt: skip
        axes.set_title(f"{model_name(result.network)} against {best}: cumulative CRPS gain, basis points")
        axes.margins(x=0.01)
        _date_axis(axes)
        figure.text(0.01, 0.012, f"{_what(result)}; dashed: a new model", fontsize=8, color=MUTED)
        figure.tight_layout(rect=(0, 0.05, 0.98, 1))
        write_atomic(path, png_of(figure))
    return path


def coverage_chart(result: BacktestSummary, path: Path) -> Path:
    """Write the coverage of each model's ranges by step, with the nominal coverage."""
    models = result.scores.models
    with canvas(10, 4.0) as figure:
        every = figure.subplots(1, 3)
        for axes, each in zip(every, RANGES, strict=True):
            axes.axhline(each, color=INK, linewidth=1, linestyle=":")
            for name in sorted(models, key=lambda name: (name != result.network, name)):
                coverage = _coverage_by_step(models[name], each)
                axes.plot(list(coverage), list(coverage.values()), label=model_name(name), **look_of(name))
            _label(axes, each, models)
        every[0].legend(loc="best")
        figure.text(0.01, 0.012, _what(result), fontsize=8, color=MUTED)
        figure.tight_layout(rect=(0, 0.05, 1, 1), w_pad=2.5)
        write_atomic(path, png_of(figure))
    return path


def _label(axes: "Axes", each: int, models: Mapping[str, ModelScores]) -> None:
    from matplotlib.ticker import MaxNLocator

    observed = [value for name in models for value in _coverage_by_step(models[name], each).values()]
    # The nominal coverage is centred, and small differences are not blown up.
    reach = max([3.0, *(abs(value - each) * 1.15 for value in observed)])
    axes.set_ylim(each - reach, each + reach)
    axes.set_title(f"Coverage of the {each} % range, %")
    axes.set_xlabel("sessions ahead")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_folds(axes: "Axes", result: BacktestSummary) -> None:
    if len(result.folds) > _SOME_FOLDS:
        return
    first, last = result.sessions[0], result.sessions[-1]
    for fold in result.folds[1:]:
        if first <= fold.first <= last:
            day = date.fromisoformat(fold.first)
            axes.axvline(day, color=BRASS, linewidth=0.8, linestyle="--")  # type: ignore[arg-type]  # dates have units


def _date_axis(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]  # matplotlib
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # matplotlib
    axes.grid(visible=True, color=GRID)


def _coverage_by_step(scores: ModelScores, each: int) -> dict[int, float]:
    return {row.step: 100 * row.coverage[each] for row in scores.by_step if each in row.coverage}


def _what(result: BacktestSummary) -> str:
    scores, folds = result.scores, len(result.folds)
    models = "1 model" if folds == 1 else f"{folds} models"
    period = f"{scores.sessions} sessions, {scores.first} to {scores.last}"
    return f"{period}; {models}, each trained on earlier sessions only"
