"""The pages over the shelf: what they say, what they leave out, and how they put several records together."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import MissingStep
from pipeline.publishing import formatting, publisher, reader, track_record_files
from pipeline.publishing.edition import Edition
from pipeline.publishing.site import hit_rates, pages, site_charts
from pipeline.storage import Folder
from tests.editions import AS_OF, edition, forecasts
from tests.publishing.conftest import recent

BASE = "/airflow/forecasts"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def root(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "published")


@pytest.fixture
def put(root: Folder, make_edition: Callable[..., Edition]) -> Callable[..., None]:
    """Return a function that publishes a session without its charts, which no page shows."""

    def publish(as_of: date = AS_OF, **fields: Any) -> None:
        edition = make_edition(as_of=as_of, **fields)
        root.replace(reader.folder_name(as_of), publisher.render(edition))

    return publish


@pytest.fixture(autouse=True)
def _no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.publishing.charts.png.fan_pngs", lambda fans: [])


def test_the_newest_report_is_framed_by_where_to_go_from_it(put: Callable[..., None], root: Folder) -> None:
    provenance = {"dag_id": "daily_forecast", "run_id": "manual__1+0", "mlflow_url": "http://127.0.0.1:5000/#/runs/r1"}
    put(AS_OF - timedelta(days=1))
    put(AS_OF, provenance=provenance)
    page = pages.report_page(root, BASE)
    for target in (
        f"{BASE}/sessions/2013-02-28",
        f"{BASE}/files/2013-03-01/report.html",
        f"{BASE}/files/2013-03-01/forecasts.csv",
        "http://127.0.0.1:5000/#/runs/r1",
        "/airflow/dags/daily_forecast/runs/manual__1%2B0",
    ):
        assert f'"{target}"' in page


def test_an_older_report_leads_to_the_one_after(put: Callable[..., None], root: Folder) -> None:
    put(AS_OF - timedelta(days=1))
    put(AS_OF)
    page = pages.report_page(root, BASE, AS_OF - timedelta(days=1))
    assert f"{BASE}/sessions/2013-03-01" in page
    assert f"{BASE}/files/2013-02-28/report.html" in page


def test_an_address_that_is_no_web_address_is_no_link(put: Callable[..., None], root: Folder) -> None:
    put(provenance={"mlflow_url": "javascript:alert(1)"})
    assert "javascript:" not in pages.report_page(root, BASE)


def test_a_session_that_was_never_published_is_not_there(put: Callable[..., None], root: Folder) -> None:
    put()
    with pytest.raises(MissingStep, match="nothing is published"):
        pages.report_page(root, BASE, AS_OF - timedelta(days=3))


def test_sessions_are_listed_newest_first_with_what_came(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame]
) -> None:
    days = [AS_OF - timedelta(days=back) for back in (2, 1, 0)]
    for day in days:
        put(day, recent=make_recent() if day == AS_OF else None)
    page = pages.sessions_page(root, BASE)
    listed = re.findall(rf"{BASE}/sessions/(2013-\d\d-\d\d)", page)
    assert listed == [day.isoformat() for day in reversed(days)]
    # The forecast of the evening before was the one that every range missed; 40 bp against 50.
    assert formatting.share(0.0) in page
    assert formatting.percent(1 - 40 / 50) in page


def test_a_session_that_is_just_being_written_is_not_listed(put: Callable[..., None], root: Folder) -> None:
    put()
    (root.path / "as_of=2013-03-04").mkdir()
    (root.path / "as_of=yesterday!").mkdir()
    assert "2013-03-04" not in pages.sessions_page(root, BASE)
    assert "2013-03-01" in pages.report_page(root, BASE)


def test_a_long_list_has_pages(put: Callable[..., None], root: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SESSIONS_ON_A_PAGE", 2)
    for back in range(3):
        put(AS_OF - timedelta(days=back))
    first = pages.sessions_page(root, BASE)
    assert "?before=2013-02-28" in first
    second = pages.sessions_page(root, BASE, date(2013, 2, 28))
    assert "/sessions/2013-02-27" in second
    assert "/sessions/2013-03-01" not in second
    assert "before=" not in second


def test_the_record_tells_live_forecasts_from_replays(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame]
) -> None:
    replayed = make_recent("IBM", days=5).assign(in_time=False, crps_bp=60.0)
    put(recent=pd.concat([make_recent("AAPL", days=10), replayed]))
    page = pages.record_page(root, BASE)
    live, _, replays = page.partition("not part of the live record")
    assert "10 forecasts of the next session have matured, for 10 sessions" in live
    assert "5 forecasts of the next session have matured, for 5 sessions" in replays
    assert formatting.percent(1 - 40 / 50) in live
    assert formatting.percent(1 - 60 / 50) in replays
    assert "Cumulative CRPS gain on the baseline over 10 sessions: 100 bp" in live
    assert "Cumulative CRPS gain on the baseline over 5 sessions: −50 bp" in replays


def test_the_record_shows_sessions_with_a_scheduled_report_separately(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame]
) -> None:
    rows = pd.concat([make_recent("AAPL", days=10), make_recent("IBM", days=4), make_recent("FB", days=3)])
    flags = [True] * 10 + [False] * 4 + [None] * 3  # the last ones were forecast without a calendar
    missed = {"inside_50": False, "inside_80": False, "inside_90": False}
    put(recent=rows.assign(report_due=pd.Series(flags, dtype=object).to_numpy()).assign(**missed))
    part = pages.record_page(root, BASE).partition("Sessions with a scheduled report, and all others")[2]
    on, _, off = part.partition('<td class="strong">Other sessions</td>')
    assert '<td class="strong">Sessions with a scheduled report</td><td>10</td><td>0.0' in on
    assert off.startswith("<td>4</td>")


@pytest.mark.parametrize("flag", [None, False])
def test_without_a_scheduled_report_in_the_record_it_is_not_split(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame], flag: bool | None
) -> None:
    put(recent=make_recent("AAPL", days=10).assign(report_due=flag))
    assert "scheduled report" not in pages.record_page(root, BASE)


def test_a_record_that_is_empty_says_so(put: Callable[..., None], root: Folder) -> None:
    put()
    assert "No forecast has matured yet" in pages.record_page(root, BASE)


def test_records_of_several_editions_are_put_together_and_nothing_counts_twice(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame]
) -> None:
    """An older edition's record goes on where the newer one ends; where both have a day the newer one's counts."""
    newest = make_recent(days=10)
    older = make_recent(days=25).assign(crps_bp=1.0)
    put(AS_OF - timedelta(days=10), recent=older)
    put(AS_OF - timedelta(days=4), recent=older)
    put(AS_OF, recent=newest)
    record = hit_rates.read_history(root, "sample")
    assert record["as_of"].to_pylist() == sorted(set(older["as_of"]))
    assert record["crps_bp"].to_pylist() == [1.0] * 15 + [40.0] * 10


def test_a_symbol_has_its_range_and_what_came_of_those_before(
    put: Callable[..., None], root: Folder, make_recent: Callable[..., pd.DataFrame]
) -> None:
    put(recent=pd.concat([make_recent("AAPL", days=25), make_recent("^GSPC", days=3, close=1500.0)]))
    page = pages.symbol_page(root, BASE, "AAPL")
    assert "25 forecasts of the next session have matured" in page
    assert "The last 20 of 25" in page
    assert "AAPL: 20 of 25 closes were inside the 80 % range" in page
    assert "1,5" not in page, "another symbol's prices"
    assert "Last 20" not in pages.symbol_page(root, BASE, "^GSPC")


def test_a_symbol_that_was_withheld_says_why(put: Callable[..., None], root: Folder) -> None:
    put(withheld=[{"symbol": "IBM", "reason": f"too little history {EVIL}"}])
    page = pages.symbol_page(root, BASE, "IBM")
    assert "too little history &lt;script&gt;" in page
    assert EVIL not in page


def test_a_symbol_nobody_knows_is_not_there(put: Callable[..., None], root: Folder) -> None:
    put()
    with pytest.raises(MissingStep, match="MSFT"):
        pages.symbol_page(root, BASE, "MSFT")


def test_symbols_are_listed_with_their_links_escaped(put: Callable[..., None], root: Folder) -> None:
    put(forecasts=forecasts(("AAPL", "^GSPC", EVIL)))
    page = pages.symbols_page(root, BASE)
    assert f'href="{BASE}/symbols/%5EGSPC"' in page
    assert EVIL not in page


def test_every_page_may_run_its_own_script_alone(put: Callable[..., None], root: Folder) -> None:
    put()
    scripts = re.findall(r"<script>(.*?)</script>", pages.report_page(root, BASE), re.DOTALL)
    assert scripts == [pages.SCRIPT]
    assert "sha256-" in pages.POLICY
    assert "unsafe-inline" not in pages.POLICY.partition("script-src")[2].partition(";")[0]


def test_what_a_single_session_saved_is_no_curve() -> None:
    one = hit_rates.Rates(forecasts=1, crps_bp=1.0, baseline_crps_bp=2.0, coverage={50: 1.0, 80: 1.0, 90: 1.0})
    assert site_charts.gain_svg({AS_OF: one}) is None
    assert site_charts.gain_svg({AS_OF: one, AS_OF + timedelta(days=1): one}) is not None


def test_a_model_like_its_baseline_saves_nothing_and_is_drawn() -> None:
    same = hit_rates.Rates(forecasts=1, crps_bp=2.0, baseline_crps_bp=2.0, coverage={50: 1.0, 80: 1.0, 90: 1.0})
    drawn = site_charts.gain_svg({AS_OF: same, AS_OF + timedelta(days=1): same})
    assert drawn is not None
    assert "nan" not in drawn


def ahead(symbol: str = "AAPL", **fields: Any) -> pd.DataFrame:
    return recent(symbol).assign(**{"series": "", **fields})


def test_a_trial_takes_no_symbol_away_and_empties_no_record(put: Callable[..., None], root: Folder) -> None:
    put(recent=recent("AAPL"))
    track_record_files.write(root, "sample", pd.concat([ahead("AAPL"), ahead("^GSPC")]))
    publisher.publish(edition(forecasts=forecasts(("AAPL",), model="mlp"), trial=("1 of 3 symbols",)), root)
    assert "110.00" in pages.symbol_page(root, BASE, "^GSPC")
    assert "50 forecasts of the next session have matured" in pages.record_page(root, BASE)
    assert "MLP" not in pages.symbol_page(root, BASE, "AAPL")
    listed = pages.sessions_page(root, BASE)
    assert "Trial: 1 of 3 symbols" in listed
    (address,) = re.findall(rf"{BASE}/sessions/2013-03-01/(0001-[0-9a-f]{{8}}-[0-9a-f]{{8}})", listed)
    shown = pages.report_page(root, BASE, AS_OF, address)
    assert "Trial: 1 of 3 symbols" in shown
    assert f'"{BASE}/files/2013-03-01/editions/{address}/report.html"' in shown
    assert f'"{BASE}/sessions/2013-03-01"' in shown, "the way back to the standing edition"


def test_a_symbol_that_the_newest_edition_lacks_is_shown_from_the_one_before(
    put: Callable[..., None], root: Folder
) -> None:
    put(AS_OF - timedelta(days=1))
    put(forecasts=forecasts(("AAPL",)))
    page = pages.symbol_page(root, BASE, "^GSPC")
    assert "Thursday 28 February 2013" in page
    assert f'"{BASE}/sessions/2013-02-28"' in page


def test_symbols_of_trials_alone_have_a_page_that_says_so(put: Callable[..., None], root: Folder) -> None:
    put()
    publisher.publish(edition(forecasts=forecasts(("MSFT",)), trial=("source yahoo instead of sample",)), root)
    assert "Trial: source yahoo instead of sample" in pages.symbol_page(root, BASE, "MSFT")
    assert f'"{BASE}/symbols/MSFT"' in pages.symbols_page(root, BASE)


def test_a_symbol_with_nothing_but_a_record_has_a_page(put: Callable[..., None], root: Folder) -> None:
    put()
    track_record_files.write(root, "sample", ahead("GONE"))
    page = pages.symbol_page(root, BASE, "GONE")
    assert "No recent edition includes GONE" in page
    assert "25 forecasts of the next session have matured" in page
    assert f'"{BASE}/symbols/GONE"' in pages.symbols_page(root, BASE)


def test_before_anything_stands_every_page_shows_the_newest_trial(root: Folder) -> None:
    for symbol in ("IBM", "MSFT"):
        publisher.publish(edition(forecasts=forecasts((symbol,)), trial=("1 of 5 symbols",)), root)
    for page in (
        pages.report_page(root, BASE),
        pages.report_page(root, BASE, AS_OF),
        pages.sessions_page(root, BASE),
        pages.symbols_page(root, BASE),
        pages.symbol_page(root, BASE, "IBM"),
    ):
        assert "Trial: 1 of 5 symbols" in page
    assert "No forecast has matured yet" in pages.record_page(root, BASE)
    assert f'"{BASE}/symbols/MSFT"' in pages.symbols_page(root, BASE)


def test_trials_have_a_section_of_their_own_in_the_record(put: Callable[..., None], root: Folder) -> None:
    put()
    track_record_files.write(root, "sample", pd.concat([ahead(), ahead(series="abc", crps_bp=99.0)]))
    standing, _, trials = pages.record_page(root, BASE).partition("Trials, with settings or symbols")
    assert formatting.number(99.0) not in standing
    assert formatting.percent(1 - 99 / 50) in trials
    assert "AAPL: 20 of 25 closes" in pages.symbol_page(root, BASE, "AAPL"), "a trial is not drawn"


def test_each_source_has_a_record_of_its_own(put: Callable[..., None], root: Folder) -> None:
    put()
    track_record_files.write(root, "sample", ahead())
    track_record_files.write(root, "yahoo", ahead(crps_bp=99.0))
    page = pages.record_page(root, BASE)
    assert formatting.number(99.0) not in page
    assert f'"{BASE}/record?source=yahoo"' in page
    assert formatting.number(99.0) in pages.record_page(root, BASE, "yahoo")
    with pytest.raises(MissingStep, match="source files"):
        pages.record_page(root, BASE, "files")


def test_an_edition_that_was_replaced_is_listed_as_such(put: Callable[..., None], root: Folder) -> None:
    publisher.publish(edition(), root)
    publisher.publish(edition(exchange="XLON"), root)
    assert "Replaced by a later edition of this session" in pages.sessions_page(root, BASE)
