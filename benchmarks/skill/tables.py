"""The scores as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def as_markdown(table: Mapping[str, Any]) -> str:
    """Return what `scorer.score` found as tables, with what they were measured on."""
    parts = [*_scores(table), "", *_by_baseline(table), *_by_event(table), *_pairs(table), *_notes(table)]
    return "\n".join(parts) + "\n"


def _scores(table: Mapping[str, Any]) -> Iterator[str]:
    steps = table["steps"]
    best = f"`{table['best_baseline']}`" if table["best_baseline"] else "a baseline"
    shown = list(dict.fromkeys([0, len(steps) - 1]))
    yield (
        f"{_steps(steps)}: {table['windows']:,} windows of {table['symbols']} symbols on {table['sessions']} sessions, "
        f"{table['first']} to {table['last']}"
    )
    yield ""
    heads = [
        "model", "seed", "CRPS, bp", *(_ahead(steps[at]) for at in shown), f"better than {best} by", "t", "Holm p",
        "coverage of 90 %, by step", "MAE ÷ random walk", "direction right", "always up", "training, s",
    ]  # fmt: skip
    yield f"| {' | '.join(heads)} |"
    yield f"|---|---|{'--:|' * (len(heads) - 2)}"
    for row in _in_order(table):
        cells = [_name(row), _seed(row)]
        cells += [f"{row['crps_bp']:.2f}", *(f"{row['by_step'][at]['crps_bp']:.2f}" for at in shown)]
        cells += [_signed(row["skill_percent"]), _number(row["t"], ".1f"), _number(row["p_holm"], ".3f")]
        cells += [_coverage(row), f"{row['mae_over_random_walk']:.3f}", _direction(row), f"{row['up']:.1%}"]
        yield f"| {' | '.join([*cells, _number(row['seconds'], ',.0f')])} |"


def _in_order(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows, the mean over a model's seeds after the last of them where there are several."""
    means = {row["model"]: row for row in table["means"] if row["seeds"] > 1}
    rows = table["forecasters"]
    for at, row in enumerate(rows):
        yield row
        following = rows[at + 1]["model"] if at + 1 < len(rows) else None
        if row["model"] != following and row["model"] in means:
            yield means[row["model"]]


def _by_baseline(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each model, a column for each baseline."""
    rows = table["by_baseline"]
    named = {name for row in rows for name in row["against"]}
    baselines = [row["model"] for row in rows if row["model"] in named]
    if not baselines:
        return
    yield f"| model | seed | {' | '.join(f'better than `{name}` by (t)' for name in baselines)} |"
    yield f"|---|---|{'--:|' * len(baselines)}"
    for row in rows:
        cells = [_gain(row["against"].get(name)) for name in baselines]
        yield f"| {_name(row)} | {_seed(row)} | {' | '.join(cells)} |"
    yield ""


def _by_event(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each model and kind of session, of the next session only."""
    found = table["by_event"]
    if found is None:
        return
    better = f"better than `{found['baseline']}` by (t)" if found["baseline"] else "better by (t)"
    heads = ["next session only", "model", "seed", "cases", "coverage of 90 %", "90 % range, bp", "CRPS, bp", better]
    yield f"| {' | '.join(heads)} |"
    yield f"|---|---|---|{'--:|' * (len(heads) - 3)}"
    for kind, title in {"events": "after or on the day of a report", "other": "all others"}.items():
        for row in (each for each in found["rows"] if kind in each):
            part = row[kind]
            cells = [title, _name(row), _seed(row), f"{part['windows']:,.0f}", f"{part['coverage_90']:.1%}"]
            cells += [f"{part['range_90_bp']:,.0f}", f"{part['crps_bp']:.2f}", _gain(part)]
            yield f"| {' | '.join(cells)} |"
    yield ""


def _gain(part: Mapping[str, Any] | None) -> str:
    if part is None or part.get("skill_percent") is None:
        return ""
    return _signed(part["skill_percent"]) + (f" ({_number(part['t'], '.1f')})" if part.get("t") is not None else "")


def _name(row: Mapping[str, Any]) -> str:
    return f"**`{row['model']}`**" if "seeds" in row else f"`{row['model']}`"


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    if table["pairs"]:
        yield "| model | compared with | seed | better by | t |"
        yield "|---|---|--:|--:|--:|"
    for row in table["pairs"]:
        skill, t = _signed(row["skill_percent"]), _number(row["t"], ".1f")
        yield f"| `{row['model']}` | `{row['other']}` | {row['seed']} | {skill} | {t} |"


def _notes(table: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield (
        "A lower CRPS is better. t is Diebold and Mariano's on the mean losses of the sessions (Newey-West errors): "
        "above 0, the model is better. Holm's p holds for all single rows at once, or for all means. The best baseline "
        "is chosen in hindsight.  "
    )
    for row in table["forecasters"]:
        for words in row["alarms"]:
            yield f"Alarm, {row['model']}{_of_seed(row)}: {words}.  "
        if row["unusable"]:
            why = "not a number, or for a session that the prices do not have there"
            yield f"Not scored, {row['model']}{_of_seed(row)}: {row['unusable']:,} forecasts, {why}.  "


def _steps(steps: Sequence[int]) -> str:
    if len(steps) > 2 and list(steps) == list(range(steps[0], steps[-1] + 1)):
        return f"Steps {steps[0]} to {steps[-1]}"
    return f"Step{'s' * (len(steps) > 1)} {' and '.join(map(str, steps))}"


def _ahead(step: int) -> str:
    return f"{step} session{'s' * (step > 1)} ahead"


def _seed(row: Mapping[str, Any]) -> str:
    if "seeds" in row:
        return f"mean of {row['seeds']}"
    return "" if row["seed"] is None else str(row["seed"])


def _of_seed(row: Mapping[str, Any]) -> str:
    return "" if row["seed"] is None else f", seed {row['seed']}"


def _signed(skill: float | None) -> str:
    return "" if skill is None else f"{skill:+.2f} %".replace("-", "−")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form).replace("-", "−")


def _coverage(row: Mapping[str, Any]) -> str:
    coverage = [step["coverage_90"] for step in row["by_step"]]
    return f"{min(coverage):.1%} – {max(coverage):.1%}"


def _direction(row: Mapping[str, Any]) -> str:
    interval = row.get("direction_low"), row.get("direction_high")
    return f"{row['direction']:.1%}" + ("" if None in interval else f" ({interval[0]:.1%} – {interval[1]:.1%})")
