"""Opening the event source that the settings name."""

from datetime import datetime, timedelta
from pathlib import Path

from pipeline.config import EVENT_SOURCES, Settings
from pipeline.events.event import EventSource

NONE = "none"
# The calendar that comes with each source of prices.
_OF_PRICES = {"sample": "sample", "yahoo": "yahoo", "files": NONE}
# How many days back a request for all symbols at once may begin; a source that is not listed is read whole.
_RECENT = {"yahoo": timedelta(days=28)}


def recent_of(name: str) -> timedelta | None:
    """Return how far back an event source is asked again for what it has answered before; None: it is read whole."""
    return _RECENT.get(name)


def event_source_of(settings: Settings) -> str:
    """Return the name under which the events of the settings are stored: `none`, `sample`, `yahoo` or `files`."""
    if not settings.events:
        return _OF_PRICES[settings.source]
    return settings.events if settings.events in EVENT_SOURCES else "files"


def open_event_source(settings: Settings, *, now: datetime) -> EventSource | None:
    """Return the source of events, None where there is none; `now` (aware) tells it what is still to come."""
    # One source is used, and each import takes time.
    name = event_source_of(settings)
    if name == "sample":
        from pipeline.events.sample_events import SampleEvents

        return SampleEvents()
    if name == "yahoo":
        from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents

        return YahooEvents(settings, clock=lambda: now)
    if name == "files":
        from pipeline.events.event_file import EventFile

        return EventFile(Path(settings.events), clock=settings.clock, dates=settings.files_dates)
    return None
