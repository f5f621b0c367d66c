"""What a backtest consists of and comes to: its folds, what each has made, and the summary of all of them.

Field names are the keys of fold.json and backtest.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from pipeline.evaluation.model_scores import Scores
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.prices.audit_types import Seam


@dataclass(frozen=True, kw_only=True)
class FoldPlan:
    """One fold: its number, from 1, and the first and last session that its model forecasts from (ISO dates)."""

    number: int
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """A symbol without forecasts from `first` to `last`, in so many sessions, and why."""

    symbol: str
    reason: str
    first: str
    last: str
    sessions: int


@dataclass(frozen=True, kw_only=True)
class FoldInputs:
    """Everything that shapes a fold. Records of older versions lack some of it, and equal no inputs of this one."""

    snapshot: str  # SHA-256
    seams: Sequence[Seam]  # up to the fold's last session
    code: str  # SHA-256 of the source files
    calendar: str = ""  # SHA-256 of the events
    settings: Mapping[str, JsonValue] = field(default_factory=dict)  # all frozen settings of the run, and threads
    precision: str = ""  # that a network is trained in on this machine
    libraries: Mapping[str, str] = field(default_factory=dict)  # versions of the numeric libraries


@dataclass(frozen=True, kw_only=True)
class FoldRecord:
    """fold.json: what one fold has made, and what it was made from; it is written last.

    `made_from` decides whether the fold is reused; `sha256` is that of its forecasts, `data_digest` of its prices.
    """

    made_from: FoldInputs
    sha256: str
    data_digest: str
    rows: int
    trained: bool
    reason: str | None
    withheld: Sequence[Exclusion]
    training: TrainingRecord
    model: ModelCard | None  # None without a network
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class FoldOutcome(FoldPlan):
    """A fold as the summary lists it: whether a network was trained, and the SHA-256 of its forecasts."""

    trained: bool
    reason: str | None
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BacktestSummary:
    """backtest.json: the scores over all folds, CRPS session by session, and the symbols without forecasts.

    `windows` counts origins `forecast` and `scored`; `gained_bp` is the network's cumulative gain in CRPS on the best
    baseline, empty where there is none.
    """

    first: str
    last: str
    refit_every: int
    network: str
    best_baseline: str | None
    data_digest: str
    rows: int
    windows: Mapping[str, int]
    without_forecast: Sequence[str]
    withheld: Sequence[Exclusion]
    folds: Sequence[FoldOutcome]
    scores: Scores
    sessions: Sequence[str]
    crps_bp: Mapping[str, Sequence[float]]
    gained_bp: Sequence[float]
    sha256: str
