"""Parts of an answer about events: what one kind of request gave, merged into what the source states."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from pipeline.events.event import Event

_NAMED = 5  # symbols that a note lists


@dataclass(frozen=True, kw_only=True)
class Part:
    """Events, the symbols of which they are all that there are, and what was odd or failed."""

    events: tuple[Event, ...] = ()
    complete: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events sorted, each symbol, kind and day once.

    Of several, one with a time is preferred to one without; times that contradict each other are unknown. It is
    confirmed if any is.
    """
    found: dict[tuple[str, str, date], Event] = {}
    for event in events:
        key = (event.symbol, event.kind, event.day)
        found[key] = _both(found[key], event) if key in found else event
    return tuple(found[key] for key in sorted(found))


def _both(one: Event, other: Event) -> Event:
    times = {one.time, other.time} - {"unknown"}
    time = times.pop() if len(times) == 1 else "unknown"
    return replace(one, time=time, confirmed=one.confirmed or other.confirmed)


def listed(symbols: Iterable[str]) -> str:
    """Return symbols for a note: the first few in order, and how many more there are."""
    names = sorted(set(symbols))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
