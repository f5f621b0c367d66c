"""What a run on the sample publishes of its companies' reports: the days are facts, the widths add up."""

import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import jobs
from pipeline.config import Overrides
from pipeline.evaluation.holdout import Heldout
from pipeline.events.event import Calendar, empty_calendar
from pipeline.forecast_schema import LEVELS, RANGE_POSITIONS
from pipeline.jobs.context import features_of
from pipeline.jobs.event_outlook import coming_events
from pipeline.jobs.event_ranges import EventWindows
from pipeline.jobs.run_artifacts import HELDOUT
from pipeline.market.clock import MarketClock
from pipeline.publishing import notification, reader
from pipeline.publishing.published_events import EventOutlook
from pipeline.storage import Folder
from pipeline.storage.documents import dump, from_document
from tests.once import build_once
from tests.small import SMALL, set_as_standing

TODAY = datetime(2026, 11, 20, 23, tzinfo=UTC)
AS_OF = date(2013, 1, 22)  # IBM reported on this day, AAPL did on the next, FB on the 30th
SYMBOLS = "AAPL,FB,GOOG,IBM"


def plan(as_of: date, **settings: Any) -> Any:
    values = {**SMALL, "symbols": SYMBOLS, "holdout_sessions": 252, "precision": "fp32", **settings}
    return jobs.plan(key="outlook", now=TODAY, as_of=as_of, overrides=Overrides(values), provenance={})


@pytest.fixture
def ran(
    empty_home: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, EventOutlook]]:
    """Return a function that gives a run of the session, ready, and what it has published of events."""

    def run(name: str = "outlook", **settings: Any) -> tuple[Any, EventOutlook]:
        def build(folder: Path) -> None:
            shutil.copytree(empty_home, folder / "var")
            monkeypatch.setenv("PIPELINE_HOME", str(folder / "var"))
            results = jobs.run_all(plan(AS_OF, **settings), known_at=TODAY)
            (folder / "publish.json").write_bytes(dump(results.publish))

        set_as_standing(monkeypatch)
        monkeypatch.chdir(tmp_path)
        home = build_once(tmp_path_factory, name, build) / "var"
        shutil.copy(home.parent / "publish.json", tmp_path)
        monkeypatch.setenv("PIPELINE_HOME", str(home))
        folder = reader.newest(Folder(home / "published"))
        return plan(AS_OF, **settings).run, reader.read_published(folder).forecasts.outlook

    return run


def test_the_reports_of_the_sample_are_published_with_the_sessions_that_they_may_move(
    ran: Callable[..., tuple[Any, EventOutlook]],
) -> None:
    _, outlook = ran()
    told = {symbol: [(event.day, event.sessions) for event in one.events] for symbol, one in outlook.symbols.items()}
    wednesday, thursday = date(2013, 1, 23), date(2013, 1, 24)
    assert told == {
        "AAPL": [(wednesday, (wednesday, thursday))],
        "FB": [(date(2013, 1, 30), ())],
        "GOOG": [],
        "IBM": [(AS_OF, (wednesday,))],
    }
    assert outlook.market == ()


def test_the_factors_of_every_width_multiply_to_it(ran: Callable[..., tuple[Any, EventOutlook]]) -> None:
    _, outlook = ran()
    for one in outlook.symbols.values():
        assert len(one.widths) == 5
        for width in one.widths:
            product = width.market * width.volatility * width.event * width.model
            assert product == pytest.approx(width.ratio, rel=1e-12)
            assert math.isfinite(product)
    assert len({one.widths[0].market for one in outlook.symbols.values()}) == 1, "one market, one factor"
    assert all(width.event == 1.0 for width in outlook.symbols["GOOG"].widths)


def test_earlier_ranges_are_counted_from_the_held_out_windows_before_a_report(
    ran: Callable[..., tuple[Any, EventOutlook]],
) -> None:
    run, outlook = ran()
    assert {name for name, one in outlook.symbols.items() if one.past_ranges} == {"AAPL", "IBM"}
    with run.reading(HELDOUT) as path:
        heldout = Heldout.load(path)
    windows = EventWindows.of(heldout, ["IBM"]).heldout
    # Reported on 17 April, 18 July and 16 October 2012, without a time: that session and the next one.
    assert [str(day) for day in windows.origins_N.astype("datetime64[D]")][-6:] == [
        "2012-04-16",
        "2012-04-17",
        "2012-07-17",
        "2012-07-18",
        "2012-10-15",
        "2012-10-16",
    ]
    low, high = RANGE_POSITIONS[90]
    by_hand = {
        name: int(np.sum((q[:, 0, low] <= windows.actual_NH[:, 0]) & (windows.actual_NH[:, 0] <= q[:, 0, high])))
        for name, q in windows.quantiles.items()
    }
    found = {name: EventWindows(heldout=windows).by_contender(name)["IBM"] for name in by_hand}
    assert {name: past.inside for name, past in found.items()} == by_hand
    assert {past.ranges for past in found.values()} == {len(windows.actual_NH)}
    assert EventWindows(heldout=windows).by_contender("nobody") == {}


def test_the_notification_of_the_run_names_those_that_report_within_two_sessions(
    ran: Callable[..., tuple[Any, EventOutlook]], tmp_path: Path
) -> None:
    ran()
    document = json.loads((tmp_path / "publish.json").read_text(encoding="utf-8"))
    publication = from_document(notification.Publication, document, where="the XCom", remedy="fix the test")
    told = notification.published(publication, run=None, airflow="").text
    assert sorted(line.partition(" (")[0] for line in told.splitlines() if " reports " in line) == [
        "AAPL reports Wednesday 23 January",
        "IBM reports Tuesday 22 January",
    ]


def test_a_champion_is_counted_in_windows_after_its_training(ran: Callable[..., tuple[Any, EventOutlook]]) -> None:
    run, _ = ran()
    features = features_of(run)
    with run.reading(HELDOUT) as path:
        windows = EventWindows.of(Heldout.load(path), ["IBM"])
    assert windows.by_forecaster(champion(""), features) == {}, "a model that does not say what it has seen"
    everything = windows.by_forecaster(champion("2011-12-30"), features)["IBM"]
    assert (everything.inside, everything.ranges) == (8, 8)
    later = windows.by_forecaster(champion("2012-10-15"), features)["IBM"]
    assert (later.inside, later.ranges) == (1, 1)


def champion(targets_last: str) -> Any:
    """A model whose ranges hold everything."""
    ends = np.linspace(-9, 9, len(LEVELS))
    return SimpleNamespace(
        card=SimpleNamespace(targets_last=targets_last, context_length=20, horizon=1, levels=LEVELS),
        quantiles=lambda _features, origins: np.broadcast_to(ends, (len(origins), 1, len(LEVELS))),
    )


def test_without_events_nothing_is_published(ran: Callable[..., tuple[Any, EventOutlook]]) -> None:
    _, outlook = ran("outlook-none", events="none", holdout_sessions=40)
    assert outlook == EventOutlook()


def test_an_earlier_models_ranges_are_those_after_its_training() -> None:
    days = np.array(["2012-01-05", "2012-04-05", "2012-07-05"], "datetime64[D]")
    wide = np.broadcast_to(np.linspace(-1, 1, len(LEVELS)), (3, 1, len(LEVELS)))
    actual_NH = np.array([[0.0], [0.0], [5.0]])
    heldout = Heldout(symbols_N=np.array(["IBM"] * 3), origins_N=days, actual_NH=actual_NH, quantiles={"m": wide})
    windows = EventWindows(heldout=heldout)
    assert windows.by_contender("m")["IBM"].inside == 2
    after = windows.ranges(wide, days >= np.datetime64("2012-02-01"))["IBM"]
    assert (after.inside, after.ranges) == (1, 2)


def forecasts_of(symbol: str, last: date, targets: list[date]) -> pd.DataFrame:
    rows = [{"symbol": symbol, "step": step, "target_session": day} for step, day in enumerate(targets, start=1)]
    return pd.DataFrame(rows).assign(last_session=pd.Timestamp(last))


def calendar(*rows: tuple[str, str, str, str]) -> Calendar:
    named = [dict(zip(("symbol", "kind", "day", "time"), row, strict=True)) for row in rows]
    frame = pd.DataFrame([{**row, "confirmed": True, "known_from": None, "known_until": None} for row in named])
    return Calendar(frame=frame[list(empty_calendar().columns)].astype(empty_calendar().dtypes.to_dict()))


FRIDAY = date(2013, 1, 25)
TARGETS = [date(2013, 1, 28), date(2013, 1, 29)]


@pytest.mark.parametrize(
    ("day", "time", "moved"),
    [
        ("2013-01-24", "after_close", None),  # it moved the session of the last close
        ("2013-01-25", "before_open", None),
        ("2013-01-25", "unknown", TARGETS[:1]),
        ("2013-01-25", "after_close", TARGETS[:1]),
        ("2013-01-26", "before_open", TARGETS[:1]),  # on a Saturday: it counts for the next session
        ("2013-01-28", "unknown", TARGETS),
        ("2013-01-28", "after_close", TARGETS[1:]),
        ("2013-01-29", "before_open", TARGETS[1:]),
        ("2013-01-29", "after_close", []),
        ("2013-02-20", "before_open", []),
        ("2013-02-25", "before_open", None),  # more than 30 days ahead
    ],
)
def test_time_of_day_decides_which_session_a_report_may_move(day: str, time: str, moved: list[date] | None) -> None:
    run: Any = SimpleNamespace(as_of=FRIDAY, settings=SimpleNamespace(clock=MarketClock()))
    found, market = coming_events(run, calendar(("IBM", "earnings", day, time)), forecasts_of("IBM", FRIDAY, TARGETS))
    assert found == {} if moved is None else list(found["IBM"][0].sessions) == moved
    assert market == ()


def test_dividends_and_events_of_the_market_move_no_session_and_are_listed() -> None:
    run: Any = SimpleNamespace(as_of=FRIDAY, settings=SimpleNamespace(clock=MarketClock()))
    known = calendar(("", "central_bank", "2013-01-30", "unknown"), ("IBM", "ex_dividend", "2013-01-28", "unknown"))
    found, market = coming_events(run, known, forecasts_of("IBM", FRIDAY, TARGETS))
    assert [(event.kind, event.sessions) for event in found["IBM"]] == [("ex_dividend", ())]
    assert [(event.symbol, event.kind, event.day) for event in market] == [("", "central_bank", date(2013, 1, 30))]
