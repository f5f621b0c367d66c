"""Rows from the output of yfinance, with what it silently drops or moves restored from the raw answer."""

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.market.sessions import Sessions
from pipeline.prices.bars import PRICES
from pipeline.prices.sources.yahoo.chart_answer import Series, series

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange

_NAMES = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "listed_split",
    "Adj Close": "adjusted_close",
    "Capital Gains": "capital_gain",
}
# Columns, their events in Yahoo's answer, and the value where there is none.
_EVENTS = (("dividend", "dividends", 0.0), ("listed_split", "splits", 1.0), ("capital_gain", "capital_gains", 0.0))


def rows_of(history: pd.DataFrame, exchange: "Exchange") -> pd.DataFrame:
    """Return yfinance's table with the columns of `prices.bars`; the session is the local date of the exchange."""
    rows = history.rename(columns=_NAMES)
    rows = rows[[name for name in _NAMES.values() if name in rows]]
    sessions = pd.DatetimeIndex(history.index).tz_localize(None).normalize().astype("datetime64[s]")
    rows = rows.assign(session=sessions, split_ratio=1.0)
    answer, zone = series(exchange.result), exchange.meta.time_zone
    return pd.concat([_on_their_days(rows, answer, zone), _contradicted(rows, answer, zone)], ignore_index=True)


def _on_their_days(rows: pd.DataFrame, answer: Series, zone: str) -> pd.DataFrame:
    """Return `rows` with each event on its own day or dropped: yfinance moves those whose session has no bar."""
    for name, kind, nothing in _EVENTS:
        if name in rows:
            there = rows["session"].isin(_local_days(answer.event_times(kind), zone))
            rows = rows.assign(**{name: rows[name].where(there, nothing)})
    return rows


def _contradicted(rows: pd.DataFrame, answer: Series, zone: str) -> pd.DataFrame:
    """Return the rows that yfinance dropped because their session already had one, with other prices.

    The last session is left out: while a day is young Yahoo lists it twice, and yfinance keeps the later row.
    """
    quote = answer.indicators.quote[0]
    given = pd.DataFrame({name: getattr(quote, name) for name in (*PRICES, "volume")}).astype(float)
    given = given.assign(session=_local_days(answer.timestamp, zone))
    given = given.sort_values("session", kind="stable")
    twice = given[given.duplicated("session", keep=False) & (given["session"] < given["session"].max())]
    kept = rows[["session", *PRICES]].drop_duplicates()
    both = twice.merge(kept, how="left", on=["session", *PRICES], indicator=True)
    dropped: pd.DataFrame = both[both["_merge"] == "left_only"].drop(columns="_merge")
    return dropped.assign(dividend=0.0, split_ratio=1.0, listed_split=1.0)


def _local_days(stamps: list[int], zone: str) -> pd.DatetimeIndex:
    """Return the local days of a time zone for timestamps in seconds."""
    local = pd.to_datetime(stamps, unit="s", utc=True).tz_convert(zone)
    local = local.tz_localize(None)
    late = (local.minute == 0) & (local.hour >= 22)  # midnight under an old daylight-saving rule
    days = (local + pd.to_timedelta(late * 2, unit="h")).normalize()
    return pd.DatetimeIndex(days.astype("datetime64[s]"))


def without_padding(rows: pd.DataFrame, sessions: Sessions) -> pd.DataFrame:
    """Return `rows` without those that have no price and are not on a session: Yahoo pads some holidays with nulls."""
    empty = rows[PRICES].isna().all(axis=1)
    off = [not sessions.is_session(stamp.date()) for stamp in rows.loc[empty, "session"]]
    return rows.drop(index=rows.index[empty][off])
