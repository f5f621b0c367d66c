"""Scores on event sessions and on others in MLflow: metrics, a table, and Markdown.

`events/crps_bp`, `events/coverage_90` … and the same with `other/` are of the first step of the network that was
trained; with `_best_baseline` and `_champion` after the score, of those.
"""

from collections.abc import Iterator, Mapping

from pipeline.evaluation.gate import best_baseline
from pipeline.evaluation.model_scores import CHAMPION, EVENTS, OTHER, EventSplit, Scores, next_session_row
from pipeline.forecast_schema import BASELINES
from pipeline.tracking.markdown import escape

_OF_OTHERS = ("crps_bp", "coverage_90", "range_90_bp")  # of baseline and champion
_TITLES = {EVENTS: "scheduled report", OTHER: "other"}
_COLUMNS = {
    "windows": ("forecasts", "{:,.0f}", 1),
    "crps_bp": ("CRPS, bp", "{:.2f}", 1),
    "coverage_90": ("90 % coverage", "{:.1f} %", 100),
    "range_90_bp": ("90 % range, bp", "{:,.0f}", 1),
    "skill_percent": ("skill, %", "{:+.2f}", 1),
    "t": ("t", "{:.2f}", 1),
}


def event_metrics(scores: Scores, network: str) -> dict[str, float]:
    """Return the numbers to compare runs by; none without a calendar of reports."""
    best = best_baseline(scores.models, BASELINES) or ""
    labels = {"": network, "_best_baseline": best, f"_{CHAMPION}": CHAMPION}
    models = scores.by_label
    return {
        f"{kind}/{name}{suffix}": value
        for suffix, label in labels.items()
        if label in models
        for kind, part in _parts(models[label].events).items()
        for name, value in part.items()
        if not suffix or name in _OF_OTHERS
    }


def event_rows(scores: Scores) -> list[dict[str, float | str | None]]:
    """Return a row for each model and kind of session."""
    return [
        {"model": label, "sessions_of": kind, **next_session_row(part)}
        for label, values in scores.by_label.items()
        if values.events is not None
        for kind, part in values.events.parts.items()
    ]


def event_markdown(scores: Scores) -> str:
    """Return the same as a table, empty without a calendar of reports."""
    rows = list(_lines(scores))
    if not rows:
        return ""
    heads = ["next session only", "sessions", *(title for title, _, _ in _COLUMNS.values())]
    rule = ["---", "---", *["---:"] * len(_COLUMNS)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _lines(scores: Scores) -> Iterator[list[str]]:
    for kind, title in _TITLES.items():
        for label, values in scores.by_label.items():
            if part := _parts(values.events).get(kind):
                cells = (
                    form.format(factor * part[name]) if name in part else "–"
                    for name, (_, form, factor) in _COLUMNS.items()
                )
                yield [escape(label), title, *cells]


def _parts(split: EventSplit | None) -> Mapping[str, Mapping[str, float]]:
    return {} if split is None else {kind: part.numbers for kind, part in split.parts.items()}
