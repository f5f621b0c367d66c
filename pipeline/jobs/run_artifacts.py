"""What the steps of a run leave for each other: one typed artifact for each JSON document in the run's folder."""

from dataclasses import dataclass

from pipeline.jobs.run import Artifact
from pipeline.prices.audit_types import Audit


@dataclass(frozen=True, kw_only=True)
class SnapshotReference:
    """The snapshot that a run was frozen on."""

    name: str  # relative to the store
    digest: str  # SHA-256
    rows: int


SNAPSHOT = Artifact("snapshot", SnapshotReference, step="ingest")
AUDIT = Artifact("audit", Audit, step="ingest")
