"""Types of published JSON files: `manifest.json` and `forecasts.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated

from pydantic import JsonValue

from pipeline.evaluation.decision import Decision
from pipeline.forecast_schema import MEDIAN_LEVEL, RANGES
from pipeline.publishing.event_outlook import EventOutlook, ScheduledEvent, SymbolOutlook
from pipeline.storage.documents import OMIT_NONE


@dataclass(frozen=True, kw_only=True)
class SymbolReason:
    """A symbol and why it has no forecast, or one by another model."""

    symbol: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PublishedStep:
    """One session of a forecast: prices by quantile level."""

    step: int
    target_session: date
    target_session_estimated: bool = False  # outside the recorded trading calendar
    quantiles: Mapping[float, float]

    def range(self, share: int) -> tuple[float, float]:
        """Return the ends of the range of `share` per cent."""
        low, high = RANGES[share]
        return self.quantiles[low], self.quantiles[high]

    @property
    def median(self) -> float:
        """The median price."""
        return self.quantiles[MEDIAN_LEVEL]


@dataclass(frozen=True, kw_only=True)
class SymbolForecast:
    """The forecast of one symbol."""

    symbol: str
    last_session: date | None = None  # of the last close; None in an older version: the edition's as_of
    last_close: float
    model: str
    model_version: str | None = None
    recent_closes: tuple[float, ...] = ()
    steps: tuple[PublishedStep, ...]
    outlook: Annotated[SymbolOutlook | None, OMIT_NONE] = None  # None without a calendar of scheduled events

    @property
    def estimated(self) -> bool:
        """Whether the date of any step is an estimate."""
        return any(step.target_session_estimated for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class PublishedForecasts:
    """The content of `forecasts.json`."""

    as_of: date
    exchange: str
    model: str
    model_version: str | None = None
    horizon: int = 0
    trial: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    forecasts: tuple[SymbolForecast, ...] = ()
    withheld: tuple[SymbolReason, ...] = ()
    market_events: Annotated[tuple[ScheduledEvent, ...] | None, OMIT_NONE] = None

    @property
    def outlook(self) -> EventOutlook:
        """The scheduled events of all symbols and of the market."""
        known = {each.symbol: each.outlook for each in self.forecasts if each.outlook is not None}
        return EventOutlook(symbols=known, market=self.market_events or ())

    @property
    def by_symbol(self) -> dict[str, SymbolForecast]:
        """The forecasts by symbol."""
        return {forecast.symbol: forecast for forecast in self.forecasts}

    @property
    def reasons(self) -> dict[str, str]:
        """The reason of each symbol without a forecast."""
        return {row.symbol: row.reason for row in self.withheld}

    @property
    def symbols(self) -> list[str]:
        """All symbols, those without a forecast included."""
        return [*self.by_symbol, *self.reasons]


@dataclass(frozen=True, kw_only=True)
class PublishedDecision(Decision):
    """The gate's decision, and the symbols that another model forecasts."""

    fallbacks: tuple[SymbolReason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What a manifest says of one file."""

    sha256: str
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of `manifest.json` that readers use."""

    as_of: date
    exchange: str = ""
    headline: str
    verdict: str
    symbols: int
    withheld: int = 0
    trial: tuple[str, ...] = ()  # how the run differs from the standing configuration
    standing: bool = True  # as the publication asked for
    decision: PublishedDecision
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)  # where the edition comes from; keys vary
    files: Mapping[str, FileRecord]

    @property
    def source(self) -> str:
        """The source of the prices; "" where it is not recorded."""
        return str(self.provenance.get("source", ""))

    @property
    def run_key(self) -> str:
        """The key of the run that made the edition; "" where it is not recorded."""
        return str(self.provenance.get("run_key", ""))
