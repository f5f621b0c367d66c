"""Held-out scores in MLflow: a few numbers to compare runs by, a chart for each score, and tables.

`crps_bp`, `crps_bp_best_baseline`, `skill_percent`, `skill_p` and `coverage_90` are those of the network that was
trained, whichever it was: the columns to compare runs by. Metrics named `<score>/<model>` share one chart;
those named `events/…` and `other/…` are in `event_scores`.
Everything else is in the tables.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeGuard

from pipeline.evaluation.gate import best_baseline
from pipeline.evaluation.model_scores import Scores, flat
from pipeline.forecast_schema import BASELINES
from pipeline.storage.documents import to_document
from pipeline.tracking.event_scores import event_metrics, event_rows

FOLDER = "scores"  # of the tables, among a run's artifacts
DIGITS = 6  # of a number in MLflow's tables
_CHARTED = ("crps_bp", "coverage_90", "mae_over_random_walk", "direction", "rank_ic")
_BY_STEP = ("crps_bp", "coverage_90")
Row = Mapping[str, str | float | None]  # of a table


def metrics(scores: Scores, network: str) -> dict[str, float]:
    """Return the network's own numbers, the scores of every model as `<score>/<model>`, and the network's skill.

    Skill is 100 (1 - CRPS / CRPS of the baseline): above 0 the network is the better one. `skill_p` says whether that
    could be chance (`pipeline.evaluation.significance`). `suspect/<model>` exists if the model has an alarm.
    """
    rows = {label: flat(values) for label, values in scores.by_label.items()}
    named = _summary(scores, network) | {  # in this order MLflow lists them
        f"{score}/{label}": float(value)
        for label, row in rows.items()
        for score in _CHARTED
        if is_number(value := row.get(score))
    }
    named |= {f"skill_percent/vs_{name}": value for name, value in _skills(scores, network).items()}
    named |= event_metrics(scores, network)
    return named | {f"suspect/{label}": 1.0 for label in scores.suspects}


def _summary(scores: Scores, network: str) -> dict[str, float]:
    """Return the columns to compare runs by, without unknown ones."""
    best = best_baseline(scores.models, BASELINES) or ""
    trained, baseline = scores.models.get(network), scores.models.get(best)
    tested = (row for row in (trained.comparisons if trained else ()) if row.baseline == best)
    found = {
        "crps_bp": trained.crps_bp if trained else None,
        "crps_bp_best_baseline": baseline.crps_bp if baseline else None,
        "skill_percent": _skills(scores, network).get(best),
        "skill_p": next((row.p for row in tested), None),
        "coverage_90": trained.coverage.get(90) if trained else None,
    }
    return {name: float(value) for name, value in found.items() if is_number(value)}


def by_step(scores: Scores) -> Iterator[tuple[str, int, float]]:
    """Yield `(<score>_by_step/<model>, step, value)`: the curve of a score over the steps of the forecast.

    CRPS and coverage: the other scores by step are in the tables.
    """
    for label, values in scores.by_label.items():
        for step in values.by_step:
            row = flat(step)
            for score in _BY_STEP:
                if is_number(value := row.get(score)):
                    yield f"{score}_by_step/{label}", step.step, float(value)


def write_tables(scores: Scores, folder: Path) -> list[str]:
    """Write `by_model`, `by_step`, `by_symbol`, `by_event` and `comparisons` into `folder`, and the scores as they are.

    Each as CSV, in full precision, and as JSON for MLflow's tables, in `DIGITS`; returns the artifacts that are tables.
    """
    models = scores.by_label.items()
    tables: dict[str, Iterable[Row]] = {
        "by_model": ({"model": name, **flat(values)} for name, values in models),
        "by_step": ({"model": name, **flat(row)} for name, values in models for row in values.by_step),
        "by_symbol": (
            {"symbol": symbol, "model": name, **flat(row)}
            for name, values in models
            for symbol, row in values.by_symbol.items()
        ),
    }
    if split := event_rows(scores):
        tables["by_event"] = split
    if compared := scores.compared:
        tables["comparisons"] = ({"model": name, **asdict(row)} for name, row in compared)
    for name, rows in tables.items():
        _write_table(folder / name, list(rows))
    (folder / "scores.json").write_text(json.dumps(to_document(scores), indent=1), encoding="utf-8")
    return [f"{FOLDER}/{name}.json" for name in tables]


def _skills(scores: Scores, network: str) -> dict[str, float]:
    trained = scores.models.get(network)
    if trained is None or not scores.baselines:
        return {}
    others = {label: values.crps_bp for label, values in scores.by_label.items() if label != network}
    return {label: 100 * (1 - trained.crps_bp / crps) for label, crps in others.items() if crps}


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether MLflow can show `value` as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _write_table(path: Path, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    shown = {"columns": columns, "data": [[_shortened(row.get(name)) for name in columns] for row in rows]}
    path.with_suffix(".json").write_text(json.dumps(shown, allow_nan=False), encoding="utf-8")


def _shortened(value: object) -> object:
    """Return a cell of MLflow's tables: a narrow column cuts off a number of 16 digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
