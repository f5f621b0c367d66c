"""Validation of the trigger forms: what each field accepts, and the message for a refused value.

The checks are cheap (limits, syntax, the exchange's calendar) and run before a run exists. Checks that need the source,
such as whether it has a symbol, are made by `pipeline.jobs.planning` in the first task.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any, get_args

from pydantic import JsonValue

from pipeline.config import Settings, SourceName
from pipeline.errors import BadSession, BadSetting, BadSymbol
from pipeline.forecast_schema import NetworkName
from pipeline.market.sessions import Sessions
from pipeline.market.symbols import MAX_LENGTH, parse_symbols

# Runs with more symbols have not been tested, and their request would be large.
MAX_SYMBOLS = 20_000
_LONGEST_SHOWN = 60

Check = Callable[[JsonValue, datetime], None]


def check_form(values: Mapping[str, JsonValue], *, known: Collection[str], now: datetime) -> None:
    """Check the values of a form with the fields `known`. Raises a UserError that says in one line what to change."""
    if unknown := sorted(set(values) - set(known)):
        raise BadSetting(f"no such parameter: {_shown(', '.join(unknown))}; there are {', '.join(known)}")
    for name, value in values.items():
        check_field(name, value, now=now)
    first, last = values.get("from"), values.get("to")
    if first and last and _date("from", first) > _date("to", last):
        raise BadSession(f"from {first} is after to {last}; swap the two dates")


def check_field(name: str, value: JsonValue, *, now: datetime) -> None:
    """Check one value; empty values and fields without a check pass. Raises a UserError."""
    if value is not None and name in FIELDS:
        FIELDS[name](value, now)


def number(name: str) -> Check:
    """Return the check of an integer within the limits of the setting of that name."""
    limits = {kind: at for limit in Settings.model_fields[name].metadata for kind, at in _bounds(limit).items()}
    least, most = limits["ge"], limits["le"]

    def check(value: JsonValue, _now: datetime) -> None:
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        if not whole or not least <= value <= most:
            raise BadSetting(f"{name}: {_shown(value)} is not allowed; use a whole number from {least} to {most:,}")

    return check


def choice(name: str, allowed: tuple[str, ...]) -> Check:
    """Return the check of one of several names."""

    def check(value: JsonValue, _now: datetime) -> None:
        if value not in allowed:
            raise BadSetting(f"{name}: {_shown(value)} is not allowed; use one of {', '.join(allowed)}")

    return check


def symbols(value: JsonValue, _now: datetime) -> None:
    """Check a list of symbols: its length and the syntax of each."""
    if not isinstance(value, str):
        raise BadSymbol(f"symbols: {_shown(value)} is not text; write AAPL, IBM, or leave it empty")
    names = re.findall(r"[^,\s]+", value)
    if len(names) > MAX_SYMBOLS:
        raise BadSymbol(f"symbols: {len(names):,} are too many: one run takes up to {MAX_SYMBOLS:,}; use several runs")
    if too_long := next((name for name in names if len(name) > MAX_LENGTH), None):
        raise BadSymbol(f"symbols: {_shown(too_long)} is not a symbol: it is longer than {MAX_LENGTH} characters")
    if not names:
        raise BadSymbol("symbols: the list is empty; write AAPL, IBM, or leave the field empty")
    try:
        parse_symbols(value)
    except BadSymbol as error:
        raise BadSymbol(f"symbols: {error}") from None


def day(name: str) -> Check:
    """Return the check of a date that is not in the future."""

    def check(value: JsonValue, now: datetime) -> None:
        if _date(name, value) > now.date():
            raise BadSession(f"{name}: {value} is in the future; choose an earlier day")

    return check


def session(value: JsonValue, now: datetime) -> None:
    """Check that a date is a complete session of the exchange."""
    require_complete(Settings.load().clock.sessions, now, _date("as_of", value))


def require_complete(sessions: Sessions, now: datetime, as_of: date) -> None:
    """Raise BadSession unless `as_of` is a session that is complete at `now`."""
    last = sessions.last_complete(now)
    if as_of > now.date():
        raise BadSession(f"as_of {as_of} is in the future; the last complete session is {last}")
    sessions.require_session(as_of)
    if sessions.complete_at(as_of) > now:
        raise BadSession(f"as_of {as_of} is not complete yet; the last complete session is {last}")


def _date(name: str, value: JsonValue) -> date:
    try:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise BadSession(f"{name}: {_shown(value)} is not a date; write it as 2013-02-28") from None


def _bounds(limit: Any) -> dict[str, Any]:
    """Return the bounds `ge` and `le` of a field's annotation."""
    return {kind: getattr(limit, kind) for kind in ("ge", "le") if hasattr(limit, kind)}


def _flag(name: str) -> Check:
    def check(value: JsonValue, _now: datetime) -> None:
        if not isinstance(value, bool):
            raise BadSetting(f"{name}: {_shown(value)} is not allowed; use true or false")

    return check


def _shown(value: JsonValue) -> str:
    """Return a value as entered, on one line, shortened if it is long."""
    text = " ".join((value if isinstance(value, str) else str(value)).split())
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return repr(text) if isinstance(value, str) else text


FIELDS: dict[str, Check] = {
    "symbols": symbols,
    "as_of": session,
    "from": day("from"),
    "to": day("to"),
    "horizon": number("horizon"),
    "training_steps": number("training_steps"),
    "retrain_every": number("retrain_every"),
    "refit_every": number("refit_every"),
    "source": choice("source", get_args(SourceName)),
    "network": choice("network", get_args(NetworkName)),
    "whole_history": _flag("whole_history"),
    "make_latest": _flag("make_latest"),
}
