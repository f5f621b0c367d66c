"""Requests for events: what Yahoo is asked, with the client, the session and the retry budget of prices.

yfinance sends each request. What it makes of an answer is not used: it raises where one row is odd, and it has no place
for what tells a complete answer from a part of one. The callers read the exchange itself.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.config import Settings
from pipeline.errors import BadUpstream, NoData, RateLimited, SourceError, UnknownSymbol, one_line
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

T = TypeVar("T")
Reader = Callable[["Exchange"], T]  # raises SourceError for an answer that it cannot read

CALENDAR_ROWS = 100  # of one answer: Yahoo gives no more
CALENDAR_SYMBOLS = 50  # in one question: each has a report or two in the weeks that are asked for
DATES_ROWS = 100
QUOTES_SYMBOLS = 100
# After so many requests in a row that failed with all their retries, no more are sent.
_MOST_FAILURES = 3


class NotRequested(SourceError):
    """A request that is not sent, because those before it failed."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is asked: the call of yfinance that sends it, and what tells its answer from another page."""

    subject: str
    path: str
    send: Callable[[Any, "YahooSession"], object]
    of_symbol: bool = False
    as_page: bool = False


class EventRequests:
    """The requests of one answer. They stop after a rate limit, and after several failures in a row."""

    def __init__(self, settings: Settings, retry: RetryBudget, session: "YahooSession | None" = None) -> None:
        self.settings = settings
        self.retry = retry
        self._session = session
        self._failures = 0

    def calendar(self, first: date, end: date, read: Reader[T], *, offset: int = 0, symbols: Sequence[str] = ()) -> T:
        """Read a page of the US calendar of reports from the start of `first` to the start of `end`, in UTC.

        Given `symbols`, only theirs: the first page, because Yahoo does not turn the pages of such a question.
        """

        def send(yf: Any, session: "YahooSession") -> object:
            calendars = yf.Calendars(first, end, session=session)
            named = [yf.calendars.CalendarQuery("eq", ["ticker", symbol]) for symbol in symbols]
            # yfinance limits the calendar in the same way to the symbols that are traded most.
            calendars._most_active_qy = named[0] if len(named) == 1 else yf.calendars.CalendarQuery("or", named)
            return calendars.get_earnings_calendar(
                filter_most_active=bool(named), start=first, end=end, limit=CALENDAR_ROWS, offset=offset, force=True
            )

        return self._read(_Question(subject="the calendar of reports", path=CALENDAR_PATH, send=send), read)

    def quotes(self, symbols: tuple[str, ...], read: Reader[T]) -> T:
        """Read the quotes of at most `QUOTES_SYMBOLS` symbols, which state the last and the next report."""

        def send(yf: Any, session: "YahooSession") -> object:
            query = {"symbols": ",".join(symbols), "formatted": "false", "lang": "en-US", "region": "US"}
            return yf.data.YfData(session=session).get_raw_json(yf.const._QUERY1_URL_ + QUOTES_PATH, params=query)

        return self._read(_Question(subject="the dates of the next reports", path=QUOTES_PATH, send=send), read)

    def dates(self, symbol: str, read: Reader[T]) -> T:
        """Read the page of a symbol's last `DATES_ROWS` dates of reports. Raises UnknownSymbol."""

        def send(yf: Any, session: "YahooSession") -> object:
            return yf.Ticker(symbol, session=session).get_earnings_dates(limit=DATES_ROWS)

        return self._read(_Question(subject=symbol, path=DATES_PATH, send=send, of_symbol=True, as_page=True), read)

    def summary(self, symbol: str, read: Reader[T]) -> T:
        """Read the summary of a symbol with its next or last ex-dividend date. Raises UnknownSymbol."""

        def send(yf: Any, session: "YahooSession") -> object:
            return yf.Ticker(symbol, session=session).calendar

        return self._read(_Question(subject=symbol, path=SUMMARY_PATH, send=send, of_symbol=True), read)

    def _read(self, question: _Question, read: Reader[T]) -> T:
        """Return what `read` makes of the answer, which is requested again while the budget lasts.

        Raises SourceError, also from `read`, or UnknownSymbol.
        """
        if self._failures >= _MOST_FAILURES:
            raise NotRequested(f"{question.subject}: not requested, since the requests before it failed")
        try:
            found = read(self.retry.call(lambda: self._once(question)))
        except NoData:
            raise
        except SourceError as error:
            self._failures = _MOST_FAILURES if isinstance(error, RateLimited) else self._failures + 1
            raise
        self._failures = 0
        return found

    def _once(self, question: _Question) -> "Exchange":
        yf = yfinance(self.settings)
        self._session = session = self._session or open_session(self.settings)
        yf.data.YfData.cache_get.cache_clear()  # otherwise a bad answer is repeated without a request
        session.watch(question.path)
        error: Exception = ValueError("not in the form that was expected")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                question.send(yf, session)
        except Exception as failure:  # noqa: BLE001  of the request, or of yfinance's own reading: `last` tells
            error = failure
        if failed := _failure(question, session.last, error):
            raise failed from error
        return session.last


def _failure(question: _Question, exchange: "Exchange", error: Exception) -> Exception | None:
    """Return the error of an exchange that is not an answer: Failed if a retry may help."""
    subject = question.subject
    if failure := transport_failure(subject, exchange, error):
        return failure
    code, description = exchange.complaint
    reason = one_line(description or code).rstrip(".")
    if question.of_symbol and (exchange.status == 404 or (exchange.status < 500 and code == "Not Found")):
        return UnknownSymbol(f"Yahoo does not know {subject}, or no longer" + (f": {reason}" if reason else ""))
    if exchange.status < 500 and reason:  # a failing server is not trusted about reasons
        return Failed(BadUpstream(f"{subject}: Yahoo answers {exchange.status}, {reason}"), exchange.retry_after)
    whole = "</html" in exchange.text.lower() if question.as_page else bool(exchange.envelope)
    if exchange.status != 200 or not whole:
        return unusable(subject, exchange, error)
    return None
