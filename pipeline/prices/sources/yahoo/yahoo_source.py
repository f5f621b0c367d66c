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
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSetting, BadSymbol, BadUpstream, NoData, RateLimited, UnknownSymbol, cause_of, one_line
from pipeline.market.calendars import FIRST_DAY
from pipeline.market.spellings import suggestion, yahoo_spelling
from pipeline.market.symbols import parse_symbol
from pipeline.prices.audit_types import Note
from pipeline.prices.bars import as_bars
from pipeline.prices.sources import Basis
from pipeline.prices.sources.retry import Failed, RetryBudget
from pipeline.prices.sources.yahoo.yahoo_rows import rows_of, without_padding

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange, YahooSession

# No calendar goes further back, and earlier bars could not be checked for gaps.
_BEGINNING = date.fromisoformat(FIRST_DAY)
# yfinance treats these as an ISIN, searches for it, and uses any symbol that it finds.
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
# 999 is the status of Yahoo's front servers for clients that send too many requests.
_TOO_MANY = (429, 999)


def _utc_now() -> datetime:
    return datetime.now(UTC)


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
        clock: Callable[[], datetime] = _utc_now,
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
            _checked(symbol)

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
        names = [_checked(symbol) for symbol in symbols]
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
        yf = _yfinance(self.settings)
        session = self._open_session()
        yf.data.YfData.cache_get.cache_clear()  # otherwise a bad answer about past days is repeated without a request
        session.forget()
        try:
            rows = rows_of(_history(yf, session, symbol, first, last), session.last)
        except Exception as error:  # yfinance lets any error of its parts pass: KeyError, CurlError, …
            raise _verdict(symbol, first, last, session.last, error) from error
        if misfit := _misfit(symbol, session.last):
            raise Failed(BadUpstream(misfit))
        return rows.assign(currency=session.last.meta.currency)

    def _open_session(self) -> "YahooSession":
        if self._session is None:
            from pipeline.prices.sources.yahoo.session import YahooSession

            url = self.settings.yahoo_url
            if url and not url.startswith(("http://", "https://")):
                raise BadSetting(f"PIPELINE_YAHOO_URL={url!r}: an address begins with http:// or https://")
            self._session = YahooSession(url)
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


def _checked(text: str) -> str:
    symbol = parse_symbol(text)
    if _ISIN.fullmatch(symbol):
        raise BadSymbol(f"{symbol} is an ISIN, and one ISIN has many listings: use Yahoo's symbol of the one you mean")
    if "." in symbol and yahoo_spelling(symbol):  # a suffix that is none of Yahoo's: BRK.B, AAPL.US
        raise BadSymbol(f"Yahoo has no symbol {symbol}{suggestion(symbol)}")
    return symbol


def _verdict(symbol: str, first: date, last: date, exchange: "Exchange", error: Exception) -> Exception:
    """Return the error for a failure, from the last exchange of the session: Failed if a retry may help."""
    if exchange.redirect:
        return BadUpstream(
            f"{symbol}: the answer is a redirect to {exchange.redirect}, which is not followed: prices are taken from "
            "one host only; check PIPELINE_YAHOO_URL"
        )
    if exchange.failure:
        words = _named(error)
        cause = words if words.startswith(exchange.failure) else f"{exchange.failure}: {words}"
        return Failed(BadUpstream(f"{symbol}: no answer from Yahoo ({cause}); {_remedy(cause)}"))
    if exchange.status in _TOO_MANY:
        too_many = f"{symbol}: Yahoo answers {exchange.status}, too many requests"
        return Failed(RateLimited(too_many), exchange.retry_after)
    code, description = exchange.complaint
    if exchange.status < 500 and (code or description):  # a failing server is not trusted about what exists
        return _complaint(symbol, first, last, exchange, code, description)
    if exchange.status == 200 and exchange.meta.given:
        if misfit := _misfit(symbol, exchange):
            return Failed(BadUpstream(misfit))
        if not exchange.result.get("timestamp"):
            return NoData(_nothing(symbol, first, last))
    unusable = f"{symbol}: Yahoo's answer cannot be used (status {exchange.status}, {_named(error)}); try later"
    return Failed(BadUpstream(unusable), exchange.retry_after)


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


def _named(error: Exception) -> str:
    words = cause_of(error)
    return words if words.startswith(type(error).__name__) else f"{type(error).__name__}: {words}"


_REMEDIES = (
    (r"dns|resolve", "check this machine's name resolution and network, or the host in PIPELINE_YAHOO_URL"),
    (r"certificate|ssl|tls", "check this machine's clock and certificates, or what intercepts its connections"),
    (r"proxy", "check the proxy that HTTPS_PROXY names"),
    (r"refused|could not connect|unreachable|no route", "check the network, a firewall and PIPELINE_YAHOO_URL"),
)


def _remedy(cause: str) -> str:
    return next((then for pattern, then in _REMEDIES if re.search(pattern, cause, re.IGNORECASE)), "try later")


def _yfinance(settings: Settings) -> Any:
    """Return yfinance, configured to raise errors, to print nothing, and to write to a folder of this process."""
    from pipeline.prices.sources.yahoo.session import own_cache

    folder = own_cache(settings.home)  # before the import: at exit it goes after yfinance has closed its files
    import yfinance as yf

    yf.config.debug.hide_exceptions = False
    yf.config.network.retries = 0  # the retry budget is ours
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    _write_to(str(folder))
    return yf


@lru_cache(maxsize=1)
def _write_to(folder: str) -> None:
    import yfinance as yf

    yf.set_tz_cache_location(folder)
    # Caches that are open already, in a fork of a process that used yfinance, would stay in the old folder.
    yf.cache._TzCacheManager._tz_cache = None
    yf.cache._CookieCacheManager._Cookie_cache = None
