"""What the steps of a run leave for each other: one typed artifact for each JSON document in the run's folder."""

from dataclasses import dataclass

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.jobs.run import Artifact
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.prices.audit_types import Audit


@dataclass(frozen=True, kw_only=True)
class SnapshotReference:
    """The snapshot that a run was frozen on."""

    name: str  # relative to the store
    digest: str  # SHA-256
    rows: int


SNAPSHOT = Artifact("snapshot", SnapshotReference, step="ingest")
AUDIT = Artifact("audit", Audit, step="ingest")
SCORES = Artifact("scores", Scores, step="train")  # `judge` adds the champion
DECISION = Artifact("decision", Decision, step="judge")
TRAINING = Artifact("training", TrainingRecord, step="train")
MODEL_CARD = Artifact("model/model", ModelCard, step="train")
