"""Verdicts about events: dates that cannot be, that are doubtful, and that are only odd.

An odd calendar never stops a run: what is rejected or quarantined is not stored, and reported with the reason.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pipeline.errors import BadSymbol
from pipeline.events.event import EARNINGS, SYMBOL_KINDS, TIMES, Announced, Event, EventFinding, EventVerdict
from pipeline.market.clock import MarketClock

FIRST_DAY = date(1990, 1, 1)
_FURTHEST = timedelta(days=366)
_WEEK = timedelta(days=7)
_MARKET_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, kw_only=True)
class CheckedEvents:
    """The events to store, one for each symbol, kind and day, and what was found about the answer."""

    events: tuple[Event, ...]
    findings: tuple[EventFinding, ...]


def check_events(announced: Announced, symbols: Iterable[str], clock: MarketClock, known_at: datetime) -> CheckedEvents:
    """Return the events of an answer that are stored, and the findings about all of them.

    `symbols` are those that were requested; `known_at` (aware) is when the answer came.
    """
    requested = frozenset(symbols)
    today = known_at.astimezone(UTC).date()
    findings = list(announced.findings)
    kept: dict[tuple[str, str, date], Event] = {}
    for event in announced.events:
        if (reason := _impossible(event, requested, today)) is not None:
            findings.append(_finding(event, "reject", *reason))
            continue
        key = (event.symbol, event.kind, event.day)
        kept[key] = _better(kept[key], event) if key in kept else event
    events, doubtful = _a_week_apart(sorted(kept.values(), key=lambda event: (event.symbol, event.kind, event.day)))
    findings += [*doubtful, *_without_session(events, clock)]
    return CheckedEvents(events=tuple(events), findings=tuple(dict.fromkeys(findings)))


def _impossible(event: Event, requested: frozenset[str], today: date) -> tuple[str, str] | None:
    """Return rule and reason why an event cannot be stored."""
    if event.symbol and event.symbol not in requested:
        return "wrong_symbol", f"{event.symbol} was not requested"
    allowed = ", ".join(SYMBOL_KINDS)
    if event.symbol and event.kind not in SYMBOL_KINDS:
        return "unknown_kind", f"{event.kind!r} is not a kind of event of a symbol; there are {allowed}"
    if not event.symbol and (event.kind in SYMBOL_KINDS or not _MARKET_KIND.fullmatch(event.kind)):
        return "unknown_kind", f"{event.kind!r} is not a kind of market-wide event, such as central_bank"
    if event.time not in TIMES:
        return "unknown_time", f"{event.time!r} is none of {', '.join(TIMES)}"
    if event.day < FIRST_DAY:
        return "too_early", f"{event.day} is before {FIRST_DAY.year}"
    if event.day > today + _FURTHEST:
        return "far_future", f"{event.day} is more than a year ahead"
    return None


def _without_session(events: list[Event], clock: MarketClock) -> list[EventFinding]:
    """Return warnings about events on days without a session of their market."""
    by_market: dict[str, list[Event]] = {}
    for event in events:
        with suppress(BadSymbol):  # refused when the run was planned
            if event.symbol:
                by_market.setdefault(clock.market_of(event.symbol).calendar, []).append(event)
    findings = []
    for calendar, mine in by_market.items():
        sessions, days = clock.sessions_on(calendar), [event.day for event in mine]
        known = set(sessions.between(min(days), max(days)))
        for event in mine:
            if event.day not in known:
                after = sessions.shift(sessions.at_or_before(event.day), 1)
                detail = f"{event.day} is not a session of {calendar}; it takes effect on {after}"
                findings.append(_finding(event, "warn", "no_session", detail))
    return findings


def _a_week_apart(events: list[Event]) -> tuple[list[Event], list[EventFinding]]:
    """Return sorted events without reports of one company less than a week apart, of which one is held back."""
    findings: list[EventFinding] = []
    kept: list[Event] = []
    for event in events:
        one: Event | None = event
        while kept and one is not None and _too_close(kept[-1], one):
            better = _better(kept[-1], one)
            worse = one if better is kept[-1] else kept.pop()
            detail = f"{worse.day} is within a week of {better.day}, which {_reason(better, worse)}"
            findings.append(_finding(worse, "quarantine", "within_a_week", detail))
            one = None if worse is one else one
        if one is not None:
            kept.append(one)
    return kept, findings


def _too_close(one: Event, other: Event) -> bool:
    """Whether two successive events are reports of one company less than a week apart.

    Ex-dividend dates may be: a special dividend, or a fund that pays every week. Meetings last several days.
    """
    same = one.kind == other.kind == EARNINGS and one.symbol == other.symbol
    return same and other.day - one.day < _WEEK


def _better(one: Event, other: Event) -> Event:
    """Return which of two statements about one event counts: the confirmed, the later, the more exact, the first."""
    for mine, theirs in zip(_rank(one), _rank(other), strict=True):
        if mine != theirs:
            return one if mine > theirs else other
    return one if one.day <= other.day else other


def _rank(event: Event) -> tuple[bool, float, bool]:
    stated = event.known_at.timestamp() if event.known_at is not None else float("-inf")
    return event.confirmed, stated, event.time != "unknown"


def _reason(better: Event, worse: Event) -> str:
    ranks = zip(("is confirmed", "was stated later", "has a time of day"), _rank(better), _rank(worse), strict=True)
    return next((words for words, mine, theirs in ranks if mine != theirs), "comes first")


def _finding(event: Event, verdict: EventVerdict, rule: str, detail: str) -> EventFinding:
    return EventFinding(
        symbol=event.symbol,
        kind=event.kind,
        day=event.day,
        verdict=verdict,
        rule=rule,
        detail=detail,
    )
