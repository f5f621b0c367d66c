"""Requests for events: what Yahoo is asked, with the client, the session and the retry budget of prices.

yfinance sends each request. What it makes of an answer is not used: it raises where one row is odd, and it has no place
for what tells a complete answer from a part of one. The callers read the exchange itself.
"""

import warnings
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.config import Settings
from pipeline.errors import BadUpstream, RateLimited, SourceError, UnknownSymbol, one_line
from pipeline.prices.sources.retry import Failed, RetryBudget
from pipeline.prices.sources.yahoo.yahoo_client import (
    CALENDAR_PATH,
    DATES_PATH,
    QUOTES_PATH,
    SUMMARY_PATH,
    open_session,
    transport_failure,
    unusable,
    yfinance,
)

if TYPE_CHECKING:
    from pipeline.prices.sources.yahoo.session import Exchange, YahooSession

CALENDAR_ROWS = 100  # of one answer: Yahoo gives no more
DATES_ROWS = 100
QUOTES_SYMBOLS = 100
# After so many requests in a row that failed with all their retries, no more are sent.
_MOST_FAILURES = 3


class NotRequested(SourceError):
    """A request that is not sent, because those before it failed."""


class EventRequests:
    """The requests of one answer. They stop after a rate limit, and after several failures in a row."""

    def __init__(self, settings: Settings, retry: RetryBudget, session: "YahooSession | None" = None) -> None:
        self.settings = settings
        self.retry = retry
        self._session = session
        self._failures = 0

    def calendar(self, first: date, end: date, offset: int) -> "Exchange":
        """Return a page of the US calendar of reports from the start of `first` to the start of `end`, in UTC."""

        def ask(yf: Any, session: "YahooSession") -> None:
            yf.Calendars(first, end, session=session).get_earnings_calendar(
                filter_most_active=False, start=first, end=end, limit=CALENDAR_ROWS, offset=offset, force=True
            )

        return self._sent("the calendar of reports", CALENDAR_PATH, ask, _is_json)

    def quotes(self, symbols: tuple[str, ...]) -> "Exchange":
        """Return the quotes of at most `QUOTES_SYMBOLS` symbols, which state the last and the next report."""

        def ask(yf: Any, session: "YahooSession") -> None:
            query = {"symbols": ",".join(symbols), "formatted": "false", "lang": "en-US", "region": "US"}
            yf.data.YfData(session=session).get_raw_json(yf.const._QUERY1_URL_ + QUOTES_PATH, params=query)

        return self._sent("the dates of the next reports", QUOTES_PATH, ask, _is_json)

    def dates(self, symbol: str) -> "Exchange":
        """Return the page of a symbol's last `DATES_ROWS` dates of reports. Raises UnknownSymbol."""

        def ask(yf: Any, session: "YahooSession") -> None:
            yf.Ticker(symbol, session=session).get_earnings_dates(limit=DATES_ROWS)

        return self._sent(symbol, DATES_PATH, ask, lambda exchange: "<" in exchange.text)

    def summary(self, symbol: str) -> "Exchange":
        """Return the summary of a symbol with its next or last ex-dividend date. Raises UnknownSymbol."""

        def ask(yf: Any, session: "YahooSession") -> None:
            _ = yf.Ticker(symbol, session=session).calendar

        return self._sent(symbol, SUMMARY_PATH, ask, _is_json)

    def _sent(
        self,
        subject: str,
        path: str,
        ask: Callable[[Any, "YahooSession"], None],
        is_readable: Callable[["Exchange"], bool],
    ) -> "Exchange":
        """Return the answer to a question, retried while the budget lasts; raises SourceError or UnknownSymbol."""
        if self._failures >= _MOST_FAILURES:
            raise NotRequested(f"{subject}: not requested, since the requests before it failed")
        try:
            exchange = self.retry.call(lambda: self._once(subject, path, ask, is_readable))
        except RateLimited:
            self._failures = _MOST_FAILURES
            raise
        except SourceError:
            self._failures += 1
            raise
        self._failures = 0
        return exchange

    def _once(
        self,
        subject: str,
        path: str,
        ask: Callable[[Any, "YahooSession"], None],
        is_readable: Callable[["Exchange"], bool],
    ) -> "Exchange":
        yf = yfinance(self.settings)
        self._session = session = self._session or open_session(self.settings)
        yf.data.YfData.cache_get.cache_clear()  # otherwise a bad answer is repeated without a request
        session.watch(path)
        error: Exception = ValueError("not in the form that was expected")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ask(yf, session)
        except Exception as failure:  # noqa: BLE001  of yfinance's own reading, or of the request: the exchange tells them apart
            error = failure
        exchange = session.last
        if failed := _failure(subject, exchange, error, is_readable(exchange)):
            raise failed from error
        return exchange


def _failure(subject: str, exchange: "Exchange", error: Exception, is_readable: bool) -> Exception | None:
    if failure := transport_failure(subject, exchange, error):
        return failure
    code, description = exchange.complaint
    reason = one_line(description or code).rstrip(".")
    if exchange.status == 404 and subject.isupper():
        return UnknownSymbol(f"Yahoo does not know {subject}, or no longer" + (f": {reason}" if reason else ""))
    if exchange.status < 500 and reason:  # a failing server is not trusted about reasons
        return Failed(BadUpstream(f"{subject}: Yahoo answers {exchange.status}, {reason}"), exchange.retry_after)
    if exchange.status != 200 or not is_readable:
        return unusable(subject, exchange, error)
    return None


def _is_json(exchange: "Exchange") -> bool:
    return bool(exchange.envelope)
