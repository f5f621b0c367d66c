"""Types of the recent track record: what `live.json` holds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from pipeline.evaluation.flat_rows import converted, coverage_keys, nested


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

    @property
    def numbers(self) -> dict[str, float]:
        """The rates by the names of their metrics."""
        return {name: value for name, value in flat_rates(self).items() if name != "breach"}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, nested, flat_rates)


def flat_rates(rates: RecentRates) -> dict[str, Any]:
    """Return rates as documents have them."""
    row = asdict(rates)
    return {**coverage_keys(row.pop("coverage")), **row}
