"""What Yahoo's answer about prices says, as types: the metadata of a series, and its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, JsonValue, TypeAdapter, ValidationError


@dataclass(frozen=True)
class SeriesMeta:
    """What Yahoo says of a series, as far as it is used; not verified. Texts are empty where it says nothing."""

    given: bool = False
    symbol: JsonValue = None
    granularity: JsonValue = "1d"
    currency: str = ""
    time_zone: str = ""


@dataclass(frozen=True)
class Event:
    """A dividend, split or capital gain, by its time in seconds."""

    date: int


@dataclass(frozen=True)
class Events:
    """The events of a series, by kind and by Yahoo's key."""

    dividends: Mapping[str, Event] | None = None
    splits: Mapping[str, Event] | None = None
    capital_gains: Annotated[Mapping[str, Event] | None, Field(alias="capitalGains")] = None


@dataclass(frozen=True)
class Quote:
    """The prices and volumes of a series, one for each timestamp."""

    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]


@dataclass(frozen=True)
class Indicators:
    """The quotes of a series: there is one."""

    quote: list[Quote]


@dataclass(frozen=True)
class Series:
    """The rows of a series: times in seconds, prices, events."""

    timestamp: list[int]
    indicators: Indicators
    events: Events | None = None

    def event_times(self, kind: str) -> list[int]:
        """Return the times of the events of a kind, a field of `Events`."""
        listed: Mapping[str, Event] | None = getattr(self.events, kind, None)
        return [event.date for event in (listed or {}).values()]


def series_meta(result: Mapping[str, JsonValue]) -> SeriesMeta:
    """Return the metadata of the requested series: symbol, interval, currency, time zone."""
    meta = result.get("meta")
    if not isinstance(meta, dict) or not meta:
        return SeriesMeta()
    return SeriesMeta(
        given=True,
        symbol=meta.get("symbol"),
        granularity=meta.get("dataGranularity", "1d"),
        currency=_text(meta.get("currency")),
        time_zone=_text(meta.get("exchangeTimezoneName")),
    )


def series(result: Mapping[str, JsonValue]) -> Series:
    """Return the rows of the requested series. Raises ValueError that names the first field that does not fit."""
    try:
        return _SERIES.validate_python(result)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


_SERIES = TypeAdapter(Series)
