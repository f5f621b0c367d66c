"""The picture of how far back networks look: their gradients by lag, and what they recall in a task of known answer.

Both are data here: the gradients come from training.json, the recall from a file that `python -m benchmarks.recall`
has written, since learning that task takes longer than a daily run should. Only drawing imports matplotlib.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.modeling.training.training_record import GradientMemory
from pipeline.publishing.charts.png import INK, MUTED, canvas, look_of, png_of
from pipeline.publishing.formatting import model_name, number, power_of_ten
from pipeline.storage.atomic_files import write_atomic
from pipeline.storage.documents import from_document

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FLOOR = 1e-12  # of the whole; what is below is as good as nothing, and would make all else look alike
_STARTS: Mapping[str, Any] = {"linestyle": "--", "linewidth": 1.1, "alpha": 0.7}
_CONTESTANTS = {
    "lstm": "LSTM\nkeeping from the start",
    "lstm_torch_start": "LSTM\ntorch's own start",
    "rnn": "RNN",
    "mlp": "MLP\nwhole window at once",
    "last_session": "Feed-forward\nlast session by itself",
}


@dataclass(frozen=True, kw_only=True)
class RecallTask:
    """The recall task: the sessions of its windows, and how far back the nearest marked one lies."""

    sessions: int
    nearest: int


@dataclass(frozen=True, kw_only=True)
class RecallResult:
    """What `python -m benchmarks.recall` found: an error for each contestant and seed, and what it was measured with.

    An error of 1 is that of always answering the mean.
    """

    relative_error: Mapping[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    task: RecallTask
    budget: Mapping[str, int | float] = field(default_factory=dict)  # of `benchmarks.recall_task.Budget`
    torch: str
    python: str = ""
    machine: str = ""


def recall_result() -> RecallResult:
    """Return what `python -m benchmarks.recall` found when it was last run."""
    path = files("pipeline.publishing.charts") / "recall.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    return from_document(RecallResult, document, where=str(path), remedy="run `python -m benchmarks.recall` again")


def memory_chart(memory: GradientMemory, recall: RecallResult, path: Path) -> Path:
    """Write the gradient by lag of every network in `memory`, and next to it the recall errors."""
    with canvas(12.5, 4.6) as figure:
        lags, errors = figure.subplots(1, 2, width_ratios=(3, 2))
        for name, curves in memory.curves.items():
            for moment, gradient_L in curves.by_moment.items():
                _draw_gradient(lags, name, moment, gradient_L)
        _label_gradients(lags)
        _draw_recall(errors, recall.relative_error)
        figure.text(0.01, 0.012, _gradients_note(memory), fontsize=8, color=MUTED)
        figure.text(0.99, 0.012, _recall_note(recall), fontsize=8, color=MUTED, ha="right")
        figure.tight_layout(rect=(0, 0.05, 1, 1), w_pad=2.5)
        write_atomic(path, png_of(figure))
    return path


def shares(gradient_L: Sequence[float]) -> list[float]:
    """Return a curve as shares of its sum, NaN below what is drawn; all NaN where it is zero.

    Shares, because the head that stands in at the start sets the height of those curves.
    """
    values_L = np.asarray(gradient_L, dtype=float)
    whole = values_L.sum()
    if whole <= 0:
        return [float("nan")] * len(values_L)
    return [float(value) for value in np.where(values_L / whole < _FLOOR, np.nan, values_L / whole)]


def _draw_gradient(axes: "Axes", name: str, moment: str, gradient_L: Sequence[float]) -> None:
    look = {"color": look_of(name)["color"]} | (dict(_STARTS) if moment == "start" else {})
    label = f"{model_name(name)} {'untrained' if moment == 'start' else 'trained'}"
    if not any(gradient_L):  # the step that was kept is the first: a head of zeros
        label += ": none"
    axes.plot(range(len(gradient_L)), shares(gradient_L), label=label, **look)


def _label_gradients(axes: "Axes") -> None:
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR / 2, 2)
    axes.set_yticks([10.0**power for power in range(-12, 1, 2)], [power_of_ten(power) for power in range(-12, 1, 2)])
    axes.set_yticks([], minor=True)
    axes.set_title("How much of the forecast's gradient lies k sessions back")
    axes.set_xlabel("k, sessions before the last one seen")
    axes.set_ylabel("share of the whole, log scale")
    axes.legend(loc="lower left", ncols=2, fontsize=8)


def _draw_recall(axes: "Axes", relative_error: Mapping[str, Sequence[float]]) -> None:
    names = [name for name in _CONTESTANTS if name in relative_error]
    for row, name in enumerate(names):
        found = relative_error[name]
        colour = MUTED if name == "last_session" else look_of(name.partition("_")[0])["color"]
        mean = float(np.mean(found))
        axes.barh(row, mean, height=0.55, color=colour, alpha=0.35)
        axes.plot(found, [row] * len(found), "o", color=colour, markersize=4)
        axes.text(max(mean, *found) + 0.03, row, number(mean, 3), va="center", color=INK)
    axes.axvline(1, color=MUTED, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(names)), [_CONTESTANTS[name] for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3)
    axes.set_title("Recall of one marked number")
    axes.set_xlabel("squared error; 1 is always answering the mean, 0 is perfect")


def _gradients_note(memory: GradientMemory) -> str:
    return f"Gradients: over {memory.windows} held-out windows"


def _recall_note(recall: RecallResult) -> str:
    task, seeds = recall.task, recall.seeds
    return (
        f"Recall: marked {task.nearest}–{task.sessions - 1} sessions before the end; dots are "
        f"{len(seeds)} seeds; measured once, with torch {recall.torch}"
    )
