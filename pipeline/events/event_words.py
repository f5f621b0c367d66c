"""Words of a file of events, as people and vendors write them: names of columns, kinds, times of day, confirmation."""

import re
from datetime import time

from pipeline.events.event import EARNINGS, EX_DIVIDEND, Time

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "tic", "tickersymbol", "stocksymbol", "actsymbol"),
    "date": ("date", "day", "reportdate", "earningsdate", "eventdate", "announcementdate", "exdate", "exdividenddate"),
    "kind": ("kind", "event", "eventtype", "type"),
    "time": ("time", "timeofday", "when", "hour", "session"),
    "known_at": ("knownat", "announcedat", "announced", "asof"),
    "confirmed": ("confirmed", "isconfirmed"),
}
COLUMN_NAMES = frozenset(alias for aliases in ALIASES.values() for alias in aliases)
_KINDS = dict.fromkeys(("", "earnings_report", "report", "results"), EARNINGS)
_KINDS |= dict.fromkeys(("dividend", "exdividend", "ex_date"), EX_DIVIDEND)
_TIMES: dict[str, Time] = dict.fromkeys(("", "unknown", "tns", "time_not_supplied", "during_market"), "unknown")
_TIMES |= dict.fromkeys(("before_open", "bmo", "before_market_open", "pre_market", "premarket", "am"), "before_open")
_TIMES |= dict.fromkeys(("after_close", "amc", "after_market_close", "post_market", "after_hours", "pm"), "after_close")
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::\d\d)?\s*([ap]m)?", re.IGNORECASE)
_CONFIRMED = {"": True, "true": True, "yes": True, "y": True, "1": True, "confirmed": True}
_CONFIRMED |= {"false": False, "no": False, "n": False, "0": False, "estimated": False, "estimate": False}


def kind_of(text: str) -> str:
    """Return the kind that a text names; a word that is not known is returned in small letters."""
    word = _word(text)
    return _KINDS.get(word, word)


def time_of_day(text: str) -> Time | time | None:
    """Return the time of day that a text names, a time on the clock if it is one, None if it is neither."""
    if (word := _word(text)) in _TIMES:
        return _TIMES[word]
    if (match := _CLOCK.fullmatch(text.strip())) is None:
        return None
    hour, half = int(match[1]), (match[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return time(hour, int(match[2]))
    except ValueError:
        return None


def is_confirmed(text: str) -> bool | None:
    """Return whether a text says that a date is confirmed; None if it says neither."""
    return _CONFIRMED.get(text.casefold())


def _word(text: str) -> str:
    return re.sub(r"[\s\-]+", "_", text.strip().casefold())
