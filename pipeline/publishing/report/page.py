"""The report: one self-contained page. This module prepares its content; report.html.jinja is its layout.

Jinja escapes all external text (symbols, reasons, file names); only our own SVG and script are marked as safe.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from pydantic import JsonValue

from pipeline.forecast_schema import LEVELS, RANGES
from pipeline.prices.audit_types import Audit
from pipeline.publishing import event_sentences, formatting, verdict
from pipeline.publishing.charts.fan_svg import fan_svg
from pipeline.publishing.edition import Edition, Fan
from pipeline.publishing.report import score_tables, symbol_table
from pipeline.publishing.report.figures import calibration_svg, gradient_svg
from pipeline.publishing.report.recent_forecasts import RecentForecasts, recent_by_symbol
from pipeline.storage.urls import web_link

# The page stays readable: longer lists of steps are in the CSV only, longer lists of problems in `audit`.
_MOST_STEPS, _MOST_PROBLEMS, _MOST_SESSIONS, _MOST_NOTES = 400, 20, 5, 50
_MOST_MOVING, _MOST_EVENTS = 10, 100
_DRIFTED = 0.25  # population stability index: the usual rule of thumb for a large change
_SEVERITY = {"reject": 0, "quarantine": 1, "warn": 2}
# Provenance entries with a link, and the entry that holds its address.
_LINKS = {"mlflow_run_id": "mlflow_url", "run_id": "airflow_url"}
_LABELS = {
    "model": "Model",
    "source": "Price source",
    "data_digest": "SHA-256 of the prices",
    "snapshot_sessions": "Sessions in the snapshot",
    "git_commit": "Code (git commit)",
    "mlflow_run_id": "MLflow run",
    "dag_id": "DAG",
    "run_id": "Airflow run",
    "run_key": "Run key",
    "settings": "Settings of the run",
}


def as_html(edition: Edition) -> bytes:
    """Return the page as UTF-8."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (Path(__file__).parent / "report.js").read_text(encoding="utf-8")
    # The content security policy allows the page's own script and no other.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context = {**_context(edition), "script": Markup(script), "script_digest": digest}
    return environment.get_template("report.html.jinja").render(context).encode()


def _context(edition: Edition) -> dict[str, Any]:
    fans, past, published = edition.fans, recent_by_symbol(edition), edition.published_scores
    memory = edition.gradient_memory
    return {
        "edition": edition,
        "words": formatting,
        "verdict": verdict.verdict_on(edition),
        "trial": verdict.trial_note(edition.trial, standing=edition.standing),
        "coverage": _meters(published.coverage if published else {}),
        "title": _title(edition),
        "horizons": _horizons(edition),
        "mixed": edition.targets is None,
        "estimated": edition.estimated,
        "rows": list(symbol_table.rows(edition)),
        "events": _events(edition),
        "cards": [_card(fan, past.get(fan.symbol), steps=len(edition.table) <= _MOST_STEPS) for fan in fans],
        "calibration": calibration_svg(edition),
        "gradient": gradient_svg(memory),
        "networks": [(name, formatting.model_name(name)) for name in (memory.curves if memory else ())],
        "levels": [f"{level:.0%}".replace("%", " %") for level in LEVELS],
        "stand_ins": edition.fallbacks,
        "shares": tuple(RANGES),
        "reference": formatting.in_prose(edition.best_baseline)
        if any(fan.baseline_HQ is not None for fan in fans)
        else None,
        "scored": list(score_tables.ranges(edition)),
        "comparisons": list(score_tables.comparisons(edition)),
        "medians": list(score_tables.medians(edition)),
        "live": _live(edition),
        "audit": _audit(edition.audit),
        "drift": _drift(edition.drift),
        "provenance": list(
            _provenance({"model": formatting.model_name(edition.model, edition.model_version), **edition.provenance})
        ),
    }


def _events(edition: Edition) -> dict[str, Any]:
    """Return the scheduled events of the edition's symbols: what is in the ranges, and what is to come."""
    rows, moving = event_sentences.rows(edition.outlook), event_sentences.sentences(edition.outlook)
    return {
        "known": bool(edition.outlook.symbols),
        "moving": moving[:_MOST_MOVING],
        "more_moving": max(len(moving) - _MOST_MOVING, 0),
        "rows": rows[:_MOST_EVENTS],
        "more": max(len(rows) - _MOST_EVENTS, 0),
        "without": [fan.symbol for fan in edition.fans if not fan.outlook.events],
    }


def _horizons(edition: Edition) -> list[tuple[str, str]]:
    """Return title and day of the columns: the next session and, if there are several, the last.

    The day is empty where markets differ in it: each row then has its own.
    """
    titles = ["Next session"] if edition.horizon == 1 else ["Next session", f"In {edition.horizon} sessions"]
    days = ["", ""] if edition.targets is None else symbol_table.days(edition.fans[0])
    return list(zip(titles, days, strict=False))


def _title(edition: Edition) -> dict[str, str]:
    """Return the heading, and in words the sessions that the ranges are for."""
    count, targets = edition.horizon, edition.targets
    if targets is None:
        sessions = f"for the next {count} sessions" if count > 1 else "for the next session"
        return {
            "heading": f"Forecast ranges {sessions}",
            "sessions": f" of several markets, {sessions} of each (dates in each row)",
        }
    mark = [" (estimated)" if flag else "" for flag in edition.fans[0].estimated]
    after = "the one after it" if count == 2 else f"the {count - 1} after it"
    last = f"{formatting.day(targets[-1], year=False)}{mark[-1]}"
    return {
        "heading": f"Forecast ranges for {formatting.day(targets[0])}{mark[0]}",
        "sessions": f" for that session and {after}, up to {last}" if count > 1 else "",
    }


def _card(fan: Fan, past: RecentForecasts | None, *, steps: bool) -> dict[str, Any]:
    places = formatting.decimals(*fan.range(80, 1))
    table = [
        (formatting.target_day(target, estimated=estimated), [formatting.price(value, places) for value in row_Q])
        for target, estimated, row_Q in zip(fan.targets, fan.estimated, fan.quantiles_HQ, strict=True)
    ]
    return {
        "symbol": fan.symbol,
        "svg": fan_svg(fan),
        "past": past,
        "event": event_sentences.sentence(fan.outlook),
        "width": event_sentences.width_sentence(fan.outlook.widths[0]) if fan.outlook.widths else "",
        "last_close": formatting.price(fan.last_close, places),
        "last_session": formatting.short_day(fan.last_session),
        "steps": table if steps else None,
    }


def _meters(coverage: Mapping[int, float]) -> list[tuple[int, float]]:
    """Return the nominal and the observed coverage of each range, in per cent."""
    return [(share, round(coverage[share] * 100, 1)) for share in RANGES if share in coverage]


def _live(edition: Edition) -> list[dict[str, Any]]:
    """Return the track record of earlier forecasts, those in time and replays: in total, by session, and by symbol."""
    scored = None if edition.live is None else edition.live.dropna(subset=["crps_bp"])
    if scored is None or scored.empty:
        return []
    in_time = scored["in_time"].astype(bool)
    replays = "Replays, made after their session had closed (not part of the live record)"
    parts = [
        ("live", "Forecasts published before their session closed", scored[in_time]),
        ("replayed", replays, scored[~in_time]),
    ]
    return [
        {"what": what, **_kind(rows), "symbols": _by_symbol(edition.live_by_symbol.get(kind))}
        for kind, what, rows in parts
        if len(rows)
    ]


def _by_symbol(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Return coverage and skill of each symbol, the lowest coverage first."""
    rows = [] if table is None else table.sort_values("coverage_90", kind="stable").to_dict("index").items()
    return [
        {
            "symbol": str(symbol),
            "count": f"{row['forecasts']:,.0f}",
            "coverage": [formatting.share(row[f"coverage_{share}"]) for share in RANGES],
            "skill": formatting.percent(row["skill_percent"] / 100),
        }
        for symbol, row in rows
    ]


def _kind(rows: pd.DataFrame) -> dict[str, Any]:
    sessions = sorted(rows.groupby(rows["as_of"].astype(str)), reverse=True)
    recent = [(day, _record(made)) for day, made in sessions[:_MOST_SESSIONS]]
    return {"total": _record(rows), "sessions": recent, "made": len(sessions)}


def _record(rows: pd.DataFrame) -> dict[str, Any]:
    coverage = {share: float(rows[f"inside_{share}"].astype(float).mean()) for share in RANGES}
    crps, baseline = float(rows["crps_bp"].mean()), float(rows["baseline_crps_bp"].mean())
    models = {_version(*pair) for pair in zip(rows["model"], rows["model_version"], strict=True)}
    return {
        "count": len(rows),
        "models": ", ".join(sorted(models)),
        "meters": _meters(coverage),
        "inside": f"{int(rows['inside_90'].astype(bool).sum())} of {len(rows)}",
        "crps": formatting.number(crps),
        "baseline": formatting.number(baseline),
        "skill": formatting.skill(crps, baseline),
    }


def _version(model: str, version: Any) -> str:
    return formatting.model_name(str(model), None if pd.isna(version) else str(version))


def _audit(audit: Audit) -> dict[str, Any]:
    problems = sorted(audit.problems, key=lambda problem: problem.session, reverse=True)
    problems.sort(key=lambda problem: _SEVERITY.get(problem.verdict, 3))
    # The list may be cut short; the counts are complete.
    every = max(len(problems), audit.warn + audit.held_back + audit.gaps)
    shown, notes = problems[:_MOST_PROBLEMS], audit.notes[:_MOST_NOTES]
    return {
        "counts": audit,
        "problems": shown,
        "more": every - len(shown),
        "notes": notes,
        "more_notes": len(audit.notes) - len(notes),
        "reasons": audit.reasons,
    }


def _drift(drift: Mapping[str, float]) -> str | None:
    """Return in words how far the inputs have drifted from the training sessions; None where that is not known."""
    if not drift:
        return None
    moved = sorted((name for name, value in drift.items() if value > _DRIFTED), key=lambda name: -drift[name])
    if not moved:
        return "No input drift: the last quarter is distributed like the training sessions."
    named = ", ".join(f"{name.replace('_', ' ')} ({formatting.number(drift[name], 2)})" for name in moved)
    return (
        f"Input drift: the last quarter is distributed differently from the training sessions (population stability "
        f"index above {_DRIFTED}) in {named}."
    )


def _provenance(provenance: Mapping[str, JsonValue]) -> Iterator[dict[str, str | None]]:
    """Yield label, text and link (http and https only) of everything that is known."""
    for name, value in provenance.items():
        if value is None or value == "" or name in _LINKS.values():
            continue
        link = web_link(provenance.get(_LINKS.get(name, "")))
        text = _listed(value) if isinstance(value, Mapping) else str(value)
        yield {"label": _LABELS.get(name, name.replace("_", " ").capitalize()), "text": text, "link": link}


def _listed(values: Mapping[str, JsonValue]) -> str:
    """Return names and values in one line; what is not set is left out."""
    texts = {name: _setting(value) for name, value in values.items() if value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in texts.items() if text)


def _setting(value: JsonValue) -> str:
    """Return a value as it is written in a setting: `AAPL IBM` for a list, `SR=XSAU` for a pair in it."""
    if not isinstance(value, list | tuple):
        return str(value)
    return " ".join("=".join(map(str, part)) if isinstance(part, list | tuple) else str(part) for part in value)
