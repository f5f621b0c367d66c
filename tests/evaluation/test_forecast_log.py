"""The forecast log: every published forecast is scored once, with its baseline, in time or as a replay."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.evaluation import forecast_log, metrics, track_record
from pipeline.forecast_schema import LEVELS
from pipeline.market.clock import MarketClock
from pipeline.market.sessions import Sessions
from pipeline.modeling.forecast_frame import forecast_frame
from pipeline.prices.bars import as_bars
from pipeline.prices.sources.sample import SampleSource

CLOCK = Sessions("XNYS")
LATER = datetime(2026, 11, 20, tzinfo=UTC)


def kept(
    engine: Engine,
    one: pd.DataFrame,
    baseline: pd.DataFrame,
    now: datetime = LATER,
    source: str = "sample",
    run: str = "run",
    series: str = "",
) -> int:
    def complete_at(_symbol: str, session: date) -> datetime:
        return CLOCK.complete_at(session)

    return forecast_log.log_forecasts(
        engine, source, one, baseline, run, now=now, complete_at=complete_at, series=series
    )


def published(model: str, version: str, width: float, as_of: date = date(2013, 2, 1)) -> pd.DataFrame:
    quantiles = np.array(LEVELS)[None, None, :].repeat(3, axis=1) * width - width / 2
    close = SampleSource().bars(("IBM",), as_of)["close"].iloc[-1]
    targets = [Sessions("XNYS").following(as_of, quantiles.shape[1])]
    return forecast_frame(
        ["IBM"], np.array([close]), quantiles, as_of=as_of, levels=LEVELS, targets=targets, model=model,
        model_version=version,
    )  # fmt: skip


def test_the_record_scores_each_forecast_once_when_its_session_has_come(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    assert kept(engine, one, baseline) == 6
    bars = SampleSource().bars(("IBM",), date(2013, 2, 5))
    assert forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 1)) == 0
    assert forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 5)) == 4  # two steps of both
    assert forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 5)) == 0
    rows = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 5))
    assert rows["step"].tolist() == [1, 2]
    closes = bars.set_index("session")["close"]
    actual = np.log(closes[pd.Timestamp("2013-02-04")] / closes[pd.Timestamp("2013-02-01")])
    returns = np.log(one[[f"q{level:g}" for level in LEVELS]].to_numpy()[None, :1] / closes.iloc[-3])
    expected = metrics.crps_bp(returns, np.array([[actual]]), LEVELS)
    assert rows["crps_bp"].iloc[0] == pytest.approx(expected[0, 0])
    assert (rows["baseline_crps_bp"] > rows["crps_bp"]).all()  # the baseline's range is twice as wide


def test_what_was_scored_is_not_rewritten(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    kept(engine, published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4))
    bars = SampleSource().bars(("IBM",), date(2013, 2, 4))
    forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 4))
    before = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 4))
    assert kept(engine, published("lstm", "1", 9.9), published("ewma_historical", "abc", 0.4)) == 2
    pd.testing.assert_frame_equal(forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 4)), before)


def test_a_published_baseline_is_its_own_baseline(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    frame = published("ewma_historical", "abc", 0.4)
    assert kept(engine, frame, frame) == 3
    forecast_log.score_matured(engine, "sample", SampleSource().bars(("IBM",), date(2013, 2, 4)), date(2013, 2, 4))
    rows = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 4))
    assert rows["crps_bp"].tolist() == rows["baseline_crps_bp"].tolist()


def test_whether_a_report_was_due_is_stored_with_each_forecast_and_unknown_without_a_calendar(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    baseline = published("ewma_historical", "abc", 0.4)
    days = [date(2013, 1, 29), date(2013, 1, 30), date(2013, 1, 31), date(2013, 2, 1)]
    for day, due in zip(days, [True, False, None, "missing"], strict=True):
        one = published("lstm", "1", 0.2, as_of=day)
        assert one["report_due"].isna().all()
        told = one.drop(columns="report_due") if due == "missing" else one.assign(report_due=due)
        kept(engine, told, baseline.assign(as_of=pd.Timestamp(day)), run=str(day))
    forecast_log.score_matured(engine, "sample", SampleSource().bars(("IBM",), date(2013, 2, 6)), date(2013, 2, 6))
    rows = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 6))
    ahead = track_record.one_ahead(rows).set_index("as_of")["report_due"]
    assert [None if pd.isna(ahead[day]) else bool(ahead[day]) for day in days] == [True, False, None, None]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'p.db'}")


def test_only_what_was_published_before_its_session_closed_is_live(engine: Engine) -> None:
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    kept(engine, one, baseline, datetime(2013, 2, 4, 12, tzinfo=UTC))  # before the close of the first session forecast
    late = published("lstm", "2", 0.2).assign(as_of=pd.Timestamp("2013-01-31"))
    kept(engine, late, baseline.assign(as_of=pd.Timestamp("2013-01-31")), datetime(2013, 2, 5, 12, tzinfo=UTC))
    forecast_log.score_matured(engine, "sample", SampleSource().bars(("IBM",), date(2013, 2, 6)), date(2013, 2, 6))
    rows = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 6))
    in_time = {(str(row.as_of), row.step): bool(row.in_time) for row in rows.itertuples()}
    assert in_time == {
        ("2013-02-01", 1): True,
        ("2013-02-01", 2): True,
        ("2013-02-01", 3): True,
        ("2013-01-31", 1): False,  # its session had closed on 4 February
        ("2013-01-31", 2): True,
        ("2013-01-31", 3): True,
    }
    assert {kind: len(part) for kind, part in track_record.by_kind(rows).items()} == {"live": 5, "replayed": 1}


def test_the_same_forecast_again_keeps_the_time_of_the_first(engine: Engine) -> None:
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    assert kept(engine, one, baseline, datetime(2013, 2, 1, 23, tzinfo=UTC)) == 6
    assert kept(engine, one, baseline) == 0
    assert kept(engine, published("lstm", "1", 0.3), baseline) == 3  # another one is as late as it is
    forecast_log.score_matured(engine, "sample", SampleSource().bars(("IBM",), date(2013, 2, 6)), date(2013, 2, 6))
    assert not forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 6))["in_time"].any()


def test_the_records_of_two_sources_do_not_mix(engine: Engine) -> None:
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    kept(engine, one, baseline, source="yahoo")
    bars = SampleSource().bars(("IBM",), date(2013, 2, 6))
    assert forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 6)) == 0
    assert forecast_log.score_matured(engine, "yahoo", bars, date(2013, 2, 6)) == 6
    assert forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 6)).empty
    assert len(forecast_log.live_record(engine, "yahoo", ("IBM",), date(2013, 2, 6))) == 3


def test_forecasts_of_the_next_session_come_with_their_ranges(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    one = published("lstm", "1", 0.2)
    kept(engine, one, published("ewma_historical", "abc", 0.4))
    bars = SampleSource().bars(("IBM",), date(2013, 2, 6))
    forecast_log.score_matured(engine, "sample", bars, date(2013, 2, 6))
    rows = forecast_log.live_record(engine, "sample", ("IBM",), date(2013, 2, 6))
    ahead = track_record.next_session(rows)
    assert len(rows) == 3
    assert ahead["target_session"].astype(str).tolist() == ["2013-02-04"]
    for level in LEVELS:
        assert ahead[f"q{level:g}"].iloc[0] == one[f"q{level:g}"].iloc[0]
    assert ahead["last_close"].iloc[0] == one["last_close"].iloc[0]
    assert ahead["close"].iloc[0] == pytest.approx(bars.set_index("session")["close"][pd.Timestamp("2013-02-04")])
    none = track_record.next_session(rows.iloc[:0])
    assert none.empty
    assert set(none.columns) == set(ahead.columns)


FIRST, SECOND = datetime(2013, 2, 1, 23, tzinfo=UTC), datetime(2013, 2, 2, 12, tzinfo=UTC)
SCORED = date(2013, 2, 6)
BARS = SampleSource().bars(("IBM",), SCORED)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (FIRST, SECOND, "2"),  # the last one in time
        (SECOND, FIRST, "1"),
        (FIRST, LATER, "1"),  # a replay takes no forecast's place that was in time
        (LATER, FIRST, "2"),
        (LATER, LATER.replace(hour=1), "2"),  # of two replays the last
    ],
)
def test_of_two_standing_editions_of_a_session_one_counts(
    engine: Engine, first: datetime, second: datetime, counts: str
) -> None:
    baseline = published("ewma_historical", "abc", 0.4)
    for version, now in (("1", first), ("2", second)):
        assert kept(engine, published("lstm", version, 0.2), baseline, now, run=version) == 6
    assert forecast_log.score_matured(engine, "sample", BARS, SCORED) == 12
    rows = forecast_log.live_record(engine, "sample", ("IBM",), SCORED)
    assert rows["model_version"].tolist() == [counts] * 3
    assert rows["baseline_crps_bp"].notna().all()


def test_a_trial_replaces_no_row_and_enters_no_standing_record(engine: Engine) -> None:
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    kept(engine, one, baseline, FIRST, run="standing")
    kept(engine, published("lstm", "1", 0.9), baseline, SECOND, run="trial", series="t1")
    kept(engine, published("mlp", "7", 0.9), baseline, SECOND, run="other", series="t2")
    assert forecast_log.score_matured(engine, "sample", BARS, SCORED) == 18, (
        "a standing run scores trials of its source too"
    )
    standing = forecast_log.live_record(engine, "sample", ("IBM",), SCORED)
    assert set(standing["run_key"]) == {"standing"}
    assert set(forecast_log.live_record(engine, "sample", ("IBM",), SCORED, series="t1")["run_key"]) == {"trial"}
    everything = forecast_log.live_record(engine, "sample", None, None, series=None)
    assert everything.groupby("series").size().to_dict() == {"": 3, "t1": 3, "t2": 3}


@pytest.mark.parametrize(
    ("source", "by", "scored"),
    [
        ("sample", "", {"", "t1"}),
        ("sample", "t1", {"t1"}),
        ("sample", "t2", set()),
        ("files", "", {""}),  # two files have one name: a trial's prices may be others
        ("files", "t1", {"t1"}),
    ],
)
def test_who_scores_whom(engine: Engine, source: str, by: str, scored: set[str]) -> None:
    baseline = published("ewma_historical", "abc", 0.4)
    for series in ("", "t1"):
        kept(engine, published("lstm", "1", 0.2), baseline, FIRST, source=source, run=f"run{series}", series=series)
    forecast_log.score_matured(engine, source, BARS, SCORED, series=by)
    assert set(forecast_log.live_record(engine, source, None, None, series=None)["series"]) == scored


def test_the_same_run_published_again_as_the_standing_edition_moves_its_rows(engine: Engine) -> None:
    one, baseline = published("lstm", "1", 0.2), published("ewma_historical", "abc", 0.4)
    kept(engine, one, baseline, FIRST, series="t1")
    assert kept(engine, one, baseline, SECOND) == 6
    forecast_log.score_matured(engine, "sample", BARS, SCORED)
    assert set(forecast_log.live_record(engine, "sample", None, None, series=None)["series"]) == {""}


def bombay(days: list[str]) -> pd.DataFrame:
    flat = dict.fromkeys(("open", "high", "low", "close"), 50.0)
    return as_bars(pd.DataFrame({"symbol": "INFY.NS", "session": pd.to_datetime(days), **flat, "volume": 1.0}))


class Upgraded(Sessions):
    """Bombay's calendar as a later release may have it: 1 January 2027 is a holiday."""

    def is_estimated(self, session: date) -> bool:
        return False

    def between(self, first: date, last: date) -> list[date]:
        return [day for day in super().between(first, last) if day != date(2027, 1, 1)]


class UpgradedClock(MarketClock):
    def sessions_on(self, calendar: str) -> Sessions:
        return Upgraded(calendar)


@pytest.mark.parametrize(
    ("clock", "days", "scored"),
    [
        (MarketClock(), ["2026-12-31", "2027-01-01", "2027-01-04"], [1, 2, 3]),
        (MarketClock(), ["2026-12-31", "2027-01-04", "2027-01-05"], [1]),  # the 1st was a holiday: the 4th is step 2
        (UpgradedClock(), ["2026-12-31", "2027-01-04", "2027-01-05"], [1]),
        (UpgradedClock(), ["2026-12-31", "2027-01-01", "2027-01-04"], [1]),  # a bar on a day that is not a session
    ],
)
def test_an_estimated_target_is_never_scored_against_another_session(
    engine: Engine, clock: MarketClock, days: list[str], scored: list[int]
) -> None:
    as_of = date(2026, 12, 30)
    quantiles = np.array(LEVELS)[None, None, :].repeat(3, axis=1) * 0.2 - 0.1
    targets = [Sessions("XBOM").following(as_of, 3)]
    assert [str(day) for day in targets[0]] == ["2026-12-31", "2027-01-01", "2027-01-04"]
    frame = forecast_frame(
        ["INFY.NS"], np.array([50.0]), quantiles, as_of=as_of, levels=LEVELS, targets=targets, model="lstm",
        model_version="1",
    )  # fmt: skip
    moment = datetime(2026, 12, 30, 23, tzinfo=UTC)
    forecast_log.log_forecasts(engine, "sample", frame, frame.iloc[:0], "run", now=moment, complete_at=lambda *_: LATER)
    bars = bombay(["2026-12-30", *days])
    last = date(2027, 1, 5)
    assert forecast_log.score_matured(engine, "sample", bars, last, clock) == len(scored)
    assert forecast_log.live_record(engine, "sample", ("INFY.NS",), last)["step"].tolist() == scored
