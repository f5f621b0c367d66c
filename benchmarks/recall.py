"""Gradient memory of the three networks: `python -m benchmarks.recall`, some minutes on one core.

Every contestant of the recall task is trained with several seeds, and the three networks are trained on the packaged
sample with the default settings, to measure their gradients. It prints both tables, writes the recall errors to
pipeline/publishing/charts/recall.json, which the figure of each daily run reads, and draws docs/images/memory.png.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import recall_task
from pipeline.config import Settings
from pipeline.market.sessions import Sessions
from pipeline.modeling.data import splits
from pipeline.modeling.data.features import future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import usable_origins, with_targets
from pipeline.modeling.diagnostics.gradient_memory import NETWORKS, gradient_memory_of
from pipeline.modeling.training.train_model import retrain
from pipeline.modeling.training.training_record import GradientMemory, GradientNumbers
from pipeline.prices.sources.sample import SampleSource
from pipeline.publishing.charts.memory_png import RecallResult, RecallTask, memory_chart
from pipeline.storage.atomic_files import write_atomic
from pipeline.storage.documents import to_document

ROOT = Path(__file__).resolve().parents[1]
KEPT, PICTURE = ROOT / "pipeline" / "publishing" / "charts" / "recall.json", ROOT / "docs" / "images" / "memory.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, save, draw, print."""
    given = _parser().parse_args(argv)
    found = recalled(given.seeds, recall_task.Budget(steps=given.recall_steps))
    write_atomic(given.json, json.dumps(to_document(found), indent=1) + "\n")
    sys.stdout.write("\n".join(recall_table(found)) + "\n\n")
    measured = gradients(Settings(training_steps=given.training_steps))
    memory_chart(merged(measured), found, given.picture)
    numbers = {name: memory.numbers for name, memory in measured.items()}
    sys.stdout.write("\n".join(gradient_table(numbers)) + "\n")
    return 0


def recalled(seeds: Sequence[int], budget: recall_task.Budget) -> RecallResult:
    """Return the recall errors of every contestant, and what they were measured with."""
    errors: dict[str, list[float]] = {}
    for name in recall_task.CONTESTANTS:
        began = time.monotonic()
        errors[name] = [float(f"{recall_task.recall_error(name, seed, budget):.3g}") for seed in seeds]
        sys.stderr.write(f"{name}: {errors[name]}, {time.monotonic() - began:.1f} s\n")
    return RecallResult(
        relative_error={name: tuple(each) for name, each in errors.items()},
        seeds=tuple(seeds),
        task=RecallTask(sessions=recall_task.SESSIONS, nearest=recall_task.FAR),
        budget=asdict(budget),
        torch=torch.__version__.partition("+")[0],
        python=platform.python_version(),
        machine=platform.machine(),
    )


def gradients(settings: Settings) -> dict[str, GradientMemory]:
    """Return the gradient memory by network, each trained on the whole packaged sample."""
    source = SampleSource()
    last = source.last_session()
    features = make_features(panel_from_bars(source.bars(source.symbols(), last), sessions=Sessions("XNYS")))
    future_STH = future_returns(features.panel.return_ST, settings.horizon)
    fold = splits.split(
        with_targets(usable_origins(features, settings.context_length), future_STH),
        features.panel,
        horizon=settings.horizon,
        holdout=settings.holdout_sessions,
        validation=settings.validation_sessions,
    )
    measured = {}
    for name in NETWORKS:
        trained = retrain(features, fold, settings.model_copy(update={"network": name}), as_of=last, data_digest="")
        memory = gradient_memory_of(trained.forecaster, features, fold.test)
        if memory is None:
            raise SystemExit("the packaged sample has no windows to measure gradients on")
        measured[name] = memory
        sys.stderr.write(f"{name}: trained, kept step {trained.record.best_step}\n")
    return measured


def merged(measured: Mapping[str, GradientMemory]) -> GradientMemory:
    """Return one gradient memory with each network's own curves, trained and untrained."""
    curves = {name: memory.curves[name] for name, memory in measured.items()}
    return replace(measured["lstm"], curves=curves)


def recall_table(found: RecallResult) -> Iterator[str]:
    """Yield the recall errors as a Markdown table."""
    yield (
        "| recall error, always answering the mean = 1 | mean | " + " | ".join(f"seed {n}" for n in found.seeds) + " |"
    )
    yield "|--|--:|" + "--:|" * len(found.seeds)
    for name, errors in found.relative_error.items():
        yield f"| {name} | {np.mean(errors):.4f} | " + " | ".join(f"{error:.4f}" for error in errors) + " |"


def gradient_table(numbers: Mapping[str, GradientNumbers]) -> Iterator[str]:
    """Yield the gradient numbers as a Markdown table."""
    yield "| network | half-life untrained | trained | far to near untrained | trained |"
    yield "|--|--:|--:|--:|--:|"
    for name, one in numbers.items():
        cells = (one.half_life_sessions_at_start, one.half_life_sessions, one.far_to_near_at_start, one.far_to_near)
        yield f"| {name} | " + " | ".join("–" if cell is None else f"{cell:.2g}" for cell in cells) + " |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], metavar="SEED")
    parser.add_argument(
        "--recall-steps", type=int, default=recall_task.Budget().steps, help="training steps of each contestant"
    )
    parser.add_argument(
        "--training-steps", type=int, default=1000, help="training steps of each network whose gradients are measured"
    )
    parser.add_argument("--json", type=Path, default=KEPT, metavar="FILE", help="where the recall errors are written")
    parser.add_argument("--picture", type=Path, default=PICTURE, metavar="FILE", help="where the figure is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
