"""What the steps return: one frozen type for each, whose document is the task's XCom and the command's `--json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pipeline.evaluation.backtest_results import BacktestSummary, FoldPlan
from pipeline.evaluation.recent_rates import RecentRates
from pipeline.events.event import EventFinding
from pipeline.jobs.run import Run
from pipeline.modeling.baseline_notes import BaselineNotes
from pipeline.prices.audit_types import DoubtfulSymbol, Note, Reason
from pipeline.prices.ingestion.ingest import IngestionSummary, RequestProblem
from pipeline.publishing.published_files import SymbolReason
from pipeline.storage.documents import OMIT_NONE


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request, resolved: the run, the batches of symbols to ingest, and warnings about its calendars."""

    run: Run
    batches: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BacktestPlan(Plan):
    """A backtest, resolved: the run as of its last session, and the folds."""

    folds: tuple[FoldPlan, ...]


@dataclass(frozen=True, kw_only=True)
class IngestResult(IngestionSummary):
    """The ingestion of one batch of symbols, and how the source's prices were read."""

    symbols: int
    read_as: str


@dataclass(frozen=True, kw_only=True)
class IngestTotals:
    """The ingestion of every batch, added up."""

    new: int
    revised: int
    unchanged: int
    held_back: int
    rewritten: int
    skipped: int
    symbols: int
    read_as: str
    problems: Sequence[RequestProblem]
    batches: Sequence[IngestResult]


@dataclass(frozen=True, kw_only=True)
class EventsResult:
    """The ingestion of scheduled events: what changed, the verdicts by name, and notes on what failed."""

    source: str  # `none`: there are no events
    new: int = 0
    changed: int = 0
    cancelled: int = 0
    unchanged: int = 0
    verdicts: Mapping[str, int] = field(default_factory=dict)
    findings: Sequence[EventFinding] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class SnapshotResult:
    """The snapshot of a run and the audit of its prices: counts of bars by verdict, and the symbols in doubt."""

    digest: str
    rows: int
    accept: int
    warn: int
    quarantine: int
    reject: int
    gaps: int
    reconstructed: int
    doubtful: Sequence[DoubtfulSymbol]
    reasons: Sequence[Reason]
    notes: Sequence[Note]
    calendar: str = ""  # SHA-256 of the frozen events
    events: int = 0
    events_reconstructed: int = 0


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """The forecasts that have matured, and the recent track record of those published in time and of replays."""

    scored_now: int
    in_the_record: int
    live: Annotated[RecentRates | None, OMIT_NONE] = None
    replayed: Annotated[RecentRates | None, OMIT_NONE] = None

    def kinds(self) -> dict[str, RecentRates]:
        """Return the track records that are not empty, by kind."""
        return {kind: rates for kind, rates in (("live", self.live), ("replayed", self.replayed)) if rates}


@dataclass(frozen=True, kw_only=True)
class BaselineResult(BaselineNotes):
    """The held-out forecasts of one baseline, and its notes on them."""

    baseline: str
    windows: int


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Whether a network was trained, and why not."""

    trained: bool
    reason: str | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """The mean CRPS of each model on the same held-out sessions, in basis points."""

    crps_bp: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainAllResult(CompareResult, TrainResult):
    """Training, baselines and their comparison in one process."""


@dataclass(frozen=True, kw_only=True)
class UploadResult:
    """The MLflow run of a run and the registered model version; without a trained network there is no version."""

    mlflow_run_id: str
    mlflow_url: str | None = None
    model_version: str | None = None
    git_commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class JudgeResult:
    """The model that the gate chose, and why."""

    model: str
    model_version: str
    promoted: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class ForecastResult:
    """How many symbols were forecast, those without a forecast, and those that a baseline stands in for."""

    symbols: int
    withheld: Sequence[SymbolReason]
    fallbacks: Sequence[SymbolReason]


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """The published edition: where it is, whether a byte changed, and what its report says first."""

    as_of: str
    folder: str
    place: str  # relative to the root of what is published
    changed: bool
    trial: Sequence[str]
    standing: bool
    edition: str  # "" for the session's standing edition
    headline: str
    verdict: str
    warnings: Sequence[str]
    events: Sequence[str] = ()  # a line for each symbol that reports within two sessions
    mlflow_url: str | None


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of every step of a daily run in one process."""

    ingest: IngestTotals
    events: EventsResult
    snapshot: SnapshotResult
    score: ScoreResult
    train: TrainAllResult
    upload: UploadResult
    judge: JudgeResult
    forecast: ForecastResult
    publish: PublishResult


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One fold of a backtest, made now or reused from an earlier try."""

    trained: bool
    reason: str | None
    reused: bool
    crps_bp: Mapping[str, float]
    mlflow_url: str | None


@dataclass(frozen=True, kw_only=True)
class BacktestOutputs:
    """Where a backtest's forecasts and its MLflow run are."""

    file: str
    folder: str
    rows: int
    windows: Mapping[str, int]
    mlflow_run_id: str
    mlflow_url: str | None


@dataclass(frozen=True, kw_only=True)
class BacktestResult(BacktestSummary):
    """The summary of a backtest and where its outputs are."""

    file: str
    folder: str
    mlflow_run_id: str
    mlflow_url: str | None

    def outputs(self) -> BacktestOutputs:
        """Return where the outputs are, without the scores."""
        return BacktestOutputs(
            file=self.file, folder=self.folder, rows=self.rows, windows=self.windows,
            mlflow_run_id=self.mlflow_run_id, mlflow_url=self.mlflow_url,
        )  # fmt: skip
