"""Warnings about calendars that end, before and after the sessions of a market become estimates."""

from collections.abc import Iterable
from datetime import date, timedelta

from pipeline.market.calendars import PACKAGE, installed
from pipeline.market.sessions import Sessions

NOTICE = timedelta(days=60)


def warnings(calendars: Iterable[Sessions], today: date) -> list[str]:
    """Return a sentence for each calendar that is recorded for fewer than 60 days from `today`, by its code."""
    named = {sessions.exchange: sessions for sessions in calendars}
    return [text for _, sessions in sorted(named.items()) if (text := _warning(sessions, today))]


def _warning(sessions: Sessions, today: date) -> str | None:
    exchange, until = sessions.exchange, sessions.recorded_until
    if sessions.is_guessed:
        return (
            f"the calendar {exchange} cannot be built by {installed()}: its sessions are estimated, holidays included; "
            f"upgrade the package {PACKAGE}"
        )
    if until - today >= NOTICE:
        return None
    return (
        f"the calendar {exchange} is known up to {until} in {installed()}: later sessions are estimated, holidays "
        f"included; upgrade the package {PACKAGE}"
    )
