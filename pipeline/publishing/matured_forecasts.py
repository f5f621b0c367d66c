"""Matured forecasts of the next session and their closes: the rows of `record.parquet` and of the track record.

In files a row is flat, `q0.05` and `inside_80`, in the order of `forecast_schema.RECORD`. In code these are mappings by
level and by range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from pipeline.evaluation.flat_rows import converted
from pipeline.forecast_schema import LEVELS, MEDIAN_LEVEL, RANGES, RECORD, inside_column, quantile_column
from pipeline.storage.documents import from_document

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class MaturedForecast:
    """A forecast of the next session and the close of that session. Losses in basis points."""

    symbol: str
    as_of: date
    target_session: date
    last_close: float
    model: str
    model_version: str | None
    in_time: bool  # published before the session closed
    quantiles: Mapping[float, float]  # prices by level
    close: float
    crps_bp: float | None
    baseline_crps_bp: float | None
    inside: Mapping[int, bool]  # whether the close is inside each of `RANGES`
    report_due: bool | None = None  # whether a scheduled report may have moved the session; None without a calendar

    def range(self, share: int) -> tuple[float, float]:
        """Return the ends of the range of `share` per cent."""
        low, high = RANGES[share]
        return self.quantiles[low], self.quantiles[high]

    @property
    def median(self) -> float:
        """The median price."""
        return self.quantiles[MEDIAN_LEVEL]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return converted(source, handler, _nested, _flat)


def matured_forecasts(table: "pa.Table", *, where: str) -> list[MaturedForecast]:
    """Return the rows of a table with the columns `RECORD`. Raises CorruptFile that names `where` they are from."""
    remedy = "publish that session again"
    return [from_document(MaturedForecast, row, where=where, remedy=remedy) for row in table.to_pylist()]


def _nested(row: Any) -> Any:
    if not isinstance(row, Mapping):
        return row
    return {
        **row,
        "quantiles": {level: row.get(quantile_column(level)) for level in LEVELS},
        "inside": {share: row.get(inside_column(share)) for share in RANGES},
    }


def _flat(value: MaturedForecast) -> dict[str, Any]:
    flat = {
        **{quantile_column(level): price for level, price in value.quantiles.items()},
        **{inside_column(share): inside for share, inside in value.inside.items()},
    }
    return {name: flat[name] if name in flat else getattr(value, name) for name in RECORD}
