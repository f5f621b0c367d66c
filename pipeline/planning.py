"""What a request means: which session, symbols and settings. Everything that can be refused is refused here."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pipeline.config import Settings
from pipeline.errors import BadSession, BadSymbol, SessionNotAvailable
from pipeline.markets import refusals
from pipeline.prices.sources import Source, open_source
from pipeline.runs import Run
from pipeline.sessions import Sessions

# Settings that change what a run computes: two requests that differ in one of them are two runs.
_TELLING = (
    "source",
    "files",
    "exchange",
    "markets",
    "horizon",
    "inputs",
    "context_length",
    "training_steps",
    "retrain_every",
    "champion_expires_after",
    "gate_level",
    "batch_size",
    "learning_rate",
    "hidden_size",
    "precision",
    "holdout_sessions",
    "validation_sessions",
    "seed",
)
_NAMED = 3  # refused symbols in a message


def plan_run(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None,
    interval_end: datetime | None,
    manual: bool,
    overrides: Mapping[str, Any],
    provenance: Mapping[str, str],
) -> Run:
    """Return the run for a request at `now`, or raise a UserError that says what is wrong with it.

    `as_of` is the session asked for, `interval_end` the end of a scheduled run's data interval. Raises
    SessionNotAvailable where a scheduled session lies after the source's end.
    """
    settings = Settings.load(**overrides)
    source = open_source(settings)
    wanted = settings.symbols or source.symbols()
    source.require(wanted)
    refused = refusals(wanted, settings.exchange, settings.markets)
    symbols = tuple(symbol for symbol in wanted if symbol not in refused)
    if not symbols:
        first = [f"{symbol}: {reason}" for symbol, reason in list(refused.items())[:_NAMED]]
        raise BadSymbol("; ".join([*first, *([f"and {len(refused) - _NAMED} more"] if len(refused) > _NAMED else [])]))
    session = _resolve(settings.sessions, source, now, as_of, None if manual else interval_end)
    name = key or f"terminal__{session}__{_digest(settings, symbols)}"
    return Run(
        key=f"{name}__{settings.network}",
        as_of=session,
        symbols=symbols,
        refused=refused,
        overrides=dict(overrides),
        provenance=dict(provenance),
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
                "set PIPELINE_SOURCE or renew the file, or trigger a run by hand with as_of"
            )
        return _checked(sessions, source, now, session)
    session = sessions.last_complete(now)
    return session if last is None else min(session, sessions.at_or_before(last))


def _checked(sessions: Sessions, source: Source, now: datetime, as_of: date) -> date:
    if as_of > now.date():
        raise BadSession(f"as_of {as_of} is in the future; the last complete session is {sessions.last_complete(now)}")
    sessions.require_session(as_of)
    if sessions.complete_at(as_of) > now:
        raise BadSession(
            f"as_of {as_of} is not complete yet; the last complete session is {sessions.last_complete(now)}"
        )
    first, last = source.first_session(), source.last_session()
    if first is not None and as_of < first:
        raise BadSession(f"as_of {as_of} is before the history of the source `{source.name}`, which begins on {first}")
    if last is not None and as_of > last:
        raise BadSession(f"as_of {as_of} is after the end of the source `{source.name}`, which is {last}")
    return as_of


def _digest(settings: Settings, symbols: tuple[str, ...]) -> str:
    telling = {name: str(getattr(settings, name)) for name in _TELLING}
    return hashlib.sha256(json.dumps([telling, symbols]).encode()).hexdigest()[:8]
