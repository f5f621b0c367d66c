"""What a run publishes of scheduled events: those to come, how earlier ranges around reports held, and range widths.

Everything is from the run's snapshot, its frozen calendar and its forecasts: a repeated run gives the same.

Legend: S symbols, T sessions, N forecasts or windows, H horizon.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.events.event import EARNINGS, Calendar
from pipeline.forecast_schema import range_columns
from pipeline.publishing.published_events import EventOutlook, PastRanges, ScheduledEvent, SymbolOutlook, WidthFactors

if TYPE_CHECKING:
    from pipeline.jobs.run import Run
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.panel import Array

_AHEAD = timedelta(days=30)
_LONGEST_BREAK = timedelta(days=14)  # no exchange is closed for longer between two sessions


def outlook_of(
    run: "Run",
    features: "Features",
    calendar: Calendar,
    forecasts: pd.DataFrame,
    ewma: pd.DataFrame,
    counting: Collection[str],
    past: Callable[[Collection[str]], Mapping[str, PastRanges]],
) -> EventOutlook:
    """Return the outlook of every symbol with a forecast; empty if no report of any of them is known.

    `ewma` are the forecasts of volatility-scaled historical simulation, `counting` the symbols whose model takes
    scheduled reports into account. `past` gives how the published model's earlier
    ranges around reports held, for the symbols with a report in the forecast.
    """
    if features.scheduled is None:
        return EventOutlook()
    events, market = coming_events(run, calendar, forecasts)
    widths = _widths(features, forecasts, ewma, counting)
    held = past([symbol for symbol, coming in events.items() if any(event.sessions for event in coming)])
    found = {
        symbol: SymbolOutlook(
            events=events.get(symbol, ()),
            past_ranges=held.get(symbol),
            widths=widths.get(symbol, ()),
            counts_reports=symbol in counting,
        )
        for symbol in sorted(set(forecasts["symbol"]))
    }
    return EventOutlook(symbols={name: one for name, one in found.items() if one.events or one.widths}, market=market)


def coming_events(
    run: "Run", calendar: Calendar, forecasts: pd.DataFrame
) -> tuple[dict[str, tuple[ScheduledEvent, ...]], tuple[ScheduledEvent, ...]]:
    """Return the events to come of each symbol, and of the market: as they stand, to the horizon or 30 days ahead.

    A report on the session of the last close that may come after it belongs to them.
    """
    frame = calendar.frame
    until = pd.Timestamp(max(run.as_of + _AHEAD, max(_days(forecasts["target_session"]))))
    standing = frame["known_until"].isna() & (frame["day"] > pd.Timestamp(run.as_of - _LONGEST_BREAK))
    near = frame[standing & (frame["day"] <= until)].sort_values(["day", "kind"], kind="stable")
    rows_of: dict[str, list[Mapping[Any, Any]]] = {}
    for row in near.to_dict("records"):
        rows_of.setdefault(str(row["symbol"]), []).append(row)
    found: dict[str, tuple[ScheduledEvent, ...]] = {}
    for symbol, last, targets in _forecast_sessions(forecasts[forecasts["symbol"].isin(rows_of)]):
        before = run.settings.clock.sessions_of(symbol).shift(last, -1)
        events = [_event(row, [before, last, *targets]) for row in rows_of[symbol]]
        if coming := tuple(event for event in events if event.sessions or event.day > last):
            found[symbol] = coming
    market = [_event(row, []) for row in rows_of.get("", ())]
    return found, tuple(event for event in market if event.day > run.as_of)


def _forecast_sessions(forecasts: pd.DataFrame) -> Iterator[tuple[str, date, list[date]]]:
    """Yield each symbol with the session of its last close and those of its forecast."""
    ordered = forecasts.sort_values(["symbol", "step"], kind="stable")
    columns = (ordered["symbol"], _days(ordered["last_session"]), _days(ordered["target_session"]))
    for symbol, rows in groupby(zip(*columns, strict=True), key=lambda row: str(row[0])):
        _, lasts, targets = zip(*rows, strict=True)
        yield symbol, lasts[0], list(targets)


def _event(row: Mapping[Any, Any], sessions: Sequence[date]) -> ScheduledEvent:
    """Return an event, with the sessions of the forecast that it may move; the first two of `sessions` are past."""
    day, time = row["day"].date(), str(row["time"])
    moved: list[date] = []
    if row["kind"] == EARNINGS and sessions and day > sessions[0]:
        own = bisect_left(sessions, day)
        has_session = own < len(sessions) and sessions[own] == day  # otherwise it moves the next one, at whatever time
        first = [own] if time != "after_close" or not has_session else []
        places = first + ([own + 1] if time != "before_open" and has_session else [])
        moved = [sessions[place] for place in places if 2 <= place < len(sessions)]
    known = row["known_from"]
    return ScheduledEvent(
        symbol=str(row["symbol"]),
        kind=str(row["kind"]),
        day=day,
        time=time,
        confirmed=bool(row["confirmed"]),
        known_since=None if pd.isna(known) else known.to_pydatetime().replace(tzinfo=UTC),
        sessions=tuple(moved),
    )


def _widths(
    features: "Features", forecasts: pd.DataFrame, ewma: pd.DataFrame, counting: Collection[str]
) -> dict[str, tuple[WidthFactors, ...]]:
    """Return the factors of each symbol's widths, by step."""
    from pipeline.modeling.diagnostics.range_width import width_parts

    scheduled, panel = features.scheduled, features.panel
    assert scheduled is not None
    rows = forecasts.sort_values(["symbol", "step"], kind="stable")
    horizon = int(rows["step"].max())
    symbols = rows["symbol"].to_numpy(np.str_)[::horizon]
    s_N, t_N = panel.positions(symbols, rows["last_session"].to_numpy("datetime64[D]")[::horizon])
    standard = rows[["symbol", "step"]].merge(ewma, on=["symbol", "step"], how="left", sort=False)
    parts = width_parts(
        features.scale_ST,
        panel.market_S,
        s_N,
        t_N,
        width_NH=_width(rows).reshape(-1, horizon),
        standard_NH=_width(standard).reshape(-1, horizon),
        event_NH=np.where(np.isin(symbols, list(counting))[:, None], scheduled.spread(s_N, t_N, horizon), 1.0),
    )
    targets = np.array(_days(rows["target_session"]), object).reshape(-1, horizon)
    found: dict[str, tuple[WidthFactors, ...]] = {}
    for n, symbol in enumerate(symbols.tolist()):
        if np.isfinite(parts.total_NH[n]).all():
            found[symbol] = tuple(
                WidthFactors(
                    target_session=targets[n, h],
                    ratio=float(np.exp(parts.total_NH[n, h])),
                    market=float(np.exp(parts.market_NH[n, h])),
                    volatility=float(np.exp(parts.volatility_NH[n, h])),
                    event=float(np.exp(parts.event_NH[n, h])),
                    model=float(np.exp(parts.model_NH[n, h])),
                )
                for h in range(horizon)
            )
    return found


def _width(rows: pd.DataFrame) -> "Array":
    low, high = range_columns(90)
    return np.asarray(np.log(rows[high].to_numpy(float) / rows[low].to_numpy(float)))


def _days(column: "pd.Series[Any]") -> list[date]:
    return list(pd.to_datetime(column).dt.date)
