"""What all requests to Yahoo share: the client, its session, and the meaning of failures that concern no data."""

import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.config import Settings
from pipeline.errors import BadSetting, BadSymbol, BadUpstream, RateLimited, cause_of
from pipeline.market.spellings import suggestion, yahoo_spelling
from pipeline.market.symbols import parse_symbol
from pipeline.prices.sources.retry import Failed

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange, YahooSession

# Where yfinance asks for what; see `YahooSession.watch`.
CHART_PATH = "/v8/finance/chart/"  # prices of one symbol
CALENDAR_PATH = "/v1/finance/visualization"  # the market-wide calendar of reports
QUOTES_PATH = "/v7/finance/quote"  # the next report of many symbols
SUMMARY_PATH = "/v10/finance/quoteSummary/"  # the next dividend of one symbol
DATES_PATH = "/calendar/earnings"  # past reports of one symbol, as a page
# yfinance treats these as an ISIN, searches for it, and uses any symbol that it finds.
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
# 999 is the status of Yahoo's front servers for clients that send too many requests.
_TOO_MANY = (429, 999)


def utc_now() -> datetime:
    """Return the present moment: the default clock of a source."""
    return datetime.now(UTC)


def open_session(settings: Settings) -> "YahooSession":
    """Return a session for Yahoo, or for the address in its place. Raises BadSetting for one that is not HTTP."""
    from pipeline.prices.sources.yahoo.session import YahooSession

    url = settings.yahoo_url
    if url and not url.startswith(("http://", "https://")):
        raise BadSetting(f"PIPELINE_YAHOO_URL={url!r}: an address begins with http:// or https://")
    return YahooSession(url)


def checked(text: str) -> str:
    """Return a symbol as Yahoo spells it. Raises BadSymbol for what cannot be one."""
    symbol = parse_symbol(text)
    if _ISIN.fullmatch(symbol):
        raise BadSymbol(f"{symbol} is an ISIN, and one ISIN has many listings: use Yahoo's symbol of the one you mean")
    if "." in symbol and yahoo_spelling(symbol):  # a suffix that is none of Yahoo's: BRK.B, AAPL.US
        raise BadSymbol(f"Yahoo has no symbol {symbol}{suggestion(symbol)}")
    return symbol


def transport_failure(subject: str, exchange: "Exchange", error: Exception) -> Exception | None:
    """Return the error where there is no answer: a foreign redirect, no connection, too many requests; else None."""
    if exchange.redirect:
        return BadUpstream(
            f"{subject}: the answer is a redirect to {exchange.redirect}, which is not followed: prices and "
            "events are taken from one host only; check PIPELINE_YAHOO_URL"
        )
    if exchange.failure:
        words = _named(error)
        cause = words if words.startswith(exchange.failure) else f"{exchange.failure}: {words}"
        return Failed(BadUpstream(f"{subject}: no answer from Yahoo ({cause}); {_remedy(cause)}"))
    if exchange.status in _TOO_MANY:
        too_many = f"{subject}: Yahoo answers {exchange.status}, too many requests"
        return Failed(RateLimited(too_many), exchange.retry_after)
    return None


def unusable(subject: str, exchange: "Exchange", error: Exception) -> Failed:
    """Return the error of an answer that is not what was requested: HTML, truncated JSON, a failing server."""
    text = f"{subject}: Yahoo's answer cannot be used (status {exchange.status}, {_named(error)}); try later"
    return Failed(BadUpstream(text), exchange.retry_after)


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


def yfinance(settings: Settings) -> Any:
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
