"""What the steps of a run leave for each other in the run's folder: typed JSON documents, and files."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.jobs.results import ScoreResult, UploadResult
from pipeline.jobs.run import Artifact, FileArtifact, Run
from pipeline.modeling.baseline_notes import BaselineNotes
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.prices.audit_types import Audit
from pipeline.publishing.event_outlook import EventOutlook
from pipeline.publishing.published_files import SymbolReason


@dataclass(frozen=True, kw_only=True)
class SnapshotReference:
    """The snapshot that a run was frozen on."""

    name: str  # relative to the store
    digest: str  # SHA-256
    rows: int


@dataclass(frozen=True, kw_only=True)
class CalendarReference:
    """The calendar of events that a run was frozen on."""

    name: str  # relative to the store
    digest: str  # SHA-256
    source: str  # of the events, `none` if there is none
    events: int
    reconstructed: int  # events of which it is not known when they were announced


@dataclass(frozen=True, kw_only=True)
class SourceReading:
    """How the source's prices were read, in one line."""

    read_as: str


@dataclass(frozen=True, kw_only=True)
class ForecastOutcome:
    """The symbols without a forecast, and those that a baseline stands in for."""

    withheld: Sequence[SymbolReason] = ()
    fallbacks: Sequence[SymbolReason] = ()


RUN = Artifact("run", Run, step="ingest")
SOURCE = Artifact("source", SourceReading, step="ingest")
SNAPSHOT = Artifact("snapshot", SnapshotReference, step="ingest")
CALENDAR = Artifact("calendar", CalendarReference, step="ingest")
AUDIT = Artifact("audit", Audit, step="ingest")
SCORES = Artifact("scores", Scores, step="train")  # `judge` adds the champion
DECISION = Artifact("decision", Decision, step="judge")
TRAINING = Artifact("training", TrainingRecord, step="train")
MODEL_CARD = Artifact("model/model", ModelCard, step="train")
LIVE = Artifact("live", ScoreResult, step="score")
UPLOAD = Artifact("upload", UploadResult, step="train")
FORECAST = Artifact("forecast", ForecastOutcome, step="forecast")
EVENT_OUTLOOK = Artifact("event-outlook", EventOutlook, step="forecast")

HELDOUT = FileArtifact("heldout.npz", step="train")
MODEL = FileArtifact("model", step="train")
CHAMPION = FileArtifact("champion", step="judge")
FORECASTS = FileArtifact("forecasts.parquet", step="forecast")
FIGURES = FileArtifact("figures", step="train")
NETWORK = "network"  # among the contenders


def baseline_notes(name: str) -> Artifact[BaselineNotes]:
    """Return the artifact of a baseline's notes."""
    return Artifact(f"baseline-{name}", BaselineNotes, step="train")


def heldout_by(contender: str) -> FileArtifact:
    """Return the artifact of the held-out forecasts of a baseline, or of the network (`NETWORK`)."""
    return FileArtifact(f"heldout-{contender}.npz", step="train")


def baseline_forecasts(name: str) -> FileArtifact:
    """Return the artifact of a baseline's forecasts."""
    return FileArtifact(f"baseline-{name}.parquet", step="forecast")
