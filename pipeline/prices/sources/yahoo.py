"""Yahoo Finance as a source, through yfinance: daily bars of one symbol after another, and errors that say what failed.

yfinance reports most outages as "possibly delisted", keeps bad answers, and takes the running day for a bar. So the
last exchange on the wire decides what an error means, each question starts from an empty memory, and only complete
sessions pass. Prices are split-adjusted, as Yahoo has them, and never adjusted for dividends.
"""

import logging
import re
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSetting, BadSymbol, BadUpstream, NoData, RateLimited, UnknownSymbol
from pipeline.prices.frames import PRICES, as_bars
from pipeline.prices.sources import Basis
from pipeline.prices.sources.patience import Failed, Patience
from pipeline.sessions import FIRST_DAY, Sessions
from pipeline.symbols import parse_symbol

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo_wire import Exchange, Wire

# No calendar goes further back, and what no calendar knows cannot be checked for gaps.
_BEGINNING = date.fromisoformat(FIRST_DAY)
# yfinance takes these for an ISIN, searches for it, and goes on with whatever symbol it finds.
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
# 999 is what Yahoo's front servers answer to clients that ask too much.
_TOO_MANY = (429, 999)
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


def _utc_now() -> datetime:
    return datetime.now(UTC)


class YahooSource:
    """Daily bars from Yahoo Finance. One budget of patience for all that one source object asks."""

    name = "yahoo"
    live = True
    overlap: int | None = 10

    def __init__(
        self,
        settings: Settings,
        *,
        session: "Wire | None" = None,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        patience: Patience | None = None,
    ) -> None:
        self.settings = settings
        self.patience = patience or Patience(sleep=sleep)
        self._clock = clock
        self._wire = session

    def symbols(self) -> tuple[str, ...]:
        """Raise BadSetting: Yahoo has no list of symbols to choose from."""
        raise BadSetting("the source `yahoo` needs PIPELINE_SYMBOLS (or --symbols), such as AAPL,MSFT,BP.L,^GSPC")

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for what cannot be a symbol of Yahoo's; whether Yahoo has one is known once it is asked."""
        for symbol in symbols:
            _checked(symbol)

    def first_session(self) -> date | None:
        """Return None: each symbol begins when it was first listed."""
        return None

    def last_session(self) -> date | None:
        """Return None: it goes on."""
        return None

    def basis(self, symbol: str) -> Basis:  # noqa: ARG002 - it is the same for all
        """Return `split_adjusted`: Yahoo divides past prices, volumes and dividends by each new split."""
        return "split_adjusted"

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` (or 1990) to `last`, none of a session that is not complete.

        Prices may be NaN, sessions may be missing, and two rows may share one: that is for `quality` to judge.
        Raises BadSymbol before anything is asked; then, for the first symbol that fails, UnknownSymbol, NoData,
        RateLimited or BadUpstream.
        """
        names = [_checked(symbol) for symbol in symbols]
        if not names:
            raise BadSymbol("no symbol to ask Yahoo for: set PIPELINE_SYMBOLS")
        parts = [self._bars_of(name, last, first or _BEGINNING) for name in names]
        return as_bars(pd.concat(parts, ignore_index=True))

    def _bars_of(self, symbol: str, last: date, first: date) -> pd.DataFrame:
        sessions = self.settings.sessions_of(symbol)
        last = min(last, sessions.last_complete(self._clock()))
        if last < first:
            raise NoData(f"{symbol} has no complete session since {first}: the last one of its market is {last}")
        history, exchange = self.patience.keep(lambda: self._ask(symbol, first, last))
        rows = _without_padding(_rows(history, exchange), sessions)
        rows = rows[rows["session"].between(pd.Timestamp(first), pd.Timestamp(last))]
        if rows.empty:
            raise NoData(_nothing(symbol, first, last))
        return rows.assign(symbol=symbol, currency=exchange.meta["currency"])

    def _ask(self, symbol: str, first: date, last: date) -> "tuple[pd.DataFrame, Exchange]":
        """Return yfinance's table of one symbol and the exchange it came from; raises Failed, UnknownSymbol, NoData."""
        yf = _yfinance(self.settings)
        wire = self._open_wire()
        yf.data.YfData.cache_get.cache_clear()  # else a bad answer about past days is given again, without asking
        wire.forget()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some twenty deprecations a call, none of them ours
                history = yf.Ticker(symbol, session=wire).history(
                    start=first,
                    end=last + timedelta(days=1),  # exclusive
                    interval="1d",
                    # Each default here has changed at least once.
                    auto_adjust=False,
                    back_adjust=False,
                    actions=True,
                    repair=False,
                    keepna=True,
                    rounding=False,
                    prepost=False,
                    timeout=wire.limit,
                )
        except Exception as error:  # yfinance raises whatever its parts raise: KeyError, CurlError, …
            raise _verdict(symbol, first, last, wire.last, error) from error
        if wire.last is None:
            raise Failed(BadUpstream(f"{symbol}: yfinance answered without asking Yahoo"))
        if misfit := _misfit(symbol, wire.last):
            raise Failed(BadUpstream(misfit))
        return history, wire.last

    def _open_wire(self) -> "Wire":
        if self._wire is None:
            from pipeline.prices.sources.yahoo_wire import Wire

            self._wire = Wire(self.settings.yahoo_url)
        return self._wire


def _checked(text: str) -> str:
    symbol = parse_symbol(text)
    if _ISIN.fullmatch(symbol):
        raise BadSymbol(f"{symbol} is an ISIN, and one ISIN has many listings: use Yahoo's symbol of the one you mean")
    return symbol


def _verdict(symbol: str, first: date, last: date, exchange: "Exchange | None", error: Exception) -> Exception:
    """Return what a failure means, by the last exchange on the wire: Failed where asking again may help."""
    if exchange is None:
        return Failed(BadUpstream(f"{symbol}: Yahoo was not reached ({_named(error)}); try later"))
    if exchange.failure:
        return Failed(BadUpstream(f"{symbol}: no answer from Yahoo ({exchange.failure}); try later"))
    if exchange.status in _TOO_MANY:
        too_many = f"{symbol}: Yahoo answers {exchange.status}, too many requests"
        return Failed(RateLimited(too_many), exchange.retry_after)
    code, description = exchange.complaint
    if exchange.status < 500 and (code or description):
        return _complaint(symbol, first, last, exchange, code, description)
    if exchange.status == 200 and exchange.meta and not exchange.result.get("timestamp"):
        misfit = _misfit(symbol, exchange)
        return Failed(BadUpstream(misfit)) if misfit else NoData(_nothing(symbol, first, last))
    return Failed(
        BadUpstream(f"{symbol}: Yahoo's answer makes no sense (status {exchange.status}, {_named(error)}); try later"),
        exchange.retry_after,
    )


def _complaint(symbol: str, first: date, last: date, exchange: "Exchange", code: str, description: str) -> Exception:
    if "doesn't exist for startDate" in description:  # it knows the symbol, and the days lie outside its listing
        return NoData(_nothing(symbol, first, last))
    if exchange.status == 404 and code == "Not Found":
        return UnknownSymbol(f"Yahoo does not know {symbol}, or no longer: {description or code}")
    complaint = f"{symbol}: Yahoo answers {exchange.status}, {code}: {description}"
    return Failed(BadUpstream(complaint), exchange.retry_after)


def _misfit(symbol: str, exchange: "Exchange") -> str:
    """Return what is wrong with an answer that is not about the symbol, by the day, in a named currency; else ""."""
    meta = exchange.meta
    if meta.get("symbol") != symbol:
        return f"asked Yahoo for {symbol}, and was answered with {meta.get('symbol')!r}"
    if meta.get("dataGranularity", "1d") != "1d":  # very long ranges have come back by the month
        return f"{symbol}: asked Yahoo for days, and was answered by {meta['dataGranularity']!r}"
    if not isinstance(meta.get("currency"), str) or not meta["currency"]:
        return f"{symbol}: Yahoo does not say in which currency its prices are"
    return ""


def _nothing(symbol: str, first: date, last: date) -> str:
    return f"Yahoo knows {symbol} and has no bar of it from {first} to {last}"


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def _rows(history: pd.DataFrame, exchange: "Exchange") -> pd.DataFrame:
    """Return yfinance's table with the columns of `frames`: the session is the date where the exchange stands."""
    rows = history.rename(columns=_NAMES)
    rows = rows[[name for name in _NAMES.values() if name in rows]]
    sessions = pd.DatetimeIndex(history.index).tz_localize(None).normalize().astype("datetime64[s]")
    listed = rows["listed_split"]
    rows = rows.assign(session=sessions, split_ratio=1.0, listed_split=listed.where(listed > 0, 1.0))
    return pd.concat([rows, _contradicted(rows, exchange)], ignore_index=True)


def _contradicted(rows: pd.DataFrame, exchange: "Exchange") -> pd.DataFrame:
    """Return the rows that yfinance dropped because their session had one already, with other prices.

    The last session is left out: while a day is young Yahoo lists it twice, and yfinance keeps the later row.
    """
    quote = exchange.result["indicators"]["quote"][0]
    stamps = pd.to_datetime(pd.Series(exchange.result["timestamp"]), unit="s", utc=True)
    local = stamps.dt.tz_convert(exchange.meta["exchangeTimezoneName"]).dt.tz_localize(None)
    given = pd.DataFrame({name: quote[name] for name in (*PRICES, "volume")}).astype(float)
    given = given.assign(session=local.dt.normalize().astype("datetime64[s]")).sort_values("session", kind="stable")
    twice = given[given.duplicated("session", keep=False) & (given["session"] < given["session"].max())]
    kept = rows[["session", *PRICES]].drop_duplicates()
    both = twice.merge(kept, how="left", on=["session", *PRICES], indicator=True)
    dropped: pd.DataFrame = both[both["_merge"] == "left_only"].drop(columns="_merge")
    return dropped.assign(dividend=0.0, split_ratio=1.0, listed_split=1.0)


def _without_padding(rows: pd.DataFrame, sessions: Sessions) -> pd.DataFrame:
    """Return `rows` without those that have no price and fall on no session: Yahoo pads some holidays with nulls."""
    empty = rows[PRICES].isna().all(axis=1)
    off = [not sessions.is_session(stamp.date()) for stamp in rows.loc[empty, "session"]]
    return rows.drop(index=rows.index[empty][off])


def _yfinance(settings: Settings) -> Any:
    """Return yfinance, set up to raise what it meets, to say nothing, and to write where no other process does."""
    from pipeline.prices.sources.yahoo_wire import own_cache

    folder = own_cache(settings.home)  # before the import: at exit it is removed after yfinance has closed its files
    import yfinance as yf

    if yf.cache._TzDBManager.get_location() != str(folder):
        yf.set_tz_cache_location(str(folder))
    yf.config.debug.hide_exceptions = False
    yf.config.network.retries = 0  # one budget, ours
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    return yf
