"""The events step: scheduled events of the run's symbols from their source into the store.

Events never stop a run: a source that fails or answers nonsense becomes a note, and the run goes on with what the
store knows.
"""

from collections import Counter
from datetime import date, datetime, timedelta

from pipeline.database.engine import open_database
from pipeline.errors import PipelineError
from pipeline.events.event import Announced
from pipeline.events.event_checks import FIRST_DAY, check_events
from pipeline.events.event_sources import NONE, event_source_of, open_event_source
from pipeline.events.event_store import EventStore
from pipeline.jobs.results import EventsResult
from pipeline.jobs.run import Run

_AHEAD = timedelta(days=60)  # reports are announced some weeks before
_CALENDAR_DAYS = 2  # for a session of the horizon, holidays included
_MOST_FINDINGS = 50  # in the result; the store has all of them


def ingest_events(run: Run, *, known_at: datetime) -> EventsResult:
    """Ingest the events of the run's symbols, from the beginning to some weeks after its session. Idempotent.

    Raises StoreError where the database fails, and nothing else.
    """
    settings = run.settings
    name = event_source_of(settings)
    if name == NONE:
        return EventsResult(source=name)
    answer = _announced(run)
    checked = check_events(answer, run.symbols, settings.clock, known_at)
    changes = EventStore(open_database(settings.database), name).write(
        Announced(events=checked.events, first=answer.first, last=answer.last, complete=answer.complete),
        known_at,
        findings=checked.findings,
        requested=run.symbols,
        clock=settings.clock.at(run.as_of),
    )
    return EventsResult(
        source=name,
        new=changes.new,
        changed=changes.changed,
        cancelled=changes.cancelled,
        unchanged=changes.unchanged,
        verdicts=dict(Counter(one.verdict for one in checked.findings)),
        findings=checked.findings[:_MOST_FINDINGS],
        notes=answer.notes,
    )


def last_day_of(run: Run) -> date:
    """Return the last day of which a run requests and reads events."""
    horizon = timedelta(days=_CALENDAR_DAYS * run.settings.horizon)
    return run.as_of + max(_AHEAD, horizon)


def _announced(run: Run) -> Announced:
    """Return the answer of the run's event source; where it fails, an empty one with the reason as a note."""
    last = last_day_of(run)
    try:
        source = open_event_source(run.settings)
        if source is None:
            return Announced(events=(), first=FIRST_DAY, last=last)
        return source.announced(run.symbols, FIRST_DAY, last)
    except PipelineError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  an odd calendar never stops the prices
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    note = f"the calendar of events could not be read, the run goes on with what is known: {reason}"
    return Announced(events=(), first=FIRST_DAY, last=last, notes=(note,))
