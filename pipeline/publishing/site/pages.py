"""The content of each page; the templates in this folder are its layout.

Jinja escapes all external text (symbols, reasons); only our own SVG and script are marked as safe. `base` is the prefix
of all links of the site, without a slash at the end.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from pydantic import JsonValue

from pipeline.errors import MissingStep
from pipeline.forecast_schema import RANGES
from pipeline.publishing import event_sentences, formatting, reader, track_record_files, verdict
from pipeline.publishing.event_outlook import EventOutlook, SymbolOutlook
from pipeline.publishing.matured_forecasts import MaturedForecast, matured_forecasts
from pipeline.publishing.published_files import SymbolForecast
from pipeline.publishing.site import editions, hit_rates, site_charts
from pipeline.storage import Storage
from pipeline.storage.urls import web_link

_HERE = Path(__file__).parent
SESSIONS_ON_A_PAGE, _RECENT = 60, 20
_DOWNLOADS = {"forecasts.csv": "CSV", "forecasts.json": "JSON", "forecasts.parquet": "Parquet"}
SCRIPT = (_HERE / "site.js").read_text(encoding="utf-8")
# What a page may do: run its own script, show the report in a frame, and nothing else.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'",
        "frame-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)


def report_page(root: Storage, base: str, as_of: date | None = None, edition: str | None = None) -> str:
    """Return the page around a session's report, the newest where none is named.

    `edition` names one of the session's other editions. Raises MissingStep where that session or edition, or nothing at
    all, is published; CorruptFile where it cannot be read.
    """
    folder = reader.newest(root) if as_of is None else reader.edition_of(root, as_of, edition)
    published = reader.read_published(folder)
    manifest, provenance = published.manifest, published.manifest.provenance
    day = manifest.as_of
    days = reader.all_sessions(root)
    name = folder.name if folder.name != reader.folder_name(day) else None
    return _render(
        "report_page",
        base,
        here="report" if as_of is None else "sessions",
        day=day,
        headline=manifest.headline,
        before=max((one for one in days if one < day), default=None),
        after=min((one for one in days if one > day), default=None),
        files=f"{base}/files/{day}" + (f"/editions/{name}" if name else ""),
        label=editions.label(manifest, stands=name is None),
        others=editions.links(root, base, day, shown=name),
        downloads=[(name, label) for name, label in _DOWNLOADS.items() if name in manifest.files],
        mlflow_url=web_link(provenance.get("mlflow_url")),
        airflow_url=_airflow_run(base, provenance),
    )


def sessions_page(root: Storage, base: str, before: date | None = None) -> str:
    """Return the list of published sessions, newest first, those before a day where one is named."""
    days = [day for day in reversed(reader.all_sessions(root)) if before is None or day < before]
    shown = days[:SESSIONS_ON_A_PAGE]
    rates = _rates_by_session(root)
    return _render(
        "sessions_page",
        base,
        here="sessions",
        rows=[row for day in shown for row in editions.rows(root, base, day, rates.get(day))],
        older=shown[-1] if len(days) > len(shown) else None,
    )


def record_page(root: Storage, base: str, source: str | None = None) -> str:
    """Return the track record of one source: forecasts of the next session in time, replays and trials.

    It is the source of the newest edition where none is named. Raises MissingStep for one without a track record.
    """
    own = reader.read_manifest(reader.newest(root)).source
    others = [name for name in track_record_files.sources(root) if name != own]
    if source is not None and source not in (own, *others):
        raise MissingStep(f"there is no track record of the source {source}")
    record = hit_rates.read_history(root, source or own)
    return _render(
        "record_page",
        base,
        here="record",
        source=source or own,
        others=[name for name in (own, *others) if name != (source or own)],
        kinds=[_kind(kind, part) for kind, part in hit_rates.by_kind(record)],
    )


def symbol_page(root: Storage, base: str, symbol: str) -> str:
    """Return the page of one symbol: its newest ranges and its track record.

    The range is from the newest standing edition that knows the symbol, else from the newest trial. Raises MissingStep
    where no edition and no track record knows it.
    """
    found = editions.newest_with(root, symbol)
    sources = [found.source] if found else track_record_files.sources(root)
    records = [hit_rates.read_history(root, source, symbol) for source in sources]
    record = max(records, key=len, default=track_record_files.SCHEMA.empty_table())
    if found is None and not len(record):
        raise MissingStep(f"no published edition includes the symbol {symbol}")
    rows = matured_forecasts(hit_rates.standing(record), where=f"the track record of {symbol}")
    forecast = found.forecast if found else None
    outlook = (forecast.outlook if forecast else None) or SymbolOutlook()
    return _render(
        "symbol_page",
        base,
        here="symbols",
        symbol=symbol,
        day=found.as_of if found else None,
        label=found.label if found else "",
        report=f"{base}/sessions/{found.as_of}{'/' + found.name if found.name else ''}" if found else None,
        newer=found.newer if found else None,
        steps=[] if forecast is None else _steps(forecast),
        last_close=None if forecast is None else _last_close(forecast),
        last_session=(forecast.last_session or found.as_of) if found and forecast else None,
        estimated=forecast is not None and forecast.estimated,
        model=None if forecast is None else formatting.model_name(forecast.model, forecast.model_version),
        withheld=found.withheld if found else None,
        event=event_sentences.sentence(outlook),
        widths=[event_sentences.width_sentence(width) for width in outlook.widths],
        events=event_sentences.rows(EventOutlook(symbols={symbol: outlook})),
        kinds=[(hit_rates.KINDS[kind], hit_rates.rates(part)) for kind, part in hit_rates.by_kind(record)],
        chart=site_charts.ranges_svg(symbol, rows) if rows else None,
        rows=[_matured(row) for row in reversed(rows[-_RECENT:])],
        count=len(rows),
    )


def symbols_page(root: Storage, base: str) -> str:
    """Return the symbols of the newest edition, each with its newest range and its track record, and links to other
    symbols that have a track record.
    """
    newest = reader.read_published(reader.newest(root))
    record = hit_rates.standing(hit_rates.read_history(root, newest.manifest.source))
    rates = hit_rates.rates_by(record, "symbol") if len(record) else {}
    rows = [
        {
            "symbol": each.symbol,
            "event": event_sentences.marker(each.outlook or SymbolOutlook()),
            "event_sentence": event_sentences.sentence(each.outlook or SymbolOutlook()),
            "steps": _steps(each)[:1],
            "last_close": _last_close(each),
            "last_session": formatting.short_day(each.last_session or newest.manifest.as_of),
            "rates": rates.get(each.symbol),
        }
        for each in newest.forecasts.forecasts
    ]
    outlook = newest.forecasts.outlook
    others = {*rates, *editions.symbols_next_to(root, newest.manifest.as_of)} - {*newest.forecasts.symbols}
    return _render(
        "symbols_page",
        base,
        here="symbols",
        day=newest.manifest.as_of,
        label=verdict.trial_note(newest.manifest.trial, standing=newest.manifest.standing),
        rows=rows,
        moving=event_sentences.sentences(outlook),
        events=event_sentences.rows(outlook),
        withheld=newest.forecasts.withheld,
        others=sorted(others),
    )


def message_page(base: str, title: str, text: str) -> str:
    """Return a page with one message, such as that nothing is published yet."""
    return _render("message_page", base, here="", title=title, text=text)


def _render(template: str, base: str, **context: Any) -> str:
    return _environment().get_template(f"{template}.html.jinja").render(base=base, **context)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_HERE, _HERE.parent / "report"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": formatting, "script": Markup(SCRIPT), "shares": tuple(RANGES)}
    return environment


def _rates_by_session(root: Storage) -> dict[date, hit_rates.Rates]:
    source = reader.read_manifest(reader.newest(root)).source
    record = hit_rates.standing(hit_rates.read_history(root, source))
    return hit_rates.rates_by(record, "as_of") if len(record) else {}


def _kind(kind: str, part: Any) -> dict[str, Any]:
    sessions = hit_rates.rates_by(part, "target_session")
    return {
        "title": hit_rates.KINDS[kind],
        "total": hit_rates.rates(part),
        "events": list(hit_rates.by_event(part).items()),
        "chart": site_charts.gain_svg(sessions),
        "sessions": list(reversed(sessions.items()))[:_RECENT],
        "made": len(sessions),
        "symbols": sorted(hit_rates.rates_by(part, "symbol").items(), key=lambda each: each[1].coverage[80]),
    }


def _last_close(forecast: SymbolForecast) -> str:
    return formatting.price(forecast.last_close, formatting.decimals(*forecast.steps[0].range(80)))


def _steps(forecast: SymbolForecast) -> list[dict[str, str]]:
    places = formatting.decimals(*forecast.steps[0].range(80))
    return [
        {
            "day": formatting.target_day(step.target_session, estimated=step.target_session_estimated),
            "range_80": formatting.price_range(*step.range(80), places),
            "range_90": formatting.price_range(*step.range(90), places),
            "change": formatting.change(*step.range(80), forecast.last_close),
            "median": formatting.price(step.median, places),
        }
        for step in forecast.steps
    ]


def _matured(row: MaturedForecast) -> dict[str, Any]:
    low, high = row.range(80)
    places = formatting.decimals(low, high)
    return {
        "as_of": row.as_of,
        "target": row.target_session,
        "model": formatting.model_name(row.model, row.model_version),
        "range": formatting.price_range(low, high, places),
        "close": formatting.price(row.close, places),
        "where": _where(row),
        "missed": not row.inside[90],
        "crps": formatting.number(row.crps_bp),
        "baseline": formatting.number(row.baseline_crps_bp),
        "replayed": not row.in_time,
    }


def _where(row: MaturedForecast) -> str:
    for share in RANGES:
        if row.inside[share]:
            return f"inside {share}{formatting.PER_CENT}"
    return "above" if row.close > row.median else "below"


def _airflow_run(base: str, provenance: Mapping[str, JsonValue]) -> str | None:
    """The run's page in the Airflow that serves these pages, under the same prefix."""
    if not (provenance.get("dag_id") and provenance.get("run_id")):
        return None
    airflow = base.rpartition("/")[0]
    return (
        f"{airflow}/dags/{quote(str(provenance['dag_id']), safe='')}/runs/{quote(str(provenance['run_id']), safe='')}"
    )
