"""What the server on loopback answers about events, in the forms that yfinance reads: the calendar of reports, quotes,
a symbol's page of dates, and its summary.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

CALENDAR, QUOTES, SUMMARY, DATES = "calendar", "quotes", "summary", "dates"
PATHS = {
    "/v1/finance/visualization": CALENDAR,
    "/v7/finance/quote": QUOTES,
    "/v10/finance/quoteSummary/": SUMMARY,
    "/calendar/earnings": DATES,
}
COLUMNS = (
    ("ticker", "Symbol", "STRING"),
    ("companyshortname", "Company Name", "STRING"),
    ("intradaymarketcap", "Market Cap (Intraday)", "NUMBER"),
    ("eventname", "Event Name", "STRING"),
    ("startdatetime", "Event Start Date", "DATE"),
    ("startdatetimetype", "Event Start Date", "STRING"),
    ("epsestimate", "EPS Estimate", "NUMBER"),
    ("epsactual", "Reported EPS", "NUMBER"),
    ("epssurprisepct", "Surprise (%)", "NUMBER"),
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A row of the calendar."""

    symbol: str
    at: str  # ISO 8601, UTC
    timing: str = "TAS"
    actual: float | None = None


@dataclass(frozen=True, kw_only=True)
class AskedEvents:
    """One request for events: its kind, its symbols where it names some, and where its page begins."""

    kind: str
    symbols: tuple[str, ...] = ()
    offset: int = 0
    first: str = ""
    end: str = ""


@dataclass
class EventAnswers:
    """The events that exist, how they are answered, and what was asked."""

    reports: list[Report] = field(default_factory=list)
    quotes: dict[str, dict[str, Any]] = field(default_factory=dict)
    past: dict[str, list[str]] = field(default_factory=dict)  # the texts of a page's dates, as Yahoo writes them
    ex_dividends: dict[str, str] = field(default_factory=dict)  # ISO days
    page_rows: int = 100  # the most that a page of the calendar has
    states_total: bool = True
    # By kind: changes an answer (JSON as a dictionary, a page as text) given its number, from 0.
    spoil: dict[str, Callable[[Any, int], Any]] = field(default_factory=dict)
    # By kind: the fault of the transport (faults.TRANSPORT), the first answer that has it, and how many do.
    failures: dict[str, tuple[str, int, int, dict[str, Any]]] = field(default_factory=dict)
    asked: list[AskedEvents] = field(default_factory=list)

    def fail(self, kind: str, fault: str, *, after: int = 0, times: int = 10**6, **options: Any) -> None:
        """Let `times` answers of a kind fail, after so many good ones."""
        self.failures[kind] = (fault, after, times, options)

    def count(self, kind: str) -> int:
        return sum(one.kind == kind for one in self.asked)

    def answer(self, kind: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, str, str]:
        """Return status, text and content type; and note what was asked."""
        number = self.count(kind)
        status, answer = getattr(self, f"_{kind}")(path, query, body)
        if kind in self.spoil:
            answer = self.spoil[kind](answer, number)
        if isinstance(answer, str):
            return status, answer, "text/html"
        return status, json.dumps(answer), "application/json"

    def fault_of(self, kind: str) -> tuple[str, dict[str, Any]] | None:
        """Return the fault that the answer just made is to have."""
        if kind not in self.failures:
            return None
        fault, after, times, options = self.failures[kind]
        return (fault, options) if after < self.count(kind) <= after + times else None

    def _calendar(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        request = json.loads(body)
        assert request["entityIdType"] == "sp_earnings"
        operands = request["query"]["operands"]
        bounds = {one["operator"]: one["operands"][1] for one in operands}
        first, end = bounds["GTE"], bounds["LTE"]
        either = [one for operand in operands if operand["operator"] == "OR" for one in operand["operands"]]
        names = tuple(one["operands"][1] for one in [*operands, *either] if one["operands"][0] == "ticker")
        offset, size = request["offset"], min(request["size"], self.page_rows)
        self.asked.append(AskedEvents(kind=CALENDAR, symbols=names, offset=offset, first=first, end=end))
        found = [one for one in self.reports if first <= one.at[:19] <= end and (not names or one.symbol in names)]
        rows = [_row(one) for one in found[offset : offset + size]]
        columns = [{"id": name, "label": label, "type": kind} for name, label, kind in COLUMNS]
        result = {"documents": [{"entityId": "sp_earnings", "columns": columns, "rows": rows}]}
        if self.states_total:
            result |= {"total": len(found)}
        return 200, {"finance": {"result": [result], "error": None}}

    def _quotes(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        symbols = tuple(query["symbols"].split(","))
        self.asked.append(AskedEvents(kind=QUOTES, symbols=symbols))
        result = [{"symbol": name, **self.quotes[name]} for name in symbols if name in self.quotes]
        return 200, {"quoteResponse": {"result": result, "error": None}}

    def _summary(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        symbol = path.rsplit("/", 1)[1]
        self.asked.append(AskedEvents(kind=SUMMARY, symbols=(symbol,)))
        dates: dict[str, Any] = {"maxAge": 1, "earnings": {"earningsDate": []}}
        if symbol in self.ex_dividends:
            dates["exDividendDate"] = seconds(self.ex_dividends[symbol])
        return 200, {"quoteSummary": {"result": [{"calendarEvents": dates}], "error": None}}

    def _dates(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
        symbol = query["symbol"]
        self.asked.append(AskedEvents(kind=DATES, symbols=(symbol,)))
        if symbol not in self.past:
            return 200, "<html><body>We couldn't find any results.</body></html>"
        return 200, page(symbol, self.past[symbol][: int(query["size"])])


def page(symbol: str, texts: list[str]) -> str:
    """Return the page of a symbol's dates."""
    names = ("Symbol", "Company", "Earnings Date", "EPS Estimate", "Reported EPS", "Surprise (%)")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{symbol}</td><td>A Company</td><td>{text}</td><td>1</td><td>-</td><td>-</td></tr>" for text in texts
    )
    return f"<html><body><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>"


def seconds(text: str) -> int:
    """Return the second of a moment in ISO 8601, of UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def stamp(day: str, clock: str, zone: str) -> str:
    """Return a local time as the calendar states it."""
    local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _row(report: Report) -> list[Any]:
    return [
        report.symbol,
        f"{report.symbol} Inc.",
        1e9,
        "Q3 Earnings",
        report.at,
        report.timing,
        1.0,
        report.actual,
        None,
    ]
