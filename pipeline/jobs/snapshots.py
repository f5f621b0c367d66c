"""The snapshot step: audit what is stored and freeze it as the session's prices."""

from datetime import datetime

from pipeline.database.engine import open_database
from pipeline.errors import BadSession, NothingToForecast
from pipeline.jobs.context import reasons_by_symbol
from pipeline.jobs.results import SnapshotResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT, RUN, SNAPSHOT, SnapshotReference
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
    if not known.rows and not audit.held_back:
        raise BadSession(f"there are no prices up to {run.as_of} for {', '.join(run.symbols[:5])}; run ingest first")
    run.save(RUN, run)
    run.save(AUDIT, audit)
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
    )
