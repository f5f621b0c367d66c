"""Held-out scores as MLflow shows them: a few numbers by which runs compare, and a chart for each score.

`crps_bp`, `crps_bp_best_baseline`, `skill_percent`, `skill_p` and `coverage_90` are those of the network that was
trained, whichever it was: the columns to compare runs by. Metrics named `<score>/<model>` stand beside each other in
one chart. Everything else lies in the tables.

`scores` is what `scores.json` holds: `{"models": {name: {score: number, "by_step": [...], "by_symbol": {...}}}}`, with
`comparisons` of each trained model with each baseline, and `suspect`, the alarms of each model that has any.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

Scores = Mapping[str, Any]

CHAMPION = "champion"
FOLDER = "scores"  # of the tables, among a run's artifacts
DIGITS = 6  # of a number in MLflow's tables
_CHARTED = ("crps_bp", "coverage_90", "mae_over_random_walk", "direction", "rank_ic")
_BY_STEP = ("crps_bp", "coverage_90")


def metrics(scores: Scores, network: str) -> dict[str, float]:
    """Return the network's own numbers, the scores of every model as `<score>/<model>`, and the network's skill.

    Skill is 100 (1 - CRPS / CRPS of the baseline): above 0 the network is the better one. `skill_p` says whether that
    is chance (`pipeline.evaluation.significance`). `suspect/<model>` is there where an alarm went off.
    """
    named = _summary(scores, network) | {  # in this order MLflow lists them
        f"{score}/{model}": float(values[score])
        for model, values in scores["models"].items()
        for score in _CHARTED
        if is_number(values.get(score))
    }
    named |= {f"skill_percent/vs_{name}": value for name, value in _skills(scores, network).items()}
    return named | {f"suspect/{model}": 1.0 for model in scores.get("suspect", {})}


def _summary(scores: Scores, network: str) -> dict[str, float]:
    """The columns to compare runs by; those that are not known are left out."""
    models, best = scores["models"], best_baseline(scores, network)
    mine, beside = models.get(network, {}), models.get(best or "", {})
    tested = (row for row in scores.get("comparisons", []) if (row["model"], row["baseline"]) == (network, best))
    found = {
        "crps_bp": mine.get("crps_bp"),
        "crps_bp_best_baseline": beside.get("crps_bp"),
        "skill_percent": _skills(scores, network).get(best or ""),
        "skill_p": next((row["p"] for row in tested), None),
        "coverage_90": mine.get("coverage_90"),
    }
    return {name: float(value) for name, value in found.items() if is_number(value)}


def by_step(scores: Scores) -> Iterator[tuple[str, int, float]]:
    """Yield `(<score>_by_step/<model>, step, value)`: the curve of a score over the steps of the forecast.

    CRPS and coverage: the other scores by step are in the tables.
    """
    for model, values in scores["models"].items():
        for row in values.get("by_step", []):
            for score in _BY_STEP:
                if is_number(value := row.get(score)):
                    yield f"{score}_by_step/{model}", int(row["step"]), float(value)


def baselines(scores: Scores, network: str) -> list[str]:
    """Return the models among the scores that nobody trained."""
    return [name for name in scores["models"] if name not in (network, CHAMPION)]


def best_baseline(scores: Scores, network: str) -> str | None:
    """Return the baseline with the lowest CRPS, None if no baseline was scored."""
    crps = {name: scores["models"][name]["crps_bp"] for name in baselines(scores, network)}
    return min(crps, key=crps.__getitem__) if crps else None


def write_tables(scores: Scores, folder: Path) -> list[str]:
    """Write `by_model`, `by_step`, `by_symbol` and `comparisons` into `folder`, and the scores as they are.

    Each as CSV, in full precision, and as JSON for MLflow's tables, in `DIGITS`; returns the artifacts that are tables.
    """
    models: Mapping[str, Mapping[str, Any]] = scores["models"]
    tables: dict[str, Iterable[Mapping[str, Any]]] = {
        "by_model": ({"model": name} | _numbers(values) for name, values in models.items()),
        "by_step": ({"model": name} | row for name, values in models.items() for row in values.get("by_step", [])),
        "by_symbol": (
            {"symbol": symbol, "model": name} | row
            for name, values in models.items()
            for symbol, row in values.get("by_symbol", {}).items()
        ),
    }
    if scores.get("comparisons"):
        tables["comparisons"] = scores["comparisons"]
    for name, rows in tables.items():
        _write_table(folder / name, list(rows))
    (folder / "scores.json").write_text(json.dumps(scores, indent=1, default=str), encoding="utf-8")
    return [f"{FOLDER}/{name}.json" for name in tables]


def _skills(scores: Scores, network: str) -> dict[str, float]:
    models = scores["models"]
    if network not in models or best_baseline(scores, network) is None:
        return {}
    own = models[network]["crps_bp"]
    against = {name: values["crps_bp"] for name, values in models.items() if name != network}
    return {name: 100 * (1 - own / crps) for name, crps in against.items() if crps}


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether MLflow can show `value` as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, list | dict)}


def _write_table(path: Path, rows: list[Mapping[str, Any]]) -> None:
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
