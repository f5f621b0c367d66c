"""Types of the recent track record: what `live.json` holds."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from pipeline.evaluation.flat_rows import converted, coverage_keys, nested
from pipeline.evaluation.model_scores import EventSplit, split_document


@dataclass(frozen=True, kw_only=True)
class RecentRates:
    """Mean scores of the forecasts of the last sessions; losses in basis points."""

    crps_bp: float
    baseline_crps_bp: float
    skill_percent: float
    coverage: Mapping[int, float]  # share of closes inside each of `RANGES`
    forecasts: float
    sessions: int
    breach: str | None = None  # how coverage is out of bounds, in words
    events: EventSplit | None = None  # of the next session; None where no calendar of reports was known

    @property
    def numbers(self) -> dict[str, float]:
        """The rates by the names of their metrics."""
        others = (each.name for each in fields(self) if each.name not in ("coverage", "breach", "events"))
        return {**coverage_keys(self.coverage), **{name: getattr(self, name) for name in others}}

    @property
    def event_numbers(self) -> dict[str, float]:
        """The rates on event sessions and on others by the names of their metrics: `events_coverage_90`."""
        parts = self.events.parts if self.events else {}
        return {f"{kind}_{name}": value for kind, part in parts.items() for name, value in part.numbers.items()}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, nested, _document)


def _document(rates: RecentRates) -> dict[str, Any]:
    split = {} if rates.events is None else {"events": split_document(rates.events)}
    return {**rates.numbers, "breach": rates.breach, **split}
