"""Rates of the track record: by session, over the last quarter, by symbol."""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import track_record
from pipeline.evaluation.recent_rates import RecentRates
from pipeline.storage.documents import dump, from_document

RANDOM = np.random.default_rng(4)


def record(sessions: int = 100, symbols: tuple[str, ...] = ("A", "B"), steps: int = 5) -> pd.DataFrame:
    days = [date(2026, 1, 1) + timedelta(days=at) for at in range(sessions)]
    rows = pd.DataFrame([(symbol, day) for day in days for symbol in symbols for _ in range(steps)])
    rows.columns = ["symbol", "target_session"]
    scores = {"crps_bp": RANDOM.uniform(50, 90, len(rows)), "baseline_crps_bp": RANDOM.uniform(50, 90, len(rows))}
    inside = {f"inside_{name}": RANDOM.random(len(rows)) < name / 100 for name in (50, 80, 90)}
    return rows.assign(**scores, **inside, in_time=True).sample(frac=1, random_state=1)


def slowly(rows: pd.DataFrame) -> dict[str, float]:
    """The rates of some rows, said as plainly as can be."""
    crps, baseline = rows["crps_bp"].mean(), rows["baseline_crps_bp"].mean()
    coverage = {f"coverage_{name}": rows[f"inside_{name}"].mean() for name in (50, 80, 90)}
    return {
        "crps_bp": crps,
        "baseline_crps_bp": baseline,
        "skill_percent": 100 * (1 - crps / baseline),
        **coverage,
        "forecasts": len(rows),
    }


def test_each_session_has_its_rates_and_those_of_the_quarter_before() -> None:
    rows = record()
    table = track_record.by_session(rows)
    days = sorted(rows["target_session"].unique())
    assert list(table.index) == days
    for at in (0, 10, 99):
        alone = rows[rows["target_session"] == days[at]]
        recent = rows[rows["target_session"].isin(days[max(0, at + 1 - track_record.ROLLING) : at + 1])]
        expected = slowly(alone) | {f"rolling_{name}": value for name, value in slowly(recent).items()}
        assert table.iloc[at].to_dict() == pytest.approx(expected)


def test_recent_rates_are_those_of_the_last_quarter_in_total_and_by_symbol() -> None:
    rows = record()
    recent = rows[rows["target_session"] >= sorted(rows["target_session"].unique())[-track_record.ROLLING]]
    rates = track_record.recent_rates(rows)
    assert (rates.sessions, rates.breach) == (track_record.ROLLING, None)
    assert rates.numbers == pytest.approx({**slowly(recent), "sessions": track_record.ROLLING})
    table = track_record.by_symbol(rows)
    for symbol in ("A", "B"):
        assert table.loc[symbol].to_dict() == pytest.approx(slowly(recent[recent["symbol"] == symbol]))


@pytest.mark.parametrize(("held", "out"), [(0.5, True), (0.82, False), (0.9, False), (0.96, False), (1.0, True)])
def test_a_coverage_out_of_bounds_is_said(held: float, out: bool) -> None:
    rows = record(sessions=50).reset_index(drop=True)
    rows["inside_90"] = rows.index < held * len(rows)
    assert (track_record.recent_rates(rows).breach is not None) == out


def with_reports(sessions: int = 100) -> pd.DataFrame:
    """A record in which every fifth forecast is of an event session, its range three times as wide."""
    rows = record(sessions, steps=1).assign(step=1).reset_index(drop=True)
    due = rows.index % 5 == 0
    half = np.where(due, 0.06, 0.02)
    quantiles = [json.dumps({"0.05": 100 * np.exp(-each), "0.95": 100 * np.exp(each)}) for each in half]
    later = rows.assign(step=2, inside_90=False, report_due=due, quantiles=quantiles)
    unknown = rows.assign(inside_90=False, report_due=None, quantiles=quantiles)
    return pd.concat([rows.assign(report_due=due, quantiles=quantiles), later, unknown], ignore_index=True)


def test_event_sessions_and_others_have_rates_of_the_first_step_over_the_last_quarter() -> None:
    rows = with_reports()
    split = track_record.recent_rates(rows).events
    recent = rows[rows["target_session"] >= sorted(rows["target_session"].unique())[-track_record.ROLLING]]
    first = recent[(recent["step"] == 1) & recent["report_due"].notna()]
    assert split is not None
    for part, due, width in ((split.on, True, 1200.0), (split.off, False, 400.0)):
        mine = first[first["report_due"].astype(bool) == due]
        expected = slowly(mine)
        assert part is not None
        assert part.windows == len(mine) > 0
        assert part.coverage[90] == pytest.approx(expected["coverage_90"])
        assert (part.crps_bp, part.skill_percent) == pytest.approx((expected["crps_bp"], expected["skill_percent"]))
        assert part.range_90_bp == pytest.approx(width)
    assert track_record.recent_rates(record()).events is None


def test_each_session_has_the_rates_of_event_sessions_and_of_others_up_to_it() -> None:
    rows = with_reports(10)
    table = track_record.by_session(rows)
    first = rows[(rows["step"] == 1) & rows["report_due"].notna()]
    last = table.iloc[-1]
    for kind, due in (("events", True), ("other", False)):
        expected = slowly(first[first["report_due"].astype(bool) == due])
        found = {name: last[f"{kind}/rolling_{name}"] for name in expected}
        assert found == pytest.approx(expected)


def test_without_a_report_so_far_the_rates_of_event_sessions_are_unknown() -> None:
    rows = with_reports(3).assign(report_due=False)
    split = track_record.event_split(rows)
    assert split is not None
    assert split.on is None
    assert track_record.by_session(rows)["events/rolling_coverage_90"].isna().all()


def test_rates_with_a_split_are_written_and_read_and_named_for_metrics() -> None:
    rates = track_record.recent_rates(with_reports())
    document = json.loads(dump(rates))
    assert from_document(RecentRates, document, where="live.json", remedy="run `score` again") == rates
    assert rates.event_numbers["events_coverage_90"] == document["events"]["on"]["coverage_90"]
    assert {name.partition("_")[0] for name in rates.event_numbers} == {"events", "other"}


def test_the_two_kinds_are_told_apart_and_an_empty_one_is_none() -> None:
    rows = record(sessions=3).assign(in_time=lambda frame: frame["symbol"] == "A")
    kinds = track_record.by_kind(rows)
    assert {kind: set(part["symbol"]) for kind, part in kinds.items()} == {"live": {"A"}, "replayed": {"B"}}
    assert list(track_record.by_kind(rows[rows["symbol"] == "B"])) == ["replayed"]
    assert track_record.by_kind(rows.iloc[:0]) == {}


def test_recent_rates_are_written_and_read_as_flat_documents() -> None:
    rates = track_record.recent_rates(record())
    document = json.loads(dump(rates))
    assert document["coverage_90"] == rates.coverage[90]
    assert from_document(RecentRates, document, where="live.json", remedy="run `score` again") == rates
