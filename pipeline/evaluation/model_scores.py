"""Types of scores: what is measured of each model on held-out sessions, and how models compare.

As a document (`scores.json`, MLflow artifacts) a row is flat, `coverage_50` and `pinball_0.05_bp`, and the champion is
one more name among the models. Only the conversion at the end of this module knows that.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from pipeline.evaluation.flat_rows import converted, coverage_keys, nested, pinball_keys
from pipeline.forecast_schema import BASELINES

# The label of the champion in files and in the names of metrics: its model may be the one trained today as well.
CHAMPION = "champion"
# Sessions that a scheduled report may move, and all others.
EVENTS, OTHER = "events", "other"


@dataclass(frozen=True, kw_only=True)
class Significance:
    """A one-sided test: `t`, and `p`, the chance of a `t` this large where there is no difference."""

    t: float
    p: float
    sessions: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A trained model against a baseline on the same sessions; t and the p-values are None without enough of them."""

    baseline: str
    skill_percent: float | None = None  # 100 (1 - CRPS / the baseline's): above 0 the model is better
    t: float | None = None
    p: float | None = None
    p_holm: float | None = None  # after Holm's correction over all comparisons
    sessions: int = 0


@dataclass(frozen=True, kw_only=True)
class QuantileShare:
    """The share of outcomes below the forecast quantile of a level."""

    level: float
    share: float


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The scores of some forecasts, such as one symbol's. Losses in basis points; what was not measured is None."""

    crps_bp: float
    coverage: Mapping[int, float] = field(default_factory=dict)  # share of outcomes inside each of `RANGES`
    mae_bp: float | None = None
    up: float | None = None  # share of outcomes above zero
    pinball_bp: Mapping[float, float] = field(default_factory=dict)  # loss at each of `LEVELS`
    mae_over_random_walk: float | None = None
    direction: float | None = None  # share of outcomes whose sign the median has

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, nested, _row)


@dataclass(frozen=True, kw_only=True)
class SessionScores(ScoreRow):
    """Scores with their uncertainty, given by how much they differ from session to session."""

    direction_low: float | None = None  # 95 % interval of `direction`
    direction_high: float | None = None
    mae_over_random_walk_p: float | None = None
    rank_ic: float | None = None
    rank_ic_t: float | None = None
    rank_ic_sessions: int = 0


@dataclass(frozen=True, kw_only=True)
class StepScores(SessionScores):
    """The scores of one step of the forecast."""

    step: int


@dataclass(frozen=True, kw_only=True)
class NextSessionScores:
    """The scores of the first step on some windows; skill and t are None without a baseline or enough sessions."""

    windows: int
    sessions: int
    crps_bp: float
    coverage: Mapping[int, float]
    range_90_bp: float  # median width of the 90 % range
    baseline: str | None = None  # that skill and t refer to
    skill_percent: float | None = None  # 100 (1 - CRPS / the baseline's) on these windows
    t: float | None = None  # Diebold-Mariano over the sessions

    @property
    def numbers(self) -> dict[str, float]:
        """What there is of these by the keys of documents and tables."""
        values = next_session_row(self).items()
        return {name: float(value) for name, value in values if isinstance(value, int | float)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, nested, next_session_row)


@dataclass(frozen=True, kw_only=True)
class EventSplit:
    """One model on event sessions, which a scheduled report may move, and on all others; None where there is none."""

    on: NextSessionScores | None = None
    off: NextSessionScores | None = None

    @property
    def parts(self) -> dict[str, NextSessionScores]:
        """The scores by the names that metrics, tables and columns have: `events` and `other`."""
        return {name: part for name, part in ((EVENTS, self.on), (OTHER, self.off)) if part is not None}


@dataclass(frozen=True, kw_only=True)
class ModelScores(SessionScores):
    """The scores of one model: over all, by step and by symbol, and how it compares."""

    below: tuple[QuantileShare, ...] = ()
    by_step: tuple[StepScores, ...] = ()
    by_symbol: Mapping[str, ScoreRow] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()  # of a trained model: with each baseline
    alarms: tuple[str, ...] = ()  # why its scores look like a leak
    events: EventSplit | None = None  # None without a calendar of scheduled reports


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What `scores.json` holds: every model on the same held-out windows."""

    first: date | None = None  # the first and last session of the windows
    last: date | None = None
    sessions: int = 0
    windows: int = 0
    models: Mapping[str, ModelScores] = field(default_factory=dict)  # the baselines, and the network trained today
    champion: ModelScores | None = None

    @property
    def by_label(self) -> dict[str, ModelScores]:
        """Everything that was scored by its label: the name of its model, or `champion`."""
        return {**self.models, **({} if self.champion is None else {CHAMPION: self.champion})}

    @property
    def baselines(self) -> dict[str, ModelScores]:
        """The baselines that were scored."""
        return {name: scores for name, scores in self.models.items() if name in BASELINES}

    @property
    def suspects(self) -> dict[str, tuple[str, ...]]:
        """The alarms of each model that has any, by label."""
        return {label: scores.alarms for label, scores in self.by_label.items() if scores.alarms}

    @property
    def compared(self) -> list[tuple[str, Comparison]]:
        """The comparisons of all trained models, each with the label of its model."""
        return [(label, each) for label, scores in self.by_label.items() for each in scores.comparisons]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, _by_role, _by_label)


_NESTED = ("below", "by_step", "by_symbol", "comparisons", "alarms", "events")  # of a model: what is not one number


def flat(value: ScoreRow) -> dict[str, float | None]:
    """Return the numbers of a row of scores by the keys that documents and tables have."""
    row: dict[str, float | None] = {"step": value.step} if isinstance(value, StepScores) else {}
    for name in (each.name for each in fields(value) if each.name not in _NESTED):
        match name:
            case "coverage":
                row |= coverage_keys(value.coverage)
            case "pinball_bp":
                row |= pinball_keys(value.pinball_bp)
            case _:
                row[name] = getattr(value, name)
    return row


def next_session_row(value: NextSessionScores) -> dict[str, float | str | None]:
    """Return scores of the next session by the keys that documents and tables have."""
    row: dict[str, float | str | None] = {
        each.name: getattr(value, each.name) for each in fields(value) if each.name != "coverage"
    }
    return {**row, **coverage_keys(value.coverage)}


def split_document(split: EventSplit) -> dict[str, dict[str, float | str | None] | None]:
    """Return a split as a document, to read it back with pydantic."""
    parts = {"on": split.on, "off": split.off}
    return {name: None if part is None else next_session_row(part) for name, part in parts.items()}


def _row(value: ScoreRow) -> dict[str, Any]:
    """Return a row of scores as a document; comparisons and alarms stand next to the models."""
    if not isinstance(value, ModelScores):
        return {**flat(value)}
    return {
        **flat(value),
        "below": [asdict(each) for each in value.below],
        "by_step": [flat(each) for each in value.by_step],
        "by_symbol": {symbol: flat(each) for symbol, each in value.by_symbol.items()},
        **({} if value.events is None else {"events": split_document(value.events)}),
    }


def _by_role(document: Any) -> Any:
    """Take the champion out of the models, and give each model its comparisons and alarms."""
    if not isinstance(document, Mapping):
        return document
    compared, suspect = document.get("comparisons") or (), document.get("suspect") or {}
    models = {
        label: {
            **row,
            "comparisons": [each for each in compared if each.get("model") == label],
            "alarms": suspect.get(label, ()),
        }
        for label, row in document.get("models", {}).items()
    }
    return {**document, "champion": models.pop(CHAMPION, None), "models": models}


def _by_label(scores: Scores) -> dict[str, Any]:
    return {
        **{name: getattr(scores, name) for name in ("first", "last", "sessions", "windows")},
        "models": {label: _row(scored) for label, scored in scores.by_label.items()},
        "comparisons": [{"model": label, **asdict(each)} for label, each in scores.compared],
        "suspect": {label: list(words) for label, words in scores.suspects.items()},
    }
