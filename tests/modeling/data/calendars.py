"""Calendars of earnings reports, as tests state them."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd

from pipeline.events.event import COLUMNS, empty_calendar


def calendar_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the frame of a calendar; a row needs `symbol` and `day`, the rest is that of a reconstructed report."""
    usual = {"kind": "earnings", "time": "unknown", "confirmed": True, "known_from": None, "known_until": None}
    frame = pd.DataFrame([{**usual, **row} for row in rows], columns=list(COLUMNS))
    for name in ("day", "known_from", "known_until"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
    frame = frame.astype(empty_calendar().dtypes.to_dict())
    return frame.sort_values(["symbol", "kind", "day", "known_from"], ignore_index=True)


def reports_frame(days: Mapping[str, Iterable[date]], known_from: datetime | None = None) -> pd.DataFrame:
    """Return the frame of a calendar with a report of each symbol on each of its days."""
    return calendar_frame(
        {"symbol": symbol, "day": day, "known_from": known_from}
        for symbol, of_symbol in days.items()
        for day in of_symbol
    )
