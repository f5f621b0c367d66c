"""The events step: scheduled events of the run's symbols from their source into the store.

Events never stop a run: a source that fails or answers nonsense becomes a note, and the run goes on with what the
store knows.
"""

import logging
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.errors import PipelineError
from pipeline.events.event import Announced, EventFinding, EventSource
from pipeline.events.event_checks import FIRST_DAY, CheckedEvents, check_events
from pipeline.events.event_histories import extend_histories, record_history, without_history
from pipeline.events.event_sources import NONE, event_source_of, open_event_source, recent_of
from pipeline.events.event_store import EventChanges, EventStore
from pipeline.jobs.results import EventsResult
from pipeline.jobs.run import Run
from pipeline.market.clock import MarketClock

_LOG = logging.getLogger(__name__)
_AHEAD = timedelta(days=60)  # reports are announced some weeks before
_CALENDAR_DAYS = 2  # for a session of the horizon, holidays included
_OVERLAP = timedelta(days=7)  # of a history with the recent days, which may fail for as long
_MOST_FINDINGS = 50  # in the result; the store has all of them


@dataclass(frozen=True, kw_only=True)
class _Request:
    symbols: tuple[str, ...]
    first: date
    last: date
    history: bool = False  # all past events, which are requested once


def ingest_events(run: Run, *, known_at: datetime) -> EventsResult:
    """Ingest the events of the run's symbols, from the beginning to some weeks after its session. Idempotent.

    Raises StoreError where the database fails, and nothing else.
    """
    settings = run.settings
    name = event_source_of(settings)
    if name == NONE:
        return EventsResult(source=name)
    store = EventStore(open_database(settings.database), name)
    source, notes = _opened(run, known_at)
    changes, findings, waiting = EventChanges(), list[EventFinding](), 0
    if source is not None:
        requests, waiting = _requests(run, store.engine, name, known_at)
        for request in requests:
            answer, checked = _answer(source, request, settings.clock, known_at)
            changes += store.write(replace(answer, events=checked.events), known_at, findings=checked.findings)
            findings += checked.findings
            notes += answer.notes
            _record(store, request, answer, known_at)
    store.requested(run.symbols, settings.clock.at(run.as_of), known_at)
    if waiting:
        notes.append(f"the past events of {waiting} symbols are still to be requested, by the next runs")
    return EventsResult(
        source=name,
        new=changes.new,
        changed=changes.changed,
        cancelled=changes.cancelled,
        unchanged=changes.unchanged,
        verdicts=dict(Counter(one.verdict for one in findings)),
        findings=findings[:_MOST_FINDINGS],
        notes=notes,
    )


def last_day_of(run: Run) -> date:
    """Return the last day of which a run reads events."""
    return run.as_of + max(_AHEAD, timedelta(days=_CALENDAR_DAYS * run.settings.horizon))


def _requests(run: Run, engine: Engine, name: str, known_at: datetime) -> tuple[list[_Request], int]:
    """Return what to request now, and of how many symbols the past has to wait.

    A source without a limit to what is recent is read whole. Of another, the past is requested once.
    """
    today = known_at.astimezone(UTC).date()
    last = max(last_day_of(run), today + _AHEAD)
    recent = recent_of(name)
    if recent is None:
        return [_Request(symbols=run.symbols, first=FIRST_DAY, last=last)], 0
    first = today - recent
    due, waiting = without_history(engine, name, run.symbols, first, known_at)
    requests = []
    if due:
        requests.append(_Request(symbols=tuple(due), first=FIRST_DAY, last=first + _OVERLAP, history=True))
    if last_day_of(run) >= first:
        requests.append(_Request(symbols=run.symbols, first=first, last=last))
    return requests, waiting


def _opened(run: Run, now: datetime) -> tuple[EventSource | None, list[str]]:
    """Return the run's event source, or why there is none."""
    try:
        return open_event_source(run.settings, now=now), []
    except Exception as error:  # noqa: BLE001  an odd calendar never stops the prices
        return None, [_note(error)]


def _answer(
    source: EventSource, request: _Request, clock: MarketClock, known_at: datetime
) -> tuple[Announced, CheckedEvents]:
    """Return the answer of a source and what is stored of it; where it fails, nothing and the reason as a note."""
    try:
        answer = source.announced(request.symbols, request.first, request.last)
        return answer, check_events(answer, request.symbols, clock, known_at)
    except Exception as error:  # noqa: BLE001  an odd calendar never stops the prices
        failed = Announced(events=(), first=request.first, last=request.last, notes=(_note(error),))
        return failed, CheckedEvents(events=(), findings=())


def _record(store: EventStore, request: _Request, answer: Announced, known_at: datetime) -> None:
    """Record up to which day the past of each symbol is known, where it is requested once."""
    if request.history:
        answered = answer.complete | {event.symbol for event in answer.events}
        record_history(store.engine, store.source, request.symbols, answered, request.last, known_at)
    elif recent_of(store.source) is not None:
        through = min(known_at.astimezone(UTC).date(), request.last)
        extend_histories(store.engine, store.source, answer.complete, request.first, through)


def _note(error: Exception) -> str:
    """Return the note of a run without an answer; of an error that nobody foresaw, the log has where it comes from."""
    if not isinstance(error, PipelineError):
        _LOG.warning("the calendar of events could not be read", exc_info=error)
    words = " ".join(str(error).split())
    reason = words if isinstance(error, PipelineError) else f"{type(error).__name__}: {words}"
    return f"the calendar of events could not be read, the run goes on with what is known: {reason}"
