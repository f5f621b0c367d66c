"""Shared by the steps: the run's snapshot, its features, its track record, and the training precision."""

import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import Settings
from pipeline.database.engine import open_database
from pipeline.errors import BadSetting, MissingStep
from pipeline.events.calendar_snapshot import read_frozen_calendar
from pipeline.events.event import EARNINGS, Calendar
from pipeline.events.event_sources import NONE
from pipeline.forecast_schema import BASELINE_FAMILIES, BASELINES, LEVELS
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import CALENDAR, SNAPSHOT
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import Snapshot, read_snapshot

if TYPE_CHECKING:
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.panel import Panel
    from pipeline.modeling.training.training_record import Precision
    from pipeline.tracking.dataset import EventData

_PRECISIONS = "precision.json"
Asked = Callable[[int, int, str], None]  # symbols done, their total number, the one being requested
Progress = Callable[[int, int], None]  # training step, number of steps


def digest_of(run: Run) -> str:
    """Return the SHA-256 of the snapshot that the run was frozen on."""
    return run.load(SNAPSHOT).digest


def snapshot_of(run: Run) -> Snapshot:
    """Return the snapshot that the run was frozen on, as a local file. Raises MissingStep if it no longer exists."""
    known, store = run.load(SNAPSHOT), run.settings.store
    address = str(store / known.name)
    try:
        path = store.local(known.name, known.digest)
    except FileNotFoundError:
        raise MissingStep(f"the snapshot {address} is gone; run ingest and snapshot for its session again") from None
    return Snapshot(path=path, digest=known.digest, address=address)


def calendar_digest_of(run: Run) -> str:
    """Return the SHA-256 of the events that the run was frozen on; empty for a run from before there were events."""
    try:
        return run.load(CALENDAR).digest
    except MissingStep:
        return ""


def calendar_of(run: Run) -> Calendar:
    """Return the events that the run was frozen on; none for a run from before there were events.

    Raises MissingStep if the file no longer exists.
    """
    try:
        known = run.load(CALENDAR)
    except MissingStep:
        return Calendar()
    address = str(run.settings.store / known.name)
    try:
        path = run.settings.store.local(known.name, known.digest)
    except FileNotFoundError:
        raise MissingStep(f"the calendar {address} is gone; run ingest and snapshot for its session again") from None
    return read_frozen_calendar(Snapshot(path=path, digest=known.digest, address=address))


def baselines_of(run: Run) -> tuple[str, ...]:
    """Return the names of the baselines that the run makes: event-aware ones if it knows of scheduled reports."""
    return BASELINES if has_reports(calendar_of(run)) else tuple(BASELINE_FAMILIES)


def has_reports(calendar: Calendar) -> bool:
    """Return whether a calendar has any earnings report."""
    return bool((calendar.frame["kind"] == EARNINGS).any())


def event_data_of(run: Run) -> "EventData | None":
    """Return the events that the run was frozen on as MLflow is told of them; None without a source of events."""
    from pipeline.tracking.dataset import EventData

    try:
        known = run.load(CALENDAR)
    except MissingStep:  # a run from before there were events
        return None
    if known.source == NONE:
        return None
    return EventData(
        source=known.source,
        digest=known.digest,
        address=str(run.settings.store / known.name),
        events=known.events,
        reconstructed=known.reconstructed,
    )


def features_of(run: Run) -> "Features":
    """Return the features of the run's snapshot."""
    return features_from(read_snapshot(snapshot_of(run)), calendar_of(run), run.settings, run.as_of)


def features_from(bars: pd.DataFrame, calendar: Calendar, settings: Settings, last: date) -> "Features":
    """Return the features of some bars and events, of which each symbol's last session is complete when `last` is."""
    from pipeline.modeling.data.features import make_features
    from pipeline.modeling.data.report_days import report_days

    panel = panel_of(bars, settings, last)
    reports = report_days(panel, calendar.frame, settings.clock.sessions_of) if has_reports(calendar) else None
    return make_features(panel, reports)


def own_record(run: Run) -> pd.DataFrame:
    """Return the track record of the run's symbols up to its session that its edition shows: a trial has its own."""
    return _record(run, series_of(run))


def standing_record(run: Run) -> pd.DataFrame:
    """Return the track record of the run's symbols up to its session that decisions are made from, never a trial's."""
    return _record(run, "")


def _record(run: Run, series: str) -> pd.DataFrame:
    from pipeline.evaluation.forecast_log import live_record

    settings = run.settings
    database = open_database(settings.database)
    return live_record(database, settings.source, run.symbols, run.as_of, series=series)


def panel_of(bars: pd.DataFrame, settings: Settings, last: date) -> "Panel":
    """Return the panel of some bars, of which each symbol's last session is the one complete when `last` is."""
    from pipeline.modeling.data.panel_from_bars import panel_from_bars

    return panel_from_bars(bars, settings.clock.at(last))


def training_precision(settings: Settings) -> "Precision":
    """Return the precision to train in: that of the settings, or for `auto` the one measured as faster on this machine.

    The measurement is stored by processor model, so that a run repeated on the same model gives the same bits, in any
    container. Raises BadSetting if the machine does not support the precision.
    """
    from pipeline.modeling.networks.network_shape import Shape
    from pipeline.modeling.training.precision import fastest_precision, has_bf16, processor

    if settings.precision == "bf16" and not has_bf16():
        raise BadSetting("PIPELINE_PRECISION='bf16': this machine has no instructions for it; set fp32 or auto")
    if settings.precision != "auto":
        return settings.precision
    shape = Shape.reading(
        settings.inputs,
        network=settings.network,
        context_length=settings.context_length,
        hidden_size=settings.hidden_size,
        horizon=settings.horizon,
        levels=len(LEVELS),
    )
    store = settings.store
    known: dict[str, Any] = json.loads(store.read(_PRECISIONS)) if store.exists(_PRECISIONS) else {}
    name = f"{processor()}: {shape}"
    if name not in known:
        precision, ratio = fastest_precision(shape)
        if ratio is None:  # without a choice there is nothing to store
            return precision
        known[name] = {"precision": precision, "step_bf16_over_fp32": round(ratio, 3)}
        store.write(_PRECISIONS, (json.dumps(known, indent=2, sort_keys=True) + "\n").encode())
    answer: Precision = known[name]["precision"]
    return answer


def reasons_by_symbol(rows: Iterable[tuple[str, str]], most: int = 5) -> str:
    """Return the last reason of each symbol in one line, of `most` symbols; a row is a symbol and a reason."""
    newest = dict(rows)
    told = [f"{symbol} {reason}" for symbol, reason in list(newest.items())[:most]]
    return "; ".join([*told, f"and {len(newest) - most} more"] if len(newest) > most else told)
