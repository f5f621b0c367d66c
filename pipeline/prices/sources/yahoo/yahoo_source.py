"""Yahoo Finance as a source, through yfinance: daily bars of one symbol after another, and errors that say what failed.

yfinance reports most outages as "possibly delisted", keeps bad answers, and takes the running day for a bar. So the
last exchange on the wire decides what an error means, each question starts from an empty memory, and only complete
sessions pass. Prices are split-adjusted, as Yahoo has them, and never adjusted for dividends.
"""

import time
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSetting, BadSymbol, BadUpstream, NoData, UnknownSymbol, one_line
from pipeline.market.calendars import FIRST_DAY
from pipeline.market.spellings import suggestion
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import as_bars
from pipeline.prices.sources import Basis
from pipeline.prices.sources.retry import Failed, RetryBudget
from pipeline.prices.sources.yahoo.yahoo_client import (
    CHART_PATH,
    checked,
    open_session,
    transport_failure,
    unusable,
    utc_now,
    yfinance,
)
from pipeline.prices.sources.yahoo.yahoo_rows import rows_of, without_padding

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange, YahooSession

# No calendar goes further back, and earlier bars could not be checked for gaps.
_BEGINNING = date.fromisoformat(FIRST_DAY)


class YahooSource:
    """Daily bars from Yahoo Finance. All requests of one source object share one retry budget.

    One at a time in a process: yfinance has a single client, cache and set of cookies, whatever asks.
    """

    name = "yahoo"
    live = True
    overlap: int | None = 10

    def __init__(
        self,
        settings: Settings,
        *,
        session: "YahooSession | None" = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        retry: RetryBudget | None = None,
    ) -> None:
        self.settings = settings
        self.retry = retry or RetryBudget(sleep=sleep)
        self._clock = clock
        self._session = session

    def symbols(self) -> tuple[str, ...]:
        """Raise BadSetting: Yahoo has no list of symbols to choose from."""
        raise BadSetting("the source `yahoo` needs PIPELINE_SYMBOLS (or --symbols), such as AAPL,MSFT,BP.L,^GSPC")

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for what cannot be a symbol of Yahoo; whether Yahoo has it is only known after a request."""
        for symbol in symbols:
            checked(symbol)

    def first_session(self) -> date | None:
        """Return None: each symbol begins when it was first listed."""
        return None

    def last_session(self) -> date | None:
        """Return None: it continues."""
        return None

    def basis(self, symbol: str) -> Basis:  # noqa: ARG002 - it is the same for all
        """Return `split_adjusted`: Yahoo divides past prices, volumes and dividends by each new split."""
        return "split_adjusted"

    def description(self, last: date | None = None) -> str:  # noqa: ARG002  it never changes
        """Return how the prices are interpreted."""
        return "Yahoo, split-adjusted prices, dividends and splits as listed"

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` (or 1990) to `last`, none of a session that is not complete.

        Prices may be NaN, sessions may be missing, and two rows may share one: `quality` checks that. Notes,
        in `attrs`, name the symbols whose currency is not what is usual in their market.
        Raises BadSymbol before the first request; then, for the first symbol that fails, UnknownSymbol, NoData,
        RateLimited or BadUpstream.
        """
        names = [checked(symbol) for symbol in symbols]
        if not names:
            raise BadSymbol("no symbol to ask Yahoo for: set PIPELINE_SYMBOLS")
        parts = {name: self._bars_of(name, last, first or _BEGINNING) for name in names}
        bars = as_bars(pd.concat(parts.values(), ignore_index=True))
        units = {name: str(part["currency"].iloc[0]) for name, part in parts.items()}
        bars.attrs["notes"] = [note for name, unit in units.items() if (note := self._odd_currency(name, unit))]
        return bars

    def _odd_currency(self, symbol: str, currency: str) -> Note | None:
        """Return a note on an unusual currency: a dollar fund in London, or pence and pounds swapped."""
        usual = self.settings.clock.market_of(symbol).currency
        if not usual or currency == usual:
            return None
        return Note(symbol=symbol, rule="currency", detail=f"its prices are in {currency}, not in {usual}")

    def _bars_of(self, symbol: str, last: date, first: date) -> pd.DataFrame:
        sessions = self.settings.clock.sessions_of(symbol)
        last = min(last, sessions.last_complete(self._clock()))
        if last < first:
            raise NoData(f"{symbol} has no complete session since {first}: the last one of its market is {last}")
        rows = self.retry.call(lambda: self._ask(symbol, first, last))
        rows = rows[rows["session"].between(pd.Timestamp(first), pd.Timestamp(last))]
        rows = without_padding(rows, sessions)
        if rows.empty:
            raise NoData(_nothing(symbol, first, last))
        return rows.assign(symbol=symbol)

    def _ask(self, symbol: str, first: date, last: date) -> pd.DataFrame:
        """Return one symbol's rows from one request; raises Failed, UnknownSymbol or NoData."""
        yf = yfinance(self.settings)
        session = self._open_session()
        yf.data.YfData.cache_get.cache_clear()  # otherwise a bad answer about past days is repeated without a request
        session.watch(CHART_PATH)
        try:
            rows = rows_of(_history(yf, session, symbol, first, last), session.last)
        except Exception as error:  # yfinance lets any error of its parts pass: KeyError, CurlError, …
            raise _verdict(symbol, first, last, session.last, error) from error
        if misfit := _misfit(symbol, session.last):
            raise Failed(BadUpstream(misfit))
        return rows.assign(currency=session.last.meta.currency)

    def _open_session(self) -> "YahooSession":
        self._session = self._session or open_session(self.settings)
        return self._session


def _history(yf: Any, session: "YahooSession", symbol: str, first: date, last: date) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about twenty deprecations per call, none of them ours
        history: pd.DataFrame = yf.Ticker(symbol, session=session).history(
            start=first,
            end=last + timedelta(days=1),  # exclusive
            interval="1d",
            # Defaults have changed before, so each is explicit.
            auto_adjust=False,
            back_adjust=False,
            actions=True,
            repair=False,
            keepna=True,
            rounding=False,
            prepost=False,
            timeout=session.limit,
        )
    return history


def _verdict(symbol: str, first: date, last: date, exchange: "Exchange", error: Exception) -> Exception:
    """Return the error for a failure, from the last exchange of the session: Failed if a retry may help."""
    if failure := transport_failure(symbol, exchange, error):
        return failure
    code, description = exchange.complaint
    if exchange.status < 500 and (code or description):  # a failing server is not trusted about what exists
        return _complaint(symbol, first, last, exchange, code, description)
    if exchange.status == 200 and exchange.meta.given:
        if misfit := _misfit(symbol, exchange):
            return Failed(BadUpstream(misfit))
        if not exchange.result.get("timestamp"):
            return NoData(_nothing(symbol, first, last))
    return unusable(symbol, exchange, error)


def _complaint(symbol: str, first: date, last: date, exchange: "Exchange", code: str, description: str) -> Exception:
    if "doesn't exist for startDate" in description:  # the symbol is known, and the days are outside its listing
        return NoData(_nothing(symbol, first, last))
    if code == "Not Found":
        reason = one_line(description or code).rstrip(".")
        return UnknownSymbol(f"Yahoo does not know {symbol}, or no longer: {reason}{suggestion(symbol)}")
    complaint = f"{symbol}: Yahoo answers {exchange.status}, {code}: {one_line(description)}; try later"
    return Failed(BadUpstream(complaint), exchange.retry_after)


def _misfit(symbol: str, exchange: "Exchange") -> str:
    """Return what is wrong with an answer about another symbol or interval, or without zone or currency; else ""."""
    meta = exchange.meta
    if meta.symbol != symbol:
        return f"asked Yahoo for {symbol}, and was answered with {meta.symbol!r}"
    if meta.granularity != "1d":  # very long ranges have been answered by month
        return f"{symbol}: asked Yahoo for days, and was answered by {meta.granularity!r}"
    if not meta.currency:
        return f"{symbol}: Yahoo does not say in which currency its prices are"
    if not meta.time_zone:
        return f"{symbol}: Yahoo does not say in which time zone it is traded"
    return ""


def _nothing(symbol: str, first: date, last: date) -> str:
    return f"Yahoo knows {symbol} and has no bar of it from {first} to {last}"
