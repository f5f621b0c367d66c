"""Planning: resolve a request to session, symbols and settings. Every invalid request is refused here."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime

from pydantic import JsonValue

from pipeline.config import Overrides
from pipeline.errors import BadSession, BadSymbol, SessionNotAvailable
from pipeline.jobs.results import Plan
from pipeline.jobs.run import Run
from pipeline.jobs.trials import departures
from pipeline.jobs.trigger_form import require_complete
from pipeline.market.sessions import Sessions
from pipeline.prices.sources import Source, open_source

_NAMED = 3  # refused symbols in a message


def plan_run(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None,
    interval_end: datetime | None,
    manual: bool,
    overrides: Overrides,
    provenance: Mapping[str, str],
    make_latest: bool = False,
) -> Run:
    """Return the run for a request at `now`. Raises a UserError that names the problem.

    `as_of` is the requested session, `interval_end` the end of a scheduled run's data interval. `make_latest` publishes
    a trial as the standing edition. Raises SessionNotAvailable if a scheduled session is after the source's end.
    """
    settings = overrides.settings()
    source = open_source(settings, today=now.date())
    wanted = settings.symbols or source.symbols()
    source.require(wanted)
    refused = settings.clock.refusals(wanted)
    symbols = tuple(symbol for symbol in wanted if symbol not in refused)
    if not symbols:
        first = [f"{symbol}: {reason}" for symbol, reason in list(refused.items())[:_NAMED]]
        raise BadSymbol("; ".join([*first, *([f"and {len(refused) - _NAMED} more"] if len(refused) > _NAMED else [])]))
    session = _resolve(settings.clock.sessions, source, now, as_of, None if manual else interval_end)
    frozen = settings.frozen()
    name = key or f"terminal__{session}"
    return Run(
        key=f"{name}__{_digest(session, symbols, frozen)}__{settings.network}",
        as_of=session,
        symbols=symbols,
        refused=refused,
        overrides=overrides,
        frozen=frozen,
        provenance=dict(provenance),
        trial=departures(settings, wanted, source),
        make_latest=make_latest,
    )


def _resolve(
    sessions: Sessions, source: Source, now: datetime, as_of: date | None, interval_end: datetime | None
) -> date:
    last = source.last_session()
    if as_of is not None:
        return _checked(sessions, source, now, as_of)
    if interval_end is not None:
        session = sessions.last_complete(interval_end)
        if last is not None and session > last:
            raise SessionNotAvailable(
                f"nothing to do for {session}: the source `{source.name}` ends on {last}; "
                "set PIPELINE_SOURCE or update the file, or trigger a run manually with as_of"
            )
        return _checked(sessions, source, now, session)
    session = sessions.last_complete(now)
    return session if last is None else min(session, sessions.at_or_before(last))


def _checked(sessions: Sessions, source: Source, now: datetime, as_of: date) -> date:
    require_complete(sessions, now, as_of)
    first, last = source.first_session(), source.last_session()
    if first is not None and as_of < first:
        raise BadSession(f"as_of {as_of} is before the history of the source `{source.name}`, which begins on {first}")
    if last is not None and as_of > last:
        raise BadSession(f"as_of {as_of} is after the end of the source `{source.name}`, which is {last}")
    return as_of


def _digest(as_of: date, symbols: tuple[str, ...], frozen: Mapping[str, JsonValue]) -> str:
    """Return a digest of the resolved request: a run that is planned again with other settings is another run."""
    resolved = json.dumps([as_of.isoformat(), symbols, frozen], sort_keys=True)
    return hashlib.sha256(resolved.encode()).hexdigest()[:8]


def plan(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None = None,
    interval_end: datetime | None = None,
    manual: bool = True,
    overrides: Overrides,
    provenance: Mapping[str, str],
    make_latest: bool = False,
) -> Plan:
    """Return the run for a request and the batches of symbols to ingest. Arguments and errors: see `plan_run`."""
    run = plan_run(
        key=key,
        now=now,
        as_of=as_of,
        interval_end=interval_end,
        manual=manual,
        overrides=overrides,
        provenance=provenance,
        make_latest=make_latest,
    )
    size = run.settings.ingest_batch
    batches = tuple(run.symbols[at : at + size] for at in range(0, len(run.symbols), size))
    warnings = run.settings.clock.calendar_warnings(run.symbols, run.as_of)
    return Plan(run=run, batches=batches, warnings=tuple(warnings))
