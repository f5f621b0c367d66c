"""Yahoo's answer about prices as types: lenient about metadata, strict about rows."""

from typing import Any

import pytest

from pipeline.prices.sources.yahoo.chart_answer import SeriesMeta, series, series_meta

QUOTE: dict[str, Any] = {name: [1.0, None] for name in ("open", "high", "low", "close", "volume")}
RESULT: dict[str, Any] = {
    "meta": {"symbol": "IBM", "currency": "USD", "exchangeTimezoneName": "America/New_York", "priceHint": 2},
    "timestamp": [1362148200, 1362407400],
    "events": {"dividends": {"1362148200": {"amount": 0.5, "date": 1362148200}}, "capitalGains": None},
    "indicators": {"quote": [QUOTE], "adjclose": [{}]},
}


def test_rows_have_times_prices_and_the_times_of_their_events() -> None:
    rows = series(RESULT)
    assert rows.timestamp == RESULT["timestamp"]
    assert rows.indicators.quote[0].close == [1.0, None]
    assert [rows.event_times(kind) for kind in ("dividends", "splits", "capital_gains")] == [[1362148200], [], []]
    assert series({**RESULT, "events": None}).event_times("dividends") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timestamp": None}, "timestamp: "),
        ({"indicators": {"quote": [{**QUOTE, "open": None}]}}, r"indicators\.quote\.0\.open: "),
        ({"events": {"splits": {"1": {"ratio": 2}}}}, r"events\.splits\.1\.date: "),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_the_first_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        series({**RESULT, **change})


@pytest.mark.parametrize("meta", [None, {}, [], "IBM"])
def test_without_metadata_nothing_is_given(meta: Any) -> None:
    assert series_meta({**RESULT, "meta": meta}) == SeriesMeta()


def test_metadata_that_is_no_text_counts_as_missing() -> None:
    meta = series_meta({"meta": {"symbol": 7, "currency": 3, "exchangeTimezoneName": None}})
    assert meta == SeriesMeta(given=True, symbol=7)
