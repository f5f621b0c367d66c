"""A backtest in the terminal: every model against the best baseline, and notes on the folds."""

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.backtest_results import BacktestSummary
from pipeline.evaluation.model_scores import EVENTS, OTHER, ModelScores, NextSessionScores
from pipeline.forecast_schema import RANGES
from pipeline.publishing import formatting

_MOST_WITHHELD = 20


def show(result: BacktestSummary, *, file: str) -> RenderableType:
    """Return the result of a backtest as a heading, a table and notes; `file` is the path of its forecasts."""
    parts: list[RenderableType] = [
        Text(f"Closing Bell · backtest · {result.first} to {result.last}", style="bold"),
        Text(headline(result), style="cyan"),
        Padding(_table(result), (1, 0)),
        *(Padding(table, (0, 0, 1, 0)) for table in _event_tables(result)),
        *(
            Text(f"{formatting.model_name(name)}: {formatting.median_quality(scores)}", style="dim")
            for name, scores in _trained(result)
        ),
        *(Text(note, style="yellow") for note in _notes(result)),
        Text(
            "Lower CRPS and higher skill are better; 90 % ranges should contain 90 % of closes. Not investment advice.",
            style="dim",
        ),
        Text(f"Forecasts: {file}", style="dim", overflow="fold"),
    ]
    return Group(*parts)


def headline(result: BacktestSummary) -> str:
    """Return the result in one sentence."""
    scores, name, best = result.scores, result.network, result.best_baseline
    models = scores.models
    count = len(result.folds)
    folds = f"{count} fold{'s' * (count != 1)}"
    if not models:
        return f"{folds}, {result.windows['forecast']} forecasts; no target has matured, so none is scored"
    if name not in models or best is None:
        return f"{folds}: no network could be trained, the baselines are scored alone"
    skill = formatting.skill(models[name].crps_bp, models[best].crps_bp, places=2)
    crps = formatting.number(models[name].crps_bp, 2)
    return (
        f"{formatting.model_name(name)}: CRPS {crps} bp, skill {skill} against "
        f"the best baseline in hindsight ({formatting.in_prose(best)}), {folds}, {scores.sessions} sessions"
        f"{_chance(result)}"
    )


def _trained(result: BacktestSummary) -> Iterator[tuple[str, ModelScores]]:
    scores = result.scores.models.get(result.network)
    if scores is not None:
        yield result.network, scores


def _chance(result: BacktestSummary) -> str:
    """Return what the test says of the difference to the best baseline, where there were enough sessions for one."""
    for _, scores in _trained(result):
        for row in scores.comparisons:
            if row.baseline == result.best_baseline and row.t is not None and row.p_holm is not None:
                return f"; t {row.t:.2f}, p {row.p_holm:.3f} (Diebold-Mariano, corrected for the number of baselines)"
    return ""


def _table(result: BacktestSummary) -> Table:
    models, best = result.scores.models, result.best_baseline
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    table.add_column("Model", style="bold", no_wrap=True)
    for title in ("CRPS, bp", "skill" if best else "", *(f"coverage, {share} %" for share in RANGES)):
        table.add_column(title, justify="right", no_wrap=True)
    for name in sorted(models, key=lambda name: models[name].crps_bp):
        scores = models[name]
        skill = formatting.skill(scores.crps_bp, models[best].crps_bp) if best else ""
        coverage = [formatting.share(scores.coverage.get(share)) for share in RANGES]
        table.add_row(
            formatting.model_name(name), formatting.number(scores.crps_bp, 2), skill, *coverage,
            style="cyan" if name == result.network else None,
        )  # fmt: skip
    return table


def _event_tables(result: BacktestSummary) -> Iterator[Table]:
    """Yield a table of the first step for the sessions that a scheduled report may move, and one for all others.

    There is none without a calendar of reports.
    """
    titles = {EVENTS: "sessions that a scheduled report may move", OTHER: "all other sessions"}
    for kind, title in titles.items():
        rows = {name: scores.events.parts.get(kind) for name, scores in result.scores.models.items() if scores.events}
        parts = {name: part for name, part in rows.items() if part is not None}
        if parts:
            yield _event_table(result, parts, title)


def _event_table(result: BacktestSummary, parts: Mapping[str, NextSessionScores], title: str) -> Table:
    windows = next(iter(parts.values())).windows
    table = Table(
        title=f"Next session only, {title}: {windows:,} forecast{'s' * (windows != 1)} by each model",
        title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim",
    )  # fmt: skip
    table.add_column("Model", style="bold", no_wrap=True)
    for head in ("CRPS, bp", "skill", "t", *(f"coverage, {share} %" for share in RANGES), "90 % range, bp"):
        table.add_column(head, justify="right", no_wrap=True)
    for name in sorted(parts, key=lambda name: parts[name].crps_bp):
        part = parts[name]
        skill = formatting.NOTHING if part.skill_percent is None else formatting.percent(part.skill_percent / 100)
        coverage = [formatting.share(part.coverage.get(share)) for share in RANGES]
        table.add_row(
            formatting.model_name(name), formatting.number(part.crps_bp, 2), skill, formatting.number(part.t, 1),
            *coverage, formatting.number(part.range_90_bp, 0), style="cyan" if name == result.network else None,
        )  # fmt: skip
    return table


def _notes(result: BacktestSummary) -> Iterator[str]:
    windows = result.windows
    if left := windows["forecast"] - windows["scored"]:
        yield f"{left} of {windows['forecast']} origins are not scored: a target has not matured, or a model abstains"
    for name, alarms in result.scores.suspects.items():
        yield f"{formatting.model_name(name)} is too good to be true: {' and '.join(alarms)}; look for a leak"
    for fold in result.folds:
        if not fold.trained:
            yield f"{fold.first} to {fold.last}: no network, {fold.reason}"
    yield from _withheld(result)


def _withheld(result: BacktestSummary) -> Iterator[str]:
    """Yield a line for each symbol and reason: those without any forecast first."""
    never = set(result.without_forecast)
    rows = sorted(result.withheld, key=lambda row: row.symbol not in never)
    for row in rows[:_MOST_WITHHELD]:
        count = f"{row.sessions} session{'s' * (row.sessions != 1)}"
        span = f"{row.first} to {row.last}" if row.first != row.last else row.first
        yield f"{row.symbol}: no forecast from {count}, {span}: {row.reason}"
    if len(rows) > _MOST_WITHHELD:
        yield f"and {len(rows) - _MOST_WITHHELD} more reasons for no forecast: see backtest.json"
