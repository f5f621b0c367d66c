"""Held-out scores as MLflow shows them: metrics named `<score>/<model>`, which it groups into one chart for each score.

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


def metrics(scores: Scores, network: str) -> dict[str, float]:
    """Return every single-number score as `<score>/<model>`, and the network's skill over each baseline in per cent.

    Skill is 100 (1 - CRPS / CRPS of the baseline): above 0 the network is the better one. `dm_t`, `dm_p` and
    `dm_p_holm` say whether that is chance (`pipeline.judging.significance`). `suspect/<model>` is there where an alarm
    went off.
    """
    named = {
        f"{score}/{model}": float(value)
        for model, values in scores["models"].items()
        for score, value in values.items()
        if is_number(value)
    }
    named |= {f"crps_skill_percent/vs_{name}": value for name, value in _skills(scores, network).items()}
    for row in scores.get("comparisons", []):
        if row["model"] == network:
            tested = {f"dm_{name}/vs_{row['baseline']}": row[name] for name in ("t", "p", "p_holm")}
            named |= {name: float(value) for name, value in tested.items() if is_number(value)}
    return named | {f"suspect/{model}": 1.0 for model in scores.get("suspect", {})}


def by_step(scores: Scores) -> Iterator[tuple[str, int, float]]:
    """Yield `(<score>_by_step/<model>, step, value)`: the curve of each score over the steps of the forecast.

    Pinball loss level by level is left to the tables: it would be seven more charts that say what CRPS says.
    """
    for model, values in scores["models"].items():
        for row in values.get("by_step", []):
            for score, value in row.items():
                if score != "step" and not score.startswith("pinball_") and is_number(value):
                    yield f"{score}_by_step/{model}", int(row["step"]), float(value)


def baselines(scores: Scores, network: str) -> list[str]:
    """Return the models among the scores that nobody trained."""
    return [name for name in scores["models"] if name not in (network, CHAMPION)]


def best_baseline(scores: Scores, network: str) -> str | None:
    """Return the baseline with the lowest CRPS, None if no baseline was scored."""
    crps = {name: scores["models"][name]["crps_bp"] for name in baselines(scores, network)}
    return min(crps, key=crps.__getitem__) if crps else None


def write_tables(scores: Scores, folder: Path) -> None:
    """Write `by_model`, `by_step`, `by_symbol` and `comparisons.csv`, and the scores as they are, into `folder`."""
    models: Mapping[str, Mapping[str, Any]] = scores["models"]
    _write_csv(folder / "by_model.csv", ({"model": name} | _numbers(values) for name, values in models.items()))
    _write_csv(
        folder / "by_step.csv",
        ({"model": name} | row for name, values in models.items() for row in values.get("by_step", [])),
    )
    _write_csv(
        folder / "by_symbol.csv",
        (
            {"symbol": symbol, "model": name} | row
            for name, values in models.items()
            for symbol, row in values.get("by_symbol", {}).items()
        ),
    )
    if scores.get("comparisons"):
        _write_csv(folder / "comparisons.csv", scores["comparisons"])
    (folder / "scores.json").write_text(json.dumps(scores, indent=1, default=str), encoding="utf-8")


def _skills(scores: Scores, network: str) -> dict[str, float]:
    models = scores["models"]
    best = best_baseline(scores, network)
    if network not in models or best is None:
        return {}
    against = {name: name for name in models if name != network} | {"best_baseline": best}
    own = models[network]["crps_bp"]
    return {
        label: 100 * (1 - own / models[name]["crps_bp"]) for label, name in against.items() if models[name]["crps_bp"]
    }


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether MLflow can show `value` as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, list | dict)}


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    table = list(rows)
    columns = list(dict.fromkeys(name for row in table for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(table)
