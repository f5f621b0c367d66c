"""Quality, store and snapshot: what is accepted, what was known when, and the digest of a snapshot."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.database.engine import open_database
from pipeline.errors import CorruptFile, MissingStep
from pipeline.market.clock import MarketClock
from pipeline.prices.quality import check_bars, gaps
from pipeline.prices.sources.sample import SampleSource
from pipeline.prices.store import quarantine
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import Snapshot, read_snapshot, write_snapshot
from pipeline.prices.store.writer import PriceStore

CLOCK = MarketClock()


MONDAY = datetime(2013, 2, 4, 22, tzinfo=UTC)
TUESDAY = datetime(2013, 2, 5, 22, tzinfo=UTC)
WEDNESDAY = datetime(2013, 2, 6, 22, tzinfo=UTC)
LAST = date(2013, 2, 4)


@pytest.fixture
def bars() -> pd.DataFrame:
    return SampleSource().bars(("FB", "IBM"), LAST).groupby("symbol").tail(30).reset_index(drop=True)


@pytest.fixture
def store(tmp_path: Path) -> PriceStore:
    return PriceStore(open_database(f"sqlite:///{tmp_path / 'p.db'}"), "sample")


def as_of(store: PriceStore, symbols: tuple[str, ...], session: date, cutoff: datetime) -> pd.DataFrame:
    return AsOf(store.engine, store.source, symbols, MarketClock().at(session), cutoff).bars()


def tables(bars: pd.DataFrame) -> list[pa.Table]:
    return [pa.Table.from_pandas(bars.assign(session=bars["session"].dt.date), preserve_index=False)]


def changed(bars: pd.DataFrame, row: int, factor: float) -> pd.DataFrame:
    other = bars.copy()
    other.loc[row, ["open", "high", "low", "close"]] *= factor
    return other


def test_what_was_stored_is_read_back_and_again_changes_nothing(store: PriceStore, bars: pd.DataFrame) -> None:
    assert store.append(check_bars(bars, CLOCK), MONDAY).new == len(bars)
    again = store.append(check_bars(bars, CLOCK), TUESDAY)
    assert (again.new, again.revised, again.unchanged) == (0, 0, len(bars))
    pd.testing.assert_frame_equal(as_of(store, ("FB", "IBM"), LAST, WEDNESDAY), bars)


def test_a_correction_counts_from_when_it_was_known(store: PriceStore, bars: pd.DataFrame) -> None:
    corrected = changed(bars, 3, 1.01)
    store.append(check_bars(bars, CLOCK), MONDAY)
    assert store.append(check_bars(corrected, CLOCK), TUESDAY).revised == 1
    pd.testing.assert_frame_equal(as_of(store, ("FB", "IBM"), LAST, MONDAY), bars)
    pd.testing.assert_frame_equal(as_of(store, ("FB", "IBM"), LAST, TUESDAY), corrected)


def test_history_from_before_it_was_first_known_is_the_newest_there_is(store: PriceStore, bars: pd.DataFrame) -> None:
    store.append(check_bars(bars, CLOCK), TUESDAY)
    store.append(check_bars(changed(bars, 3, 1.01), CLOCK), WEDNESDAY)
    pd.testing.assert_frame_equal(as_of(store, ("FB", "IBM"), LAST, MONDAY), changed(bars, 3, 1.01))


def test_jitter_is_no_revision(store: PriceStore, bars: pd.DataFrame) -> None:
    store.append(check_bars(bars, CLOCK), MONDAY)
    assert store.append(check_bars(changed(bars, 3, 1 + 2e-7), CLOCK), TUESDAY).revised == 0


def test_a_clock_that_runs_backwards_loses_no_revision(store: PriceStore, bars: pd.DataFrame) -> None:
    store.append(check_bars(bars, CLOCK), TUESDAY)
    store.append(check_bars(changed(bars, 3, 1.01), CLOCK), MONDAY)
    pd.testing.assert_frame_equal(as_of(store, ("FB", "IBM"), LAST, WEDNESDAY), changed(bars, 3, 1.01))


def test_sources_do_not_mix(tmp_path: Path, bars: pd.DataFrame) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'p.db'}")
    PriceStore(engine, "files").append(check_bars(changed(bars, 0, 3.0), CLOCK), MONDAY)
    PriceStore(engine, "sample").append(check_bars(bars, CLOCK), MONDAY)
    pd.testing.assert_frame_equal(as_of(PriceStore(engine, "sample"), ("FB", "IBM"), LAST, MONDAY), bars)


@pytest.mark.parametrize(
    ("column", "value", "verdict", "rule"),
    [
        ("close", np.nan, "quarantine", "missing_price"),
        ("low", -1.0, "reject", "not_positive"),
        ("high", 0.5, "quarantine", "high_below_low"),
        ("open", 500.0, "quarantine", "outside_range"),
        ("volume", -5.0, "quarantine", "negative_volume"),
        ("volume", 0.0, "warn", "no_volume"),
        ("session", pd.Timestamp("2013-01-21"), "quarantine", "no_session"),
    ],
)
def test_each_fault_has_its_verdict(bars: pd.DataFrame, column: str, value: object, verdict: str, rule: str) -> None:
    faulty = bars.copy()
    faulty.loc[7, column] = value
    checked = check_bars(faulty, CLOCK)
    found = checked.verdicts[checked.verdicts["rule"] == rule]
    assert found["verdict"].tolist() == [verdict]
    assert len(checked.kept) == len(bars) - (verdict != "warn")


def test_good_bars_raise_no_alarm(bars: pd.DataFrame) -> None:
    assert check_bars(bars, CLOCK).counts() == {"accept": len(bars), "warn": 0, "quarantine": 0, "reject": 0}


def test_the_same_row_twice_is_one_and_two_different_are_none(bars: pd.DataFrame) -> None:
    twice = pd.concat([bars, bars.iloc[[4]]], ignore_index=True)
    assert len(check_bars(twice, CLOCK).kept) == len(bars)
    different = pd.concat([bars, changed(bars, 4, 1.1).iloc[[4]]], ignore_index=True)
    assert len(check_bars(different, CLOCK).kept) == len(bars) - 1


def test_what_is_held_back_is_listed_once(store: PriceStore, bars: pd.DataFrame) -> None:
    faulty = changed(bars, 4, -1.0)
    for _ in range(2):
        store.append(check_bars(faulty, CLOCK), MONDAY)
    held = quarantine.held_back(store.engine, "sample", ("FB", "IBM"), LAST)
    assert held[["symbol", "verdict", "rule"]].to_dict("records") == [
        {"symbol": "FB", "verdict": "reject", "rule": "not_positive"}
    ]
    assert len(as_of(store, ("FB", "IBM"), LAST, TUESDAY)) == len(bars) - 1


def test_gaps_are_the_sessions_without_a_bar(bars: pd.DataFrame) -> None:
    missing = gaps(bars.drop(index=10), CLOCK.at(date(2013, 2, 6)))
    days = missing[missing["symbol"] == "FB"]["session"].dt.date.tolist()
    assert days == [bars.loc[10, "session"].date(), date(2013, 2, 5), date(2013, 2, 6)]


def test_a_snapshot_is_named_by_its_bytes(tmp_path: Path, bars: pd.DataFrame) -> None:
    one = write_snapshot(tables(bars), LAST, tmp_path / "a")
    other = write_snapshot(tables(bars), LAST, tmp_path / "b")
    assert one.digest == other.digest == one.path.stem
    assert write_snapshot(tables(changed(bars, 0, 1.01)), LAST, tmp_path / "a").digest != one.digest
    pd.testing.assert_frame_equal(read_snapshot(one), bars)


def test_a_changed_snapshot_is_refused(tmp_path: Path, bars: pd.DataFrame) -> None:
    frozen = write_snapshot(tables(bars), LAST, tmp_path)
    content = bytearray(frozen.path.read_bytes())
    content[len(content) // 2] ^= 1
    frozen.path.write_bytes(content)
    with pytest.raises(CorruptFile):
        read_snapshot(frozen)
    with pytest.raises(MissingStep):
        read_snapshot(Snapshot(path=tmp_path / "none", digest=""))
