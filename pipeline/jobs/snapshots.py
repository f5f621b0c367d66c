"""The snapshot step: audit what is stored and freeze it as the session's prices."""

from datetime import datetime

from pipeline.database.engine import open_database
from pipeline.errors import BadSession, NothingToForecast
from pipeline.jobs.context import reasons_by_symbol
from pipeline.jobs.results import SnapshotResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import RUN, SNAPSHOT, SnapshotReference
from pipeline.prices.audit import look_over
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot

_NOTES_TOLD = 50  # by the step; all of them are in audit.json
SNAPSHOTS = "snapshots"  # in the store, for each session a folder


def snapshot(this: Run, *, known_at: datetime) -> SnapshotResult:
    """Audit what is stored for the run's symbols and freeze it as it was known when the session was the last one.

    Raises NothingToForecast where the present of every symbol is doubtful.
    """
    settings = this.settings
    engine = open_database(settings.database)
    known = AsOf(engine, settings.source, this.symbols, settings.clock.at(this.as_of))
    with settings.store.making(SNAPSHOTS) as folder:
        frozen = write_snapshot(known.tables(), this.as_of, folder)
        name = f"{SNAPSHOTS}/{frozen.path.relative_to(folder).as_posix()}"
        audit = look_over(known, read_snapshot(frozen), now=known_at)
    if not known.rows and not audit["quarantine"] + audit["reject"]:
        raise BadSession(f"there are no prices up to {this.as_of} for {', '.join(this.symbols[:5])}; run ingest first")
    this.save(RUN, this)
    this.write("audit", audit)
    this.save(SNAPSHOT, SnapshotReference(name=name, digest=frozen.digest, rows=known.rows))
    if len(audit["doubtful"]) == len(this.symbols):  # before anything is trained for nobody
        reasons = reasons_by_symbol((row["symbol"], row["reason"]) for row in audit["doubtful"])
        raise NothingToForecast(f"no symbol can be forecast as of {this.as_of}: {reasons}")
    counts = ("accept", "warn", "quarantine", "reject", "gaps", "reconstructed")
    return SnapshotResult(
        digest=frozen.digest,
        rows=known.rows,
        **{name: audit[name] for name in counts},
        doubtful=audit["doubtful"],
        reasons=audit["reasons"],
        notes=audit["notes"][:_NOTES_TOLD],
    )
