"""What each kind of failure is called, seen through the real client: an outage is never "no data"."""

from datetime import date

import pytest

from pipeline.errors import BadSymbol, BadUpstream, NoData, RateLimited, SourceError, UnknownSymbol
from pipeline.prices.sources.yahoo.yahoo_source import YahooSource
from tests.prices.sources.yahoo.conftest import MakeSource
from tests.prices.sources.yahoo.server import Yahoo

FIRST, LAST = date(2013, 2, 1), date(2013, 3, 1)

OUTAGES = [
    "500", "503", "500 json", "502 json", "401", "404 html", "html", "down", "empty", "cut", "short", "{}", "null",
    "reset",
]  # fmt: skip
STAGES = ["zone", "bars"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_is_an_outage(source: YahooSource, yahoo: Yahoo, slept: list[float], kind: str, stage: str) -> None:
    yahoo.fail("IBM", kind, where=stage)
    with pytest.raises(BadUpstream, match=r"IBM.*5 attempts"):
        source.bars(("IBM",), LAST, FIRST)
    assert len(slept) == 4


@pytest.mark.parametrize("stage", STAGES)
def test_an_answer_that_never_comes_is_an_outage(make_source: MakeSource, yahoo: Yahoo, stage: str) -> None:
    yahoo.fail("IBM", "hang", where=stage)
    with pytest.raises(BadUpstream, match=r"no answer.*Timeout"):
        make_source(timeout=0.2, retry={"tries": 2}).bars(("IBM",), LAST, FIRST)


def test_a_server_that_is_not_there_is_an_outage(make_source: MakeSource, yahoo: Yahoo) -> None:
    source = make_source()
    yahoo.close()
    with pytest.raises(BadUpstream, match=r"no answer.*ConnectionError"):
        source.bars(("IBM",), LAST, FIRST)


def test_a_name_that_does_not_resolve_is_an_outage(make_source: MakeSource) -> None:
    source = make_source(url="http://nowhere.invalid", retry={"tries": 1})
    with pytest.raises(BadUpstream, match=r"no answer"):
        source.bars(("IBM",), LAST, FIRST)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["429", "999"])
def test_too_many_requests_is_a_rate_limit(
    source: YahooSource, yahoo: Yahoo, slept: list[float], kind: str, stage: str
) -> None:
    yahoo.fail("IBM", kind, where=stage)
    with pytest.raises(RateLimited, match=kind):
        source.bars(("IBM",), LAST, FIRST)
    assert min(slept) >= 5


def test_an_unknown_symbol_is_not_asked_for_again(source: YahooSource, yahoo: Yahoo, slept: list[float]) -> None:
    with pytest.raises(UnknownSymbol, match=r"does not know NOSUCH.*delisted"):
        source.bars(("NOSUCH",), LAST, FIRST)
    assert slept == []


def test_a_delisted_symbol_is_unknown_although_its_time_zone_is_remembered(
    source: YahooSource, yahoo: Yahoo, slept: list[float]
) -> None:
    source.bars(("IBM",), LAST, FIRST)
    yahoo.fail("IBM", "404")
    with pytest.raises(UnknownSymbol, match="IBM"):
        source.bars(("IBM",), LAST, FIRST)
    assert slept == []


@pytest.mark.parametrize("kind", ["no rows", "not listed then"])
def test_a_known_symbol_without_rows_has_no_data(
    source: YahooSource, yahoo: Yahoo, slept: list[float], kind: str
) -> None:
    yahoo.fail("IBM", kind, where="bars")
    with pytest.raises(NoData, match=r"IBM.*2013-02-01 to 2013-03-01"):
        source.bars(("IBM",), LAST, FIRST)
    assert slept == []


def test_days_before_a_listing_have_no_data(source: YahooSource) -> None:
    with pytest.raises(NoData, match="FB"):
        source.bars(("FB",), date(2012, 3, 1), date(2012, 2, 1))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrong symbol", r"asked Yahoo for IBM.*answered with 'OTHER'"),
        ("no currency", "does not say in which currency"),
        ("by the month", "answered by '1mo'"),
        ("no zone", "does not say in which time zone"),
        ("words for prices", "cannot be used .*ValueError"),
    ],
)
def test_an_answer_to_another_question_is_refused(source: YahooSource, yahoo: Yahoo, kind: str, words: str) -> None:
    yahoo.fail("IBM", kind, where="bars")
    with pytest.raises(BadUpstream, match=words):
        source.bars(("IBM",), LAST, FIRST)


def test_no_rows_of_another_symbol_is_no_news_of_this_one(source: YahooSource, yahoo: Yahoo) -> None:
    yahoo.fail("IBM", "no rows", where="bars")
    yahoo.fail("IBM", "wrong symbol", where="bars")
    with pytest.raises(BadUpstream, match="OTHER"):
        source.bars(("IBM",), LAST, FIRST)


@pytest.mark.parametrize("kind", [*OUTAGES, "429", "wrong symbol"])
def test_a_bad_answer_is_not_remembered(source: YahooSource, yahoo: Yahoo, slept: list[float], kind: str) -> None:
    # The days are past, so yfinance would give its first answer again without asking. One question of ours is two
    # requests where the status is an error: yfinance tries once more with other cookies, and so does curl on a reset.
    times = 4 if kind in ("500", "503", "500 json", "502 json", "401", "404 html", "429", "reset") else 2
    source.bars(("IBM",), LAST, FIRST)
    yahoo.fail("IBM", kind, times=times)
    assert len(source.bars(("IBM",), LAST, FIRST)) == 20
    assert len(slept) == 2


def test_a_failure_before_any_question_is_not_judged_by_an_old_answer(
    source: YahooSource, yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.fail("IBM", "404")
    with pytest.raises(UnknownSymbol):
        source.bars(("IBM",), LAST, FIRST)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("something inside")

    monkeypatch.setattr("yfinance.Ticker.history", broken)
    with pytest.raises(BadUpstream, match=r"nothing was asked: ValueError: something inside"):
        source.bars(("IBM",), LAST, FIRST)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("BRK.B", "BRK-B"), ("brk.b", "BRK-B"), ("BRK/B", "BRK-B"), ("NASDAQ:AAPL", "AAPL"), ("AAPL.US", "AAPL"),
     ("700.HK", "0700.HK"), ("BP.UK", "BP.L")],
)  # fmt: skip
def test_another_vendors_spelling_is_refused_with_yahoos_before_anything_is_asked(
    source: YahooSource, yahoo: Yahoo, text: str, spelling: str
) -> None:
    for ask in (source.require, lambda names: source.bars(names, LAST, FIRST)):
        with pytest.raises(BadSymbol, match=f"; Yahoo's spelling is {spelling}$") as told:
            ask((text,))
        assert "\n" not in str(told.value)
    assert yahoo.requests == []


@pytest.mark.parametrize(("symbol", "spelling"), [("SPX", "^GSPC"), ("EURUSD", "EURUSD=X"), ("LN", "VOD.L")])
def test_a_symbol_that_yahoo_does_not_know_is_named_with_its_likely_spelling(
    source: YahooSource, yahoo: Yahoo, symbol: str, spelling: str
) -> None:
    yahoo.fail(symbol, "404")
    with pytest.raises(UnknownSymbol, match=r"Yahoo does not know") as told:
        source.bars((symbol,), LAST, FIRST)
    assert spelling in str(told.value)


@pytest.mark.parametrize(
    ("error", "cause", "step"),
    [
        ("Failed to perform, curl: (6) Could not resolve host: q.example. See https://curl.se/x first for more details",
         r"curl: \(6\) Could not resolve host: q\.example", "name resolution"),
        ("curl: (60) SSL certificate problem: unable to get issuer", "unable to get issuer", "certificates"),
        ("curl: (7) Failed to connect to 127.0.0.1 port 9: Connection refused", "Connection refused", "firewall"),
        ("curl: (28) Operation timed out after 10000 milliseconds", "10000 milliseconds", "try later"),
        ("line: one\nline: two: three", "line: one line: two: three", "try later"),
    ],
)  # fmt: skip
def test_no_answer_has_its_whole_cause_and_a_next_step(
    source: YahooSource, monkeypatch: pytest.MonkeyPatch, error: str, cause: str, step: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(error)

    monkeypatch.setattr("yfinance.Ticker.history", broken)
    with pytest.raises(BadUpstream, match=rf"IBM: no answer from Yahoo \(.*{cause}\); .*{step}") as told:
        source.bars(("IBM",), LAST, FIRST)
    assert "\n" not in str(told.value)


def test_an_answer_is_asked_for_anew_each_time(source: YahooSource, yahoo: Yahoo) -> None:
    before = source.bars(("IBM",), LAST, FIRST)
    yahoo.fail("IBM", "correction", session="2013-02-28", close=123.25)
    after = source.bars(("IBM",), LAST, FIRST)
    assert (before["close"] != after["close"]).sum() == 1
    assert after.set_index("session").loc["2013-02-28", "close"] == 123.25


def test_one_budget_is_shared_by_all_symbols(make_source: MakeSource, yahoo: Yahoo, slept: list[float]) -> None:
    source = make_source(retry={"seconds": 30.0, "tries": 4})
    yahoo.fail("*", "429")
    for symbol in ("IBM", "AAPL", "MSFT", "GOOG"):
        with pytest.raises(RateLimited):
            source.bars((symbol,), LAST, FIRST)
    assert sum(slept) <= 30
    waits = len(slept)
    yahoo.heal()
    assert len(source.bars(("IBM",), LAST, FIRST)) == 20  # a source whose budget is spent still asks once
    assert len(slept) == waits


def test_a_rest_that_yahoo_asks_for_is_kept(source: YahooSource, yahoo: Yahoo, slept: list[float]) -> None:
    yahoo.fail("IBM", "429", times=2, where="bars", retry_after=20)
    source.bars(("IBM",), LAST, FIRST)
    assert len(slept) == 1
    assert 25 <= slept[0] <= 80


def test_a_rest_beyond_the_budget_is_told_at_once(source: YahooSource, yahoo: Yahoo, slept: list[float]) -> None:
    yahoo.fail("IBM", "429", retry_after=3600)
    with pytest.raises(RateLimited, match=r"1 attempt; retry after 3600 s"):
        source.bars(("IBM",), LAST, FIRST)
    assert slept == []


@pytest.mark.parametrize(
    "text",
    [
        "../../v1/x", "A#f", "A?x=1", "A/B", "A%2FB", "ＡＡＰＬ", "AAPL\n^X?", "A&b=1", "=1+1", "", ".", "A B", "A\\B",
        "US0378331005",
    ],
)  # fmt: skip
def test_what_is_no_symbol_is_refused_before_anything_is_asked(source: YahooSource, yahoo: Yahoo, text: str) -> None:
    with pytest.raises(BadSymbol):
        source.bars(("IBM", text), LAST, FIRST)
    with pytest.raises(BadSymbol):
        source.require((text,))
    assert yahoo.requests == []


def test_no_failure_carries_more_than_one_line(source: YahooSource, yahoo: Yahoo) -> None:
    for kind in ("html", "500", "429", "404"):
        yahoo.heal()
        yahoo.fail("IBM", kind)
        with pytest.raises((SourceError, BadSymbol)) as caught:
            source.bars(("IBM",), LAST, FIRST)
        assert "\n" not in str(caught.value)
