"""The sample's events: the days on which its companies reported, facts shipped with the package.

`sample_earnings.csv` lists the days on which they filed their quarterly results with the SEC (Form 8-K, item 2.02),
which are public: MSFT from 2003, AAPL from 2004, IBM from 2007 and FB from 2012, each to June 2013. GOOG has none and
shows the case without a calendar. The time of day is not part of the facts.
"""

from datetime import date
from functools import lru_cache
from importlib.resources import files

from pipeline.events.event import EARNINGS, Announced, Event


class SampleEvents:
    """Reports of the sample's companies, as they took place."""

    name = "sample"

    def announced(self, symbols: tuple[str, ...], first: date, last: date) -> Announced:
        """Return the reports of `symbols` from `first` to `last`; of those without facts nothing is said."""
        events = tuple(
            Event(symbol=symbol, kind=EARNINGS, day=day)
            for symbol, day in _facts()
            if symbol in symbols and first <= day <= last
        )
        known = frozenset(symbol for symbol, _ in _facts())
        return Announced(events=events, first=first, last=last, complete=known & frozenset(symbols))


@lru_cache(maxsize=1)
def _facts() -> tuple[tuple[str, date], ...]:
    lines = files("pipeline.events").joinpath("sample_earnings.csv").read_text(encoding="utf-8").splitlines()
    rows = (line.split(",") for line in lines[1:])
    return tuple((symbol, date.fromisoformat(day)) for symbol, day in rows)
