"""What readers see of scheduled events in report, pages, terminal and `forecasts.json`; nothing without a calendar."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from pipeline.cli.show import _details
from pipeline.publishing import publisher, reader
from pipeline.publishing.charts.fan_layout import fan_layout
from pipeline.publishing.charts.png import fan_pngs
from pipeline.publishing.edition import Edition
from pipeline.publishing.published_events import EventOutlook, PastRanges, ScheduledEvent, SymbolOutlook, WidthFactors
from pipeline.publishing.report.page import as_html
from pipeline.publishing.site import pages
from pipeline.publishing.tables.daily_tables import as_csv, as_json, as_parquet
from pipeline.publishing.terminal.overview import Overview
from pipeline.storage import Folder
from tests.editions import AS_OF

NEXT = AS_OF + timedelta(days=3)
EVIL = "<script>alert(1)</script>"
KNOWN = datetime(2013, 2, 4, 22, tzinfo=UTC)
REPORT = ScheduledEvent(
    symbol="AAPL", kind="earnings", day=NEXT, time="before_open", confirmed=False, known_since=KNOWN, sessions=(NEXT,)
)
DIVIDEND = ScheduledEvent(
    symbol="^GSPC", kind="ex_dividend", day=date(2013, 3, 20), time="unknown", confirmed=True, known_since=KNOWN
)
MARKET = ScheduledEvent(symbol="", kind=f"central_bank {EVIL}", day=date(2013, 3, 19), time="unknown", confirmed=True)
WIDTH = WidthFactors(target_session=NEXT, ratio=2.1, market=0.9, volatility=1.1, event=2.0, model=2.1 / 1.98)
WIDTHS = (WIDTH, replace(WIDTH, target_session=NEXT + timedelta(days=1)))
OUTLOOK = EventOutlook(
    symbols={
        "AAPL": SymbolOutlook(events=(REPORT,), past_ranges=PastRanges(inside=7, ranges=8), widths=WIDTHS),
        "^GSPC": SymbolOutlook(events=(DIVIDEND,)),
    },
    market=(MARKET,),
)
SENTENCE = (
    "reports Monday 4 March before the open (estimated date): range 2.1× the usual; 7 of the last 8 such ranges held"
)


@pytest.fixture
def published(make_edition: Callable[..., Edition], tmp_path: Path) -> Callable[..., reader.Published]:
    def publish(outlook: EventOutlook = OUTLOOK) -> reader.Published:
        return reader.read_published(publisher.publish(make_edition(outlook=outlook), Folder(tmp_path)).folder)

    return publish


def printed(shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(shown)
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def test_the_report_marks_the_symbol_and_says_what_is_coming(make_edition: Callable[..., Edition]) -> None:
    html = as_html(make_edition(outlook=OUTLOOK)).decode().replace("\N{NO-BREAK SPACE}", " ")
    assert f'<span class="tag event" title="AAPL {SENTENCE}">reports Mon 4 Mar</span>' in html
    assert html.count(SENTENCE) == 3, "in the marker, in the box below the table, and below the chart"
    assert "90 % range of Mon 4 Mar: 2.10× its usual width = market 0.90 × own volatility 1.10" in html
    assert '<li><i class="mark"></i>scheduled report</li>' in html
    assert "<title>AAPL reports Monday 4 March before the open (estimated date)</title>" in html
    for told in ("Wednesday 20 March 2013", "ex-dividend date", "Tuesday 19 March 2013", "not recorded", "Mon 4 Feb"):
        assert told in html
    assert "No coming event is known of EURUSD=X." in html


def test_what_a_vendor_wrote_is_escaped(
    make_edition: Callable[..., Edition], published: Callable[..., reader.Published], tmp_path: Path
) -> None:
    published()
    for html in (as_html(make_edition(outlook=OUTLOOK)).decode(), pages.symbols_page(Folder(tmp_path), "/forecasts")):
        assert EVIL not in html
        assert "central bank &lt;script&gt;" in html


def test_the_chart_marks_the_session_that_the_report_may_move(make_edition: Callable[..., Edition]) -> None:
    fan, other, _ = make_edition(outlook=OUTLOOK).fans
    chart = fan_layout(fan)
    ((at, text),) = chart.events
    assert chart.origin[0] < at < chart.right
    assert text == "reports Monday 4 March before the open (estimated date)"
    assert fan_layout(other).events == []


def test_the_png_marks_it_and_no_other_chart_changes(make_edition: Callable[..., Edition]) -> None:
    plain, told = (dict(fan_pngs(make_edition(outlook=outlook).fans)) for outlook in (EventOutlook(), OUTLOOK))
    assert [symbol for symbol in plain if plain[symbol] != told[symbol]] == ["AAPL"]


def test_the_json_file_has_events_and_factors_and_the_tables_stay(
    make_edition: Callable[..., Edition], published: Callable[..., reader.Published]
) -> None:
    plain, told = make_edition(), make_edition(outlook=OUTLOOK)
    assert as_csv(plain) == as_csv(told)
    assert as_parquet(plain) == as_parquet(told)
    document = json.loads(as_json(told))
    first, third, second = document["forecasts"]
    assert first["outlook"]["events"][0]["known_since"] == "2013-02-04T22:00:00Z"
    assert first["outlook"]["past_ranges"] == {"inside": 7, "ranges": 8}
    factors = first["outlook"]["widths"][0]
    product = factors["market"] * factors["volatility"] * factors["event"] * factors["model"]
    assert product == pytest.approx(factors["ratio"])
    assert "past_ranges" not in second["outlook"]
    assert "outlook" not in third
    assert published().forecasts.outlook == OUTLOOK


def test_the_pages_show_what_is_coming(published: Callable[..., reader.Published], tmp_path: Path) -> None:
    published()
    root = Folder(tmp_path)
    overview, page = pages.symbols_page(root, "/forecasts"), pages.symbol_page(root, "/forecasts", "AAPL")
    assert f'<a href="/forecasts/symbols/AAPL">AAPL</a> {SENTENCE}' in overview
    assert "Wednesday 20 March 2013" in overview
    assert f"AAPL {SENTENCE}." in page
    factors = "<td>0.90</td><td>1.10</td><td>2.00</td><td>1.06</td>"
    assert page.count(f'<td class="strong">2.10×</td>{factors}') == 2, "once a step"
    assert "ex-dividend date" not in page
    assert "ex-dividend date" in pages.symbol_page(root, "/forecasts", "^GSPC")


def test_the_terminal_shows_what_is_coming(published: Callable[..., reader.Published]) -> None:
    found = published()
    table = printed(Overview(published=found))
    assert f"AAPL {SENTENCE}" in table
    assert "Tuesday 19 March 2013" in table
    detail = printed(_details(found, ["AAPL"], []))
    assert f"AAPL {SENTENCE}" in detail
    assert "Monday 4 March 2013: earnings report, time of day before the open, estimated date" in detail
    lines = [line.split() for line in detail.splitlines()]
    assert ["Tue", "5", "Mar", "2.10×", "0.90", "1.10", "2.00", "1.06"] in lines


def test_without_a_calendar_nobody_reads_of_events(
    make_edition: Callable[..., Edition], published: Callable[..., reader.Published], tmp_path: Path
) -> None:
    found = published(EventOutlook())
    document = json.loads(as_json(make_edition()))
    assert "market_events" not in document
    assert not any("outlook" in each for each in document["forecasts"])
    shown = [
        as_html(make_edition()).decode().partition("</style>")[2],
        *(page.partition("</style>")[2] for page in (pages.symbols_page(Folder(tmp_path), "/forecasts"),)),
        pages.symbol_page(Folder(tmp_path), "/forecasts", "AAPL").partition("</style>")[2],
        printed(Overview(published=found)),
        printed(_details(found, ["AAPL"], [])),
    ]
    for text in shown:
        for word in ("cheduled", "usual", "reports", 'class="events"', "tag event"):
            assert word not in text


def test_many_reports_are_cut_short(make_edition: Callable[..., Edition]) -> None:
    one = OUTLOOK.symbols["AAPL"]
    names = [f"S{place:02}" for place in range(12)]
    many = {name: replace(one, events=(replace(REPORT, symbol=name),)) for name in names}
    html = as_html(make_edition(outlook=EventOutlook(symbols=many))).decode()
    assert 'and 2 more: see <a href="#events">' in html
