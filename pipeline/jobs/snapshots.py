"""The snapshot step: audit what is stored and freeze it as the session's prices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.database.engine import open_database
from pipeline.errors import BadSession, NothingToForecast
from pipeline.jobs.context import Summary, reasons_by_symbol
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT, SNAPSHOT, SnapshotReference
from pipeline.prices.audit import audit_snapshot
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot
from pipeline.storage.documents import to_document

_NOTES_TOLD = 50  # by the step; all of them are in audit.json
SNAPSHOTS = "snapshots"  # in the store, for each session a folder


def snapshot(run: Mapping[str, Any], *, known_at: datetime) -> Summary:
    """Audit what is stored for the run's symbols and freeze it as it was known when the session was the last one.

    Raises NothingToForecast where the present of every symbol is doubtful.
    """
    this = Run.from_dict(run)
    settings = this.settings
    engine = open_database(settings.database)
    known = AsOf(engine, settings.source, this.symbols, settings.clock.at(this.as_of))
    with settings.store.making(SNAPSHOTS) as folder:
        frozen = write_snapshot(known.tables(), this.as_of, folder)
        name = f"{SNAPSHOTS}/{frozen.path.relative_to(folder).as_posix()}"
        audit = audit_snapshot(known, read_snapshot(frozen), now=known_at)
    if not known.rows and not audit.held_back:
        raise BadSession(f"there are no prices up to {this.as_of} for {', '.join(this.symbols[:5])}; run ingest first")
    this.write("run", this.to_dict())
    this.save(AUDIT, audit)
    this.save(SNAPSHOT, SnapshotReference(name=name, digest=frozen.digest, rows=known.rows))
    document = to_document(audit)
    if len(audit.doubtful) == len(this.symbols):  # before anything is trained for nobody
        raise NothingToForecast(
            f"no symbol can be forecast as of {this.as_of}: {reasons_by_symbol(document['doubtful'])}"
        )
    return {
        "digest": frozen.digest,
        "rows": known.rows,
        **{
            name: document[name]
            for name in ("accept", "warn", "quarantine", "reject", "gaps", "reconstructed", "doubtful", "reasons")
        },
        "notes": document["notes"][:_NOTES_TOLD],
    }
