"""What the server on loopback knows: listings, and their bars made from the sample's real prices."""

from dataclasses import dataclass, field
from datetime import date, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from pipeline.market.sessions import Sessions
from pipeline.prices.adjustments import split_factor
from pipeline.prices.sources.sample import SampleSource

SAMPLE_END = date(2013, 3, 1)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One symbol: whose prices it borrows, and where it is traded."""

    sample: str
    calendar: str = "XNYS"
    zone: str = "America/New_York"
    opens: time = time(9, 30)
    currency: str = "USD"
    kind: str = "EQUITY"
    scale: float = 1.0


LISTINGS = {
    **{symbol: Listing(sample=symbol) for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT")},
    "BRK-B": Listing(sample="IBM"),
    "^GSPC": Listing(sample="IBM", kind="INDEX", scale=10),
    "VFINX": Listing(sample="IBM", kind="MUTUALFUND", opens=time(8, 0)),
    "7203.T": Listing(sample="IBM", calendar="XTKS", zone="Asia/Tokyo", opens=time(9, 0), currency="JPY", scale=20),
    "BP.L": Listing(sample="MSFT", calendar="XLON", zone="Europe/London", opens=time(8, 0), currency="GBp", scale=15),
    "AIR.NZ": Listing(  # opens on the evening before, by the clock of Greenwich
        sample="IBM", calendar="XNZE", zone="Pacific/Auckland", opens=time(10, 0), currency="NZD"
    ),
    "EURUSD=X": Listing(
        sample="MSFT", calendar="24/5", zone="Europe/London", opens=time(0, 0), kind="CURRENCY", scale=0.05
    ),
    "BTC-USD": Listing(sample="GOOG", calendar="24/7", zone="UTC", opens=time(0, 0), kind="CRYPTOCURRENCY", scale=100),
}


@dataclass(frozen=True)
class Chart:
    """A symbol's answer before it is cut to the days asked for. `bars` are on Yahoo's scale, one row a stamp."""

    meta: dict[str, Any]
    bars: pd.DataFrame  # stamp, open, high, low, close, volume, adjclose
    dividends: pd.DataFrame  # stamp, amount
    splits: pd.DataFrame  # stamp, ratio
    gains: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"stamp": [], "amount": []}))
    any_day: bool = False  # whatever days were asked for
    spelled: bool = False  # prices in words
    live: dict[str, Any] | None = None  # the running day's row: appended whatever was asked for

    @property
    def last_stamp(self) -> int:
        return int(self.bars["stamp"].max()) if len(self.bars) else 0

    def as_json(self, period1: int, period2: int | None) -> dict[str, Any]:
        until = period2 if period2 is not None else 2**62
        if self.any_day:
            period1, until = 0, 2**62
        bars = self.bars[self.bars["stamp"].between(period1, until - 1)]
        if self.live:
            bars = pd.concat([bars, pd.DataFrame([self.live])], ignore_index=True)
        result: dict[str, Any] = {"meta": self.meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
        if len(bars):
            result["timestamp"] = [int(stamp) for stamp in bars["stamp"]]
            names = ("open", "high", "low", "close", "volume")
            result["indicators"]["quote"] = [{name: _numbers(bars[name], whole=name == "volume") for name in names}]
            if self.spelled:
                result["indicators"]["quote"][0]["close"] = ["n/a"] * len(bars)
            result["indicators"]["adjclose"] = [{"adjclose": _numbers(bars["adjclose"])}]
        when = (period1, until)
        events = {
            "dividends": {str(stamp): {"amount": paid, "date": stamp} for stamp, paid in _cut(self.dividends, *when)},
            "capitalGains": {str(stamp): {"amount": paid, "date": stamp} for stamp, paid in _cut(self.gains, *when)},
            "splits": {str(stamp): _split(stamp, ratio) for stamp, ratio in _cut(self.splits, *when)},
        }
        if any(events.values()):
            result["events"] = {name: listed for name, listed in events.items() if listed}
        return {"chart": {"result": [result], "error": None}}


class Book:
    """The bars of all listings, the last of which falls on the session `ends` (default: where the sample ends)."""

    def __init__(self, ends: date | None = None) -> None:
        self.ends = ends or SAMPLE_END

    def chart(self, symbol: str, today: date) -> Chart:
        """Return a symbol's whole history as Yahoo has it after `today`."""
        return _chart(symbol, self.ends, today)

    def stamp(self, symbol: str, session: date) -> int:
        """Return the second at which a session of the symbol's exchange opens."""
        return _stamp(LISTINGS[symbol], session)

    def next_session(self, symbol: str, today: date) -> date:
        """Return the first session of the symbol's exchange after `today`."""
        sessions = Sessions(LISTINGS[symbol].calendar)
        return sessions.shift(sessions.at_or_before(today), 1)


def make_chart(symbol: str, listing: Listing, raw: pd.DataFrame) -> Chart:
    """Return the chart of raw bars: split-adjusted prices, dividends and volumes, and the adjusted close."""
    factor = split_factor(raw["split_ratio"].to_numpy(float)) * listing.scale
    volume = raw["volume"].to_numpy(float) / factor * listing.scale
    bars = pd.DataFrame({name: raw[name] * factor for name in ("open", "high", "low", "close")})
    dividend = raw["dividend"].to_numpy(float) * factor
    if listing.kind in ("CURRENCY", "CRYPTOCURRENCY", "INDEX"):
        dividend = np.zeros(len(raw))
    if listing.kind == "CURRENCY":
        volume = np.zeros(len(raw))
    stamps = np.array([_stamp(listing, session.date()) for session in raw["session"]], dtype=np.int64)
    bars = bars.assign(volume=volume, stamp=stamps).assign(adjclose=_adjusted(bars["close"].to_numpy(), dividend))
    split_ratio = raw["split_ratio"].to_numpy(float)
    gains = pd.DataFrame({"stamp": stamps[-30:-29], "amount": [0.75][: len(stamps[-30:-29])]})
    return Chart(
        meta=_meta(symbol, listing, stamps),
        bars=bars.reset_index(drop=True),
        dividends=pd.DataFrame({"stamp": stamps[dividend > 0], "amount": dividend[dividend > 0]}),
        splits=pd.DataFrame({"stamp": stamps[split_ratio != 1], "ratio": split_ratio[split_ratio != 1]}),
        gains=gains if listing.kind == "MUTUALFUND" else gains[:0],
    )


@lru_cache(maxsize=256)
def _chart(symbol: str, ends: date, today: date) -> Chart:
    raw = _traded(symbol, ends)
    return make_chart(symbol, LISTINGS[symbol], raw[raw["session"] <= pd.Timestamp(today)])


@lru_cache(maxsize=64)
def _traded(symbol: str, ends: date) -> pd.DataFrame:
    """Return the sample's raw bars on the calendar of the listing, the last one on `ends` or the session before."""
    listing = LISTINGS[symbol]
    bars = SampleSource().bars((listing.sample,), SAMPLE_END).reset_index(drop=True)
    if listing.calendar == "XNYS" and ends == SAMPLE_END:
        return bars
    sessions = Sessions(listing.calendar)
    days = sessions.between(date(1990, 1, 1), ends)[-len(bars) :]  # some calendars do not go back that far
    bars = bars.tail(len(days)).reset_index(drop=True)
    return bars.assign(session=pd.DatetimeIndex(days).astype("datetime64[s]"))


def _stamp(listing: Listing, session: date) -> int:
    return int(pd.Timestamp.combine(session, listing.opens).tz_localize(ZoneInfo(listing.zone)).timestamp())


def _adjusted(close: np.ndarray, dividend: np.ndarray) -> np.ndarray:
    """Return the close divided for the dividends after it: factor[t-1] = factor[t] · (1 − dividend[t] / close[t-1])."""
    step = np.ones(len(close))
    step[:-1] = 1 - dividend[1:] / close[:-1]
    return close * np.cumprod(step[::-1])[::-1]


def _meta(symbol: str, listing: Listing, stamps: np.ndarray) -> dict[str, Any]:
    return {
        "currency": listing.currency,
        "symbol": symbol,
        "instrumentType": listing.kind,
        "exchangeTimezoneName": listing.zone,
        "firstTradeDate": int(stamps[0]) if len(stamps) else None,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


def _numbers(column: pd.Series, *, whole: bool = False) -> list[float | int | None]:
    return [None if pd.isna(value) else (int(value) if whole else round(float(value), 6)) for value in column]


def _cut(events: pd.DataFrame, period1: int, until: int) -> list[tuple[int, float]]:
    rows = events[events["stamp"].between(period1, until - 1)]
    return [(int(stamp), float(value)) for stamp, value in rows.itertuples(index=False)]


def _split(stamp: int, ratio: float) -> dict[str, Any]:
    up, down = (ratio, 1.0) if ratio >= 1 else (1.0, 1 / ratio)
    return {"date": stamp, "numerator": up, "denominator": down, "splitRatio": f"{up:g}:{down:g}"}
