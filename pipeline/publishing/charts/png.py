"""Charts as PNG files: a fan per symbol, the scores, the course of a training. Only drawing one imports matplotlib.

The bytes depend on the content alone: own fonts and colours, no date, no name of the software inside.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pipeline.evaluation.model_scores import ModelScores, Scores
from pipeline.forecast_schema import BASELINES, RANGES
from pipeline.modeling.training.training_record import Curve, TrainingRecord
from pipeline.publishing.charts.fan_layout import HEIGHT, WIDTH, Layout, fan_layout
from pipeline.publishing.charts.svg import Points
from pipeline.publishing.edition import Fan
from pipeline.publishing.formatting import finite, in_prose, model_name, number
from pipeline.storage.atomic_files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

INK, MUTED, GRID, PAPER = "#17212b", "#66727d", "#e4e8eb", "#ffffff"
TEAL, BRASS, EVENT = "#0d6e6e", "#b5761f", "#7a5ea8"
BANDS = {90: "#d5e8e7", 80: "#aed3d1", 50: "#7ab8b5"}
_NETWORKS = {"lstm": TEAL, "rnn": "#3f7fb5", "mlp": "#7a5ea8", "champion": "#4aa3c7"}
_REST = {"ewma_historical": BRASS, "garch": "#a8577e", "random_walk": "#9aa4ad"}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a $ in a name is a dollar, not a formula
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
_HEAD = 26  # height of the title, in pixels of the layout
_DPI = 100
_SCALE = 2  # pixels of the picture to one of the layout
_POINT = 72 / _DPI  # a pixel of the picture, in points of type


class Look(TypedDict):
    """How a model's line is drawn, by the names of matplotlib's properties."""

    color: str
    linestyle: str
    marker: str
    markersize: int


def fan_pngs(fans: Iterable[Fan]) -> Iterator[tuple[str, bytes]]:
    """Yield each symbol with its fan chart as PNG; one figure serves them all."""
    from PIL import ImageChops

    with canvas(WIDTH * _SCALE / _DPI, (HEIGHT + _HEAD) * _SCALE / _DPI) as figure:

        @cache
        def captioned(caption: str) -> "Image":  # half of all letters, the same for most symbols
            figure.clear()
            figure.text(0.98, 0.93, caption, fontsize=8.5, color=MUTED, ha="right")
            return _picture(figure)

        for fan in fans:
            baseline = "" if fan.baseline_HQ is None else "; dashed: 90 % range of the best baseline"
            event = "; dotted: scheduled report" if fan.outlook.moving else ""
            by = model_name(fan.model, fan.model_version)
            paper = captioned(f"{by}: 50, 80 and 90 % ranges{baseline}{event}")
            figure.clear()
            _draw_fan(figure, fan_layout(fan))
            figure.text(0.02, 0.925, fan.symbol, fontsize=14, fontweight="bold")
            yield fan.symbol, _png(ImageChops.darker(_picture(figure), paper))


def scores_chart(scores: Scores, path: Path) -> Path:
    """Write every model's scores: CRPS and skill by step, coverage of the ranges."""
    models = scores.by_label
    steps = {name: _by_step(models[name]) for name in sorted(models, key=lambda name: (name in BASELINES, name))}
    best = min((name for name in steps if name in BASELINES), key=lambda name: models[name].crps_bp, default=None)
    with canvas(12.5, 4.0) as figure:
        crps, skill, coverage = figure.subplots(1, 3)
        for name, curve in steps.items():
            look = look_of(name)
            label = f"{model_name(name)}  {number(models[name].crps_bp)}"
            crps.plot(list(curve), list(curve.values()), label=label, **look)
            yardstick = steps[best] if best else {}
            gain = {step: (1 - curve[step] / yardstick[step]) * 100 for step in curve if step in yardstick}
            skill.plot(list(gain), list(gain.values()), **look)
            off = _off(models[name])
            coverage.plot(list(off), list(off.values()), **look)
        _label_scores(crps, skill, coverage, in_prose(best))
        figure.text(0.01, 0.012, _period(scores), fontsize=8, color=MUTED)
        figure.tight_layout(rect=(0, 0.05, 1, 1), w_pad=2.5)
        write_atomic(path, png_of(figure))
    return path


def training_chart(training: TrainingRecord, path: Path) -> Path:
    """Write the course of a training: loss, validation score, and the step whose weights were kept."""
    best_step = training.best_step
    with canvas(10, 3.8) as figure:
        loss, validation = figure.subplots(1, 2)
        _draw_curve(loss, training.curves.train_pinball, INK, "Training loss (pinball)")
        _draw_curve(validation, training.curves.validation_pinball, TEAL, "Validation loss (pinball)")
        if best_step is not None:
            validation.axvline(best_step, color=BRASS, linewidth=1.2, linestyle="--", label=f"kept: step {best_step}")
            validation.legend(loc="upper right")
        figure.tight_layout(w_pad=3)
        write_atomic(path, png_of(figure))
    return path


@contextmanager
def canvas(width: float, height: float) -> "Iterator[Figure]":
    """Give a figure in this project's style, whatever matplotlibrc says, drawn by Agg without a display."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER)
        FigureCanvasAgg(figure)
        yield figure


def png_of(figure: "Figure") -> bytes:
    """Return a figure as PNG."""
    return _png(_picture(figure))


def _picture(figure: "Figure") -> "Image":
    import numpy as np
    from PIL.Image import fromarray

    agg: Any = figure.canvas  # see `canvas`; it has no types
    agg.draw()
    return fromarray(np.asarray(agg.buffer_rgba())).convert("RGB")  # the paper is opaque


def _png(picture: "Image") -> bytes:
    buffer = io.BytesIO()
    # Level 3 takes two thirds of the time of the default and gives files a sixth larger.
    picture.save(buffer, format="png", compress_level=3, dpi=(_DPI, _DPI))
    return buffer.getvalue()


def _draw_fan(figure: "Figure", chart: Layout) -> None:
    """Put ink where the layout says, on the figure itself: axes that nobody sees would take as long as the rest."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Affine2D

    place = Affine2D().scale(_SCALE, -_SCALE).translate(0, _SCALE * HEIGHT)
    rows = [[(chart.left, y), (chart.right, y)] for y, _ in chart.prices]
    figure.add_artist(LineCollection(rows, colors=GRID, linewidths=0.8, zorder=0, transform=place))
    colours = [BANDS[coverage] for coverage in chart.bands]
    figure.add_artist(PolyCollection(list(chart.bands.values()), facecolors=colours, transform=place))

    def line(points: Points, colour: str, **look: Any) -> None:
        figure.add_artist(Line2D(*zip(*points, strict=True), color=colour, transform=place, **look))

    def label(x: float, y: float, text: str, colour: str = MUTED, **look: Any) -> None:
        figure.text(x, y, text, fontsize=12 * _POINT, color=colour, transform=place, **look)

    x, _ = chart.origin
    line(chart.closes, INK, linewidth=1.5)
    line(chart.median, TEAL, linewidth=1.5)
    for edge in chart.baseline:
        line(edge, BRASS, linewidth=1.1, linestyle="--")
    line([(x, chart.top), (x, chart.bottom)], MUTED, linewidth=0.8, linestyle=":")
    for at, _ in chart.events:
        line([(at, chart.top), (at, chart.bottom)], EVENT, linewidth=1, linestyle=":")
        line([(at, chart.top)], EVENT, linestyle="", marker="v", markersize=5)
    line([chart.origin], INK, linestyle="", marker="o", markersize=4)
    for y, text in chart.prices:
        label(chart.left - 6, y, text, ha="right", va="center_baseline")
    for x, text in chart.days:
        label(x, HEIGHT - 8, text, ha="center")
    for at, (y, text) in enumerate(chart.ends):
        label(chart.right + 4, y, text, TEAL, va="center_baseline", fontweight="bold" if at == 1 else "normal")


def _label_scores(crps: "Axes", skill: "Axes", coverage: "Axes", best: str) -> None:
    from matplotlib.ticker import MaxNLocator

    crps.set_title("CRPS, basis points (lower is better)")
    crps.set_ylim(bottom=0)
    if crps.lines:
        crps.legend(loc="lower right")
    skill.set_title(f"Skill against {best}, % (higher is better)")
    coverage.set_title("Coverage error, percentage points")
    coverage.set_xticks(range(len(RANGES)), [f"{share} %" for share in RANGES])
    coverage.set_xlabel("range")
    coverage.axhline(0, color=MUTED, linewidth=1, linestyle=":")
    for axes in (crps, skill):
        axes.set_xlabel("sessions ahead")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def look_of(name: str) -> Look:
    """Return how a model's line is drawn: a network whole, a baseline dashed."""
    baseline = name in BASELINES
    colour = _REST.get(name, INK) if baseline else _NETWORKS.get(name, INK)
    return {"color": colour, "linestyle": "--" if baseline else "-", "marker": "o", "markersize": 4}


def _by_step(scores: ModelScores) -> dict[int, float]:
    return {row.step: row.crps_bp for row in scores.by_step}


def _off(scores: ModelScores) -> dict[int, float]:
    """Return by how many percentage points the coverage of each range is above its nominal share."""
    known_shares = [(place, share) for place, share in enumerate(RANGES) if share in scores.coverage]
    return {place: scores.coverage[share] * 100 - share for place, share in known_shares}


def _draw_curve(axes: "Axes", curve: Curve, colour: str, title: str) -> None:
    points = [(step, value) for step, value in curve if finite(value) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), color=colour)
    axes.set_title(title)
    axes.set_xlabel("step")


def _period(scores: Scores) -> str:
    return f"{scores.sessions} held-out sessions, {scores.first} to {scores.last}"
