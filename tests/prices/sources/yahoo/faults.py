"""What can be wrong with an answer of the server on loopback: on the way (TRANSPORT) or in the prices (DATA)."""

import json
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from tests.prices.sources.yahoo.book import Book, Chart

HTML = "<!DOCTYPE html><html><body>Sorry, we are having trouble.</body></html>"


def _too_many(handler: Any, text: str, retry_after: str = "") -> None:
    headers = {"Retry_After": str(retry_after)} if retry_after else {}
    handler.send(429, "Edge: Too Many Requests", "text/html", **headers)


def _hang(handler: Any, text: str) -> None:
    handler.yahoo.closing.wait()
    handler.close_connection = True


def _reset(handler: Any, text: str) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def _short(handler: Any, text: str) -> None:
    """Promise more than is sent, then hang up."""
    handler.send(200, text[: len(text) // 2], Content_Length=str(len(text)))
    handler.close_connection = True


def _complaint(status: int, code: str, description: str) -> Callable[..., None]:
    body = json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}})
    return lambda handler, text: handler.send(status, body)


TRANSPORT: dict[str, Callable[..., None]] = {
    "429": _too_many,
    "999": lambda handler, text: handler.send(999, HTML, "text/html"),
    "500": lambda handler, text: handler.send(500, HTML, "text/html"),
    "503": lambda handler, text, retry_after="": handler.send(503, HTML, "text/html", Retry_After=str(retry_after)),
    "500 json": _complaint(500, "Internal Server Error", "something broke"),
    "502 json": _complaint(502, "Not Found", "No data found, symbol may be delisted"),
    "401": _complaint(401, "Unauthorized", "Invalid Crumb"),
    "404": _complaint(404, "Not Found", "No data found, symbol may be delisted"),
    "404 html": lambda handler, text: handler.send(404, HTML, "text/html"),
    "not listed then": _complaint(400, "Bad Request", "Data doesn't exist for startDate = 0, endDate = 1"),
    "html": lambda handler, text: handler.send(200, HTML, "text/html"),
    "down": lambda handler, text: handler.send(200, "<html>Will be right back…</html>", "text/html"),
    "empty": lambda handler, text: handler.send(200, ""),
    "cut": lambda handler, text: handler.send(200, text[: len(text) // 2]),
    "short": _short,
    "{}": lambda handler, text: handler.send(200, "{}"),
    "null": lambda handler, text: handler.send(200, '{"chart": null}'),
    "hang": _hang,
    "reset": _reset,
}


def _set(chart: Chart, where: Any, **values: Any) -> Chart:
    bars = chart.bars.copy()
    for name, value in values.items():
        bars.loc[where, name] = value
    return replace(chart, bars=bars)


def _at(chart: Chart, book: Book, symbol: str, session: str | None) -> Any:
    """Return the label of a session's row: the last one if none is named."""
    if session is None:
        return chart.bars.index[-1]
    return chart.bars.index[chart.bars["stamp"] == book.stamp(symbol, date.fromisoformat(session))][0]


def _no_rows(chart: Chart, *_: Any, **__: Any) -> Chart:
    return replace(chart, bars=chart.bars[:0], dividends=chart.dividends[:0], splits=chart.splits[:0])


def _null_row(chart: Chart, book: Book, symbol: str, today: date, session: str | None = None) -> Chart:
    names = ("open", "high", "low", "close", "volume", "adjclose")
    return _set(chart, _at(chart, book, symbol, session), **dict.fromkeys(names, np.nan))


def _nan_close(chart: Chart, book: Book, symbol: str, today: date, session: str | None = None) -> Chart:
    return _set(chart, _at(chart, book, symbol, session), close=np.nan, adjclose=np.nan)


def _missing(chart: Chart, book: Book, symbol: str, today: date, session: str | None = None) -> Chart:
    return replace(chart, bars=chart.bars.drop(index=_at(chart, book, symbol, session)))


def _correction(chart: Chart, book: Book, symbol: str, today: date, session: str, close: float) -> Chart:
    return _set(chart, _at(chart, book, symbol, session), close=close)


def _duplicate(chart: Chart, book: Book, symbol: str, today: date, session: str | None = None, by: float = 1) -> Chart:
    """List a session twice, the second time an hour later with prices multiplied by `by`."""
    row = chart.bars.loc[[_at(chart, book, symbol, session)]]
    again = row.assign(stamp=row["stamp"] + 3600, **{name: row[name] * by for name in ("open", "high", "low", "close")})
    return replace(chart, bars=pd.concat([chart.bars, again]).sort_values("stamp", ignore_index=True))


def _shuffled(chart: Chart, *_: Any, **__: Any) -> Chart:
    return replace(chart, bars=chart.bars.sample(frac=1, random_state=7, ignore_index=True))


def _running(chart: Chart, book: Book, symbol: str, today: date, session: str | None = None, after: int = 60) -> Chart:
    """Append the day that is running: the row that Yahoo adds to any answer, stamped with the present second."""
    day = date.fromisoformat(session) if session else book.next_session(symbol, today)
    last = book.chart(symbol, today).bars.iloc[-1]
    live = {**last.to_dict(), "stamp": book.stamp(symbol, day) + after, "close": last["close"] * 1.01, "volume": 1000}
    return replace(chart, live=live)


def _padding(chart: Chart, book: Book, symbol: str, today: date, day: str) -> Chart:
    """Add a row of nulls on a day without a session."""
    row = {"stamp": book.stamp(symbol, date.fromisoformat(day))}
    return replace(chart, bars=pd.concat([chart.bars, pd.DataFrame([row])]).sort_values("stamp", ignore_index=True))


def _split_today(chart: Chart, book: Book, symbol: str, today: date, ratio: float = 2.0) -> Chart:
    """Let the last session be the first after a split: the whole history is rewritten."""
    names = ["open", "high", "low", "close", "adjclose"]
    bars = chart.bars.assign(**{name: chart.bars[name] / ratio for name in names}, volume=chart.bars["volume"] * ratio)
    split = pd.DataFrame({"stamp": [int(bars["stamp"].iloc[-1])], "ratio": [ratio]})
    dividends = chart.dividends.assign(amount=chart.dividends["amount"] / ratio)
    return replace(chart, bars=bars, dividends=dividends, splits=pd.concat([chart.splits, split], ignore_index=True))


def _unit(chart: Chart, book: Book, symbol: str, today: date, currency: str = "GBP", by: float = 0.01) -> Chart:
    names = ["open", "high", "low", "close", "adjclose"]
    bars = chart.bars.assign(**{name: chart.bars[name] * by for name in names})
    return replace(chart, bars=bars, meta={**chart.meta, "currency": currency})


def _any_day(chart: Chart, *_: Any, **__: Any) -> Chart:
    return replace(chart, any_day=True)


def _early(chart: Chart, book: Book, symbol: str, today: date, since: str) -> Chart:
    """Stamp every session from `since` on an hour early, as has been seen around changes of the clock."""
    late = chart.bars["stamp"] >= book.stamp(symbol, date.fromisoformat(since))
    return replace(chart, bars=chart.bars.assign(stamp=chart.bars["stamp"] - 3600 * late))


def _words(chart: Chart, *_: Any, **__: Any) -> Chart:
    return replace(chart, spelled=True)


def _meta(**changes: Any) -> Callable[..., Chart]:
    def change(chart: Chart, *_: Any, **options: Any) -> Chart:
        return replace(chart, meta={**chart.meta, **changes, **options})

    return change


DATA: dict[str, Callable[..., Chart]] = {
    "no rows": _no_rows,
    "null row": _null_row,
    "nan close": _nan_close,
    "missing": _missing,
    "correction": _correction,
    "duplicate": _duplicate,
    "shuffled": _shuffled,
    "running": _running,
    "padding": _padding,
    "split today": _split_today,
    "any day": _any_day,
    "an hour early": _early,
    "unit": _unit,
    "wrong symbol": _meta(symbol="OTHER"),
    "words for prices": _words,
    "no zone": _meta(exchangeTimezoneName=None),
    "no currency": _meta(currency=None),
    "by the month": _meta(dataGranularity="1mo"),
}
KINDS = {**TRANSPORT, **DATA}


def spoil(kind: str, chart: Chart, book: Book, symbol: str, today: date, options: dict[str, Any]) -> Chart:
    """Return the chart with a fault in its prices; unchanged for a fault of the transport."""
    return DATA[kind](chart, book, symbol, today, **options) if kind in DATA else chart
