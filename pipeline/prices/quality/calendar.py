"""Rules about the calendar: bars on days without a session, sessions without a bar, series that are not daily.

A symbol that trades on many days outside its calendar has the wrong calendar, such as a London share without its
suffix. That is one fact about the symbol, noted once; its bars and gaps raise no alarm.
"""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import BadSymbol
from pipeline.market.clock import MarketClock, SessionClock
from pipeline.market.sessions import Sessions
from pipeline.prices.bars import PRICES
from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Mask, Panel
from pipeline.prices.quality.shifted import Shift, shift_of

Days = NDArray[np.int64]  # days since 1970

# Two exchanges differ by some two per cent of their sessions (holidays), so half of that tells them apart; one odd day
# in a series is an odd day.
_WRONG_SHARE, _WRONG_DAYS = 0.01, 2
# A daily series has a bar every one to four days, holidays included; from four in the median on it is weekly.
_WEEKLY_DAYS, _WEEKLY_BARS = 4, 4
# Several different bars for one session in so many of them are intraday rows, not an accident.
_INTRADAY_SHARE, _INTRADAY_SESSIONS = 0.2, 3
_EMPTY: Days = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class _Series:
    """One symbol's days; `genuine` marks bars that were traded rather than copied."""

    symbol: str
    days: Days
    genuine: Mask


class _Calendars:
    """The sessions of each calendar between two days, read once."""

    def __init__(self, clock: MarketClock, first: int, last: int) -> None:
        self._clock, self._first, self._last = clock, first, last
        self._days: dict[str, Days | None] = {}

    def of(self, symbol: str) -> tuple[str, Days | None]:
        """Return the calendar's code and its sessions; None if the calendar cannot be built."""
        try:
            sessions = self._clock.sessions_of(symbol)
        except BadSymbol:  # the spelling that is tried belongs to no market
            return "", None
        if sessions.exchange not in self._days:
            try:
                dates = sessions.between(_date(self._first - 1), _date(self._last + 1))
                self._days[sessions.exchange] = np.array(dates, "datetime64[D]").astype(np.int64)
            except ValueError:  # exchange_calendars 4.x refuses to make XTAE since its week has changed in 2026
                self._days[sessions.exchange] = None
        return sessions.exchange, self._days[sessions.exchange]


def check_calendar(bars: pd.DataFrame, panel: Panel, clock: MarketClock, found: Findings) -> frozenset[str]:
    """Add findings about bars outside the calendar; return the symbols whose series is not daily."""
    if not len(bars):
        return frozenset()
    intraday = _intraday(bars)
    for symbol in sorted(intraday):
        found.note(symbol, "not_daily", "many sessions have several bars: intraday rows, not daily bars")
    weekly = set()
    days = _days(bars["session"])
    every = np.concatenate([days, panel.day])  # what is known may reach further than what is new, either way
    calendars = _Calendars(clock, int(every.min()), int(every.max()))
    at = dict(zip(_names(panel), range(len(panel.starts) - 1), strict=True))
    genuine = _genuine(panel)
    for symbol, first, last in _spans(bars["symbol"].to_numpy(dtype=object)):
        exchange, sessions = calendars.of(symbol)
        if sessions is None:
            found.note(symbol, "no_calendar", f"the calendar {exchange} does not exist: sessions are not checked")
            continue
        off = np.flatnonzero(~_among(days[first:last], sessions)) + first
        rows = slice(*panel.starts[at[symbol] : at[symbol] + 2]) if symbol in at else slice(0, 0)
        if symbol not in intraday and _is_weekly(panel.day[rows]):
            weekly.add(symbol)
            found.note(symbol, "not_daily", "about one bar a week: not daily, so not compared with the calendar")
            continue
        if not len(off):
            continue
        series = _Series(symbol=symbol, days=panel.day[rows], genuine=genuine[rows])
        if shift := _shift(series, calendars):
            found.note(symbol, "shifted", shift.detail)
            found.add(range(first, last), "quarantine", "shifted", shift.detail)
            continue
        if better := _wrong_calendar(series, calendars):
            found.note(symbol, "wrong_calendar", better)
            continue
        traded = dict(zip(panel.at[rows].tolist(), genuine[rows].tolist(), strict=True))
        for place in off.tolist():
            if traded.get(place, False):
                found.add([place], "quarantine", "no_session", f"traded on a day that is not a session of {exchange}")
            else:
                found.add(
                    [place], "quarantine", "phantom", f"not a session of {exchange}, and a copy of the bar before"
                )
    return frozenset(weekly | intraday)


def gaps(bars: pd.DataFrame, clock: SessionClock) -> pd.DataFrame:
    """Return the sessions of its market, from each symbol's first bar to `clock.last(symbol)`, for which it has no bar.

    One row each: symbol, session, verdict `warn`, rule `gap`, detail. None for a series that is not daily and for a
    symbol with the wrong calendar: `check_bars` notes those.
    """
    parts = []
    bars = bars[["symbol", "session", *PRICES, "volume"]].sort_values(["symbol", "session"], kind="stable")
    days = _days(bars["session"])
    symbols = bars["symbol"].to_numpy(dtype=object)
    ends = {symbol: clock.last(symbol) for symbol in dict.fromkeys(symbols)}
    if len(bars):
        until = int(np.datetime64(max(ends.values())).astype(int))
        calendars = _Calendars(clock.market, int(days.min()), until)
    for symbol, first, stop in _spans(symbols):
        exchange, sessions = calendars.of(symbol)
        if sessions is None:
            continue
        own = np.unique(days[first:stop])
        end = int(np.datetime64(ends[symbol]).astype(int))
        expected = sessions[(sessions >= own[0]) & (sessions <= end)]
        missing = _recorded(expected[~_among(expected, own)], clock.market.sessions_of(symbol))
        if len(missing) and _comparable(bars.iloc[first:stop], symbol, calendars):
            detail = f"a session of {exchange} without a bar"
            parts.append(pd.DataFrame({"symbol": symbol, "session": missing.astype("datetime64[D]"), "detail": detail}))
    columns = ["symbol", "session", "verdict", "rule", "detail"]
    if not parts:
        return pd.DataFrame(columns=columns).astype({"session": "datetime64[s]"})
    table = pd.concat(parts, ignore_index=True).assign(verdict="warn", rule="gap")
    return table.astype({"session": "datetime64[s]"})[columns]


def _recorded(days: Days, sessions: Sessions) -> Days:
    """Return the sessions that are not estimated: the others may be holidays, and no bar is expected there."""
    return days[[not sessions.is_estimated(_date(day)) for day in days.tolist()]]


def _comparable(part: pd.DataFrame, symbol: str, calendars: _Calendars) -> bool:
    """Whether a symbol's bars, sorted, are daily and fit its calendar."""
    days = _days(part["session"])
    if _intraday(part) or _is_weekly(days):
        return False
    prices = part[PRICES].to_numpy(float)
    genuine = _not_copied(prices, part["volume"].to_numpy(float), np.arange(len(part)) == 0)
    series = _Series(symbol=symbol, days=days, genuine=genuine)
    return _shift(series, calendars) is None and not _wrong_calendar(series, calendars)


def _shift(series: _Series, calendars: _Calendars) -> Shift | None:
    exchange, sessions = calendars.of(series.symbol)
    return None if sessions is None else shift_of(series.days, sessions, exchange)


def _wrong_calendar(series: _Series, calendars: _Calendars) -> str:
    """Return why a series has the wrong calendar, or an empty string."""
    exchange, sessions = calendars.of(series.symbol)
    if sessions is None:
        return ""
    odd = int((series.genuine & ~_among(series.days, sessions)).sum())
    if odd >= _WRONG_DAYS and odd >= _WRONG_SHARE * len(series.days):
        text = f"traded on {odd} of {len(series.days)} days that are not sessions of {exchange}"
        return f"{text}: it is traded on another exchange than configured"
    # AET-L may be AET.L with a vendor's other spelling: where the calendar of that fits better, it is.
    stem, dash, suffix = series.symbol.rpartition("-")
    if dash and len(series.days):
        other, others = calendars.of(f"{stem}.{suffix}")
        if others is not None and other != exchange and _misfit(series.days, others) < _misfit(series.days, sessions):
            return f"its days fit {other} better than {exchange}: another spelling of {stem}.{suffix}"
    return ""


def _misfit(days: Days, sessions: Days) -> int:
    inside = sessions[(sessions >= days[0]) & (sessions <= days[-1])]
    return int((~_among(days, sessions)).sum() + (~_among(inside, days)).sum())


def _genuine(panel: Panel) -> Mask:
    prices = np.stack([panel[name] for name in PRICES], axis=1) if len(panel) else np.zeros((0, 4))
    return _not_copied(prices, np.where(panel.traded, np.inf, 0.0), panel.is_first)


def _not_copied(prices: NDArray[np.float64], volume: NDArray[np.float64], first: Mask) -> Mask:
    """Whether a bar differs from the one before, and was traded if the series has volume."""
    copied = np.zeros(len(prices), bool)
    if len(prices):
        same = (prices[1:] == prices[:-1]).all(axis=1)
        flat = (prices[1:] == prices[:-1, 3:]).all(axis=1)
        copied[1:] = (same | flat) & ~first[1:]
    return np.asarray(~copied & (volume > 0) if (np.nan_to_num(volume) > 0).any() else ~copied)


def _is_weekly(days: Days) -> bool:
    apart = np.diff(np.unique(days))
    return len(apart) >= _WEEKLY_BARS and float(np.median(apart)) >= _WEEKLY_DAYS


def _intraday(bars: pd.DataFrame) -> set[str]:
    twice = bars.duplicated(["symbol", "session"], keep=False)
    if not twice.any():
        return set()
    several = bars[twice].drop_duplicates(["symbol", "session"])["symbol"].value_counts()
    sessions = bars.drop_duplicates(["symbol", "session"])["symbol"].value_counts()
    often = (several >= _INTRADAY_SESSIONS) & (several >= _INTRADAY_SHARE * sessions.reindex(several.index))
    return {str(symbol) for symbol in several.index[often]}


def _spans(symbols: NDArray[np.object_]) -> list[tuple[str, int, int]]:
    if not len(symbols):
        return []
    starts = [0, *(np.flatnonzero(symbols[1:] != symbols[:-1]) + 1).tolist(), len(symbols)]
    return [(str(symbols[start]), start, stop) for start, stop in pairwise(starts)]


def _names(panel: Panel) -> list[str]:
    return [str(panel.symbol[start]) for start in panel.starts[:-1]]


def _among(days: Days, sorted_days: Days) -> Mask:
    if not len(sorted_days):
        return np.zeros(len(days), bool)
    place = np.minimum(np.searchsorted(sorted_days, days), len(sorted_days) - 1)
    return np.asarray(sorted_days[place] == days)


def _days(sessions: pd.Series) -> Days:
    return sessions.to_numpy("datetime64[D]").astype(np.int64)


def _date(day: int) -> date:
    found: date = np.datetime64(day, "D").astype(object)
    return found
