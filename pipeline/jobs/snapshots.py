"""The snapshot step: audit what is stored and freeze it as the session's prices and its calendar of events."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.errors import BadSession, NothingToForecast
from pipeline.events.calendar_snapshot import write_calendar
from pipeline.events.event import Calendar
from pipeline.events.event_asof import read_calendar
from pipeline.events.event_sources import NONE, event_source_of
from pipeline.jobs.context import reasons_by_symbol
from pipeline.jobs.event_ingestion import last_day_of
from pipeline.jobs.results import SnapshotResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT, CALENDAR, RUN, SNAPSHOT, CalendarReference, SnapshotReference
from pipeline.prices.audit import audit_snapshot
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot

_MOST_NOTES = 50  # in the result; all of them are in audit.json
SNAPSHOTS = "snapshots"  # in the store, for each session a folder


def snapshot(run: Run, *, known_at: datetime) -> SnapshotResult:
    """Audit the stored bars of the run's symbols and freeze them as known for the session.

    Raises NothingToForecast if the latest prices of every symbol are in doubt.
    """
    settings = run.settings
    engine = open_database(settings.database)
    known = AsOf(engine, settings.source, run.symbols, settings.clock.at(run.as_of))
    with settings.store.making(SNAPSHOTS) as folder:
        frozen = write_snapshot(known.tables(), run.as_of, folder)
        name = f"{SNAPSHOTS}/{frozen.path.relative_to(folder).as_posix()}"
        audit = audit_snapshot(known, read_snapshot(frozen), now=known_at)
        calendar = _freeze_calendar(run, engine, folder)
    if not known.rows and not audit.held_back:
        raise BadSession(f"there are no prices up to {run.as_of} for {', '.join(run.symbols[:5])}; run ingest first")
    run.save(RUN, run)
    run.save(AUDIT, audit)
    run.save(CALENDAR, calendar)
    run.save(SNAPSHOT, SnapshotReference(name=name, digest=frozen.digest, rows=known.rows))
    if len(audit.doubtful) == len(run.symbols):  # before anything is trained for no symbol
        reasons = reasons_by_symbol((row.symbol, row.reason) for row in audit.doubtful)
        raise NothingToForecast(f"no symbol can be forecast as of {run.as_of}: {reasons}")
    return SnapshotResult(
        digest=frozen.digest,
        rows=known.rows,
        accept=audit.accept,
        warn=audit.warn,
        quarantine=audit.quarantine,
        reject=audit.reject,
        gaps=audit.gaps,
        reconstructed=audit.reconstructed,
        doubtful=audit.doubtful,
        reasons=audit.reasons,
        notes=audit.notes[:_MOST_NOTES],
        calendar=calendar.digest,
        events=calendar.events,
        events_reconstructed=calendar.reconstructed,
    )


def _freeze_calendar(run: Run, engine: Engine, folder: Path) -> CalendarReference:
    """Write the events of the run's symbols as known for its session; without a source of events there are none."""
    settings = run.settings
    source = event_source_of(settings)
    clock = settings.clock.at(run.as_of)
    known = Calendar() if source == NONE else read_calendar(engine, source, run.symbols, clock, last_day_of(run))
    frozen = write_calendar(known, run.as_of, folder)
    return CalendarReference(
        name=f"{SNAPSHOTS}/{frozen.path.relative_to(folder).as_posix()}",
        digest=frozen.digest,
        source=source,
        events=len(known.frame),
        reconstructed=known.reconstructed,
    )
