"""Scheduled events and the width of ranges in words: the one place for report, pages, terminal and notifications.

The text is plain: each of them escapes it, because kinds and symbols come from a vendor.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.publishing import formatting
from pipeline.publishing.event_outlook import (
    EventOutlook,
    PastRanges,
    ScheduledEvent,
    SymbolOutlook,
    WidthFactors,
)

EARNINGS, EX_DIVIDEND = "earnings", "ex_dividend"
_KINDS = {EARNINGS: "earnings report", EX_DIVIDEND: "ex-dividend date"}
_TIMES = {"before_open": "before the open", "after_close": "after the close"}
MARKET = "market"


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """A row of a table of coming events."""

    symbol: str  # `market` for an event of the whole market
    kind: str
    day: str
    time: str
    status: str
    known_since: str


def sentence(outlook: SymbolOutlook) -> str:
    """Return what the next report in the forecast means; "" without one.

    Such as `reports Tuesday 22 January after the close: range 2.1× the usual; 7 of the last 8 such ranges held`.
    """
    event = next(iter(outlook.moving), None)
    if event is None:
        return ""
    widest = _widest(event, outlook.widths)
    if widest is None:
        return reports(event)
    of_next = widest is outlook.widths[0]
    subject = "range" if of_next else f"range of {formatting.short_day(widest.target_session)}"
    text = f"{reports(event)}: {subject} {times(widest.ratio)} the usual"
    held = _held(outlook.past_ranges, of_next=of_next)
    return f"{text}; {held}" if held else text


def reports(event: ScheduledEvent) -> str:
    """Return `reports Tuesday 22 January after the close`, with what is not certain in brackets."""
    time = _TIMES.get(event.time, "")
    doubts = [] if event.confirmed else ["estimated date"]
    doubts += [] if time else ["time of day not stated"]
    words = [f"reports {formatting.day(event.day, year=False)}", time, f"({', '.join(doubts)})" if doubts else ""]
    return " ".join(word for word in words if word)


def marker(outlook: SymbolOutlook) -> str:
    """Return `reports Tue 22 Jan` for a symbol with a report in its forecast, else ""."""
    event = next(iter(outlook.moving), None)
    return "" if event is None else f"reports {formatting.short_day(event.day)}"


def width_sentence(factors: WidthFactors) -> str:
    """Return the width of a range against its usual width, as a product."""
    named = {
        "market": factors.market,
        "own volatility": factors.volatility,
        "scheduled report": factors.event,
        "model": factors.model,
    }
    if f"{factors.event:.2f}" == "1.00":
        named.pop("scheduled report")
    parts = " × ".join(f"{name} {value:.2f}" for name, value in named.items())
    session = formatting.short_day(factors.target_session)
    return f"90{formatting.PER_CENT} range of {session}: {factors.ratio:.2f}× its usual width = {parts}"


def soon(outlook: EventOutlook, first: Mapping[str, Sequence[date]], most: int = 5) -> list[str]:
    """Return a line for each symbol that reports within the next two sessions, the widest range first.

    `first` holds the sessions that each symbol's forecast is for.
    """
    found = []
    for symbol, one in outlook.symbols.items():
        event = next(iter(one.moving), None)
        if event is not None and {*event.sessions} & {*first.get(symbol, ())[:2]}:
            widest = _widest(event, one.widths)
            found.append((-(widest.ratio if widest else 0.0), symbol, f"{symbol} {sentence(one)}"))
    lines = [line for _, _, line in sorted(found)]
    return [*lines[:most], f"and {len(lines) - most} more report within two sessions"] if len(lines) > most else lines


def sentences(outlook: EventOutlook) -> list[tuple[str, str]]:
    """Return symbol and sentence of each symbol with a report in its forecast, the earliest report first."""
    moving = [(one.moving[0].day, symbol, sentence(one)) for symbol, one in outlook.symbols.items() if one.moving]
    return [(symbol, text) for _, symbol, text in sorted(moving)]


def rows(outlook: EventOutlook, symbols: Sequence[str] | None = None) -> list[EventRow]:
    """Return the coming events by day: those of the market, and of these symbols (all if not named)."""
    events = [*outlook.market, *_events(outlook, symbols)]
    events.sort(key=lambda event: (event.day, event.symbol, event.kind))
    return [
        EventRow(
            symbol=event.symbol or MARKET,
            kind=_KINDS.get(event.kind, event.kind.replace("_", " ")),
            day=formatting.day(event.day),
            time=_TIMES.get(event.time, "not stated"),
            status="confirmed" if event.confirmed else "estimated date",
            known_since="not recorded" if event.known_since is None else formatting.short_day(event.known_since.date()),
        )
        for event in events
    ]


def times(ratio: float) -> str:
    """Return `2.1×`."""
    return f"{ratio:.1f}×"


def _events(outlook: EventOutlook, symbols: Sequence[str] | None) -> Iterator[ScheduledEvent]:
    for symbol, one in outlook.symbols.items():
        if symbols is None or symbol in symbols:
            yield from one.events


def _widest(event: ScheduledEvent, widths: Sequence[WidthFactors]) -> WidthFactors | None:
    """Return the step, of those that the event may move, whose range is widest against its usual width."""
    moved = [one for one in widths if one.target_session in event.sessions]
    return max(moved, key=lambda one: one.ratio, default=None)


def _held(past: PastRanges | None, *, of_next: bool) -> str:
    if past is None or not past.ranges:
        return ""
    what = "such range" if of_next else "next-session range around a report"
    if past.ranges == 1:
        return f"the last {what} {'held' if past.inside else 'did not hold'}"
    many = "such ranges" if of_next else "next-session ranges around reports"
    return f"{past.inside} of the last {past.ranges} {many} held"
