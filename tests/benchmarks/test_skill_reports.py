"""The skill benchmark on sessions with a scheduled report and on others, and against each baseline."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.skill.tables import as_markdown
from tests.benchmarks.made_forecasts import (
    Frames,
    judged_and_scored,
    made_forecasts,
    made_prices,
    slow_crps,
    slow_t,
)

DUE = {"2020-02-12", "2020-05-13"}


def flagged(frame: pd.DataFrame) -> pd.DataFrame:
    """The product's forecasts: before a report of A and B on two days."""
    due = frame["as_of"].dt.strftime("%Y-%m-%d").isin(DUE) & frame["symbol"].isin(["A", "B"])
    return frame.assign(report_due=due.astype("boolean"))


def frames(prices: pd.DataFrame) -> Frames:
    widths = {("lstm", 1): 0.010, ("lstm", 2): 0.014, ("darts", 1): 0.03}
    made: Frames = {key: made_forecasts(prices, key[0], width=width) for key, width in widths.items()}
    for name, width in (("garch", 0.02), ("random_walk", 0.025)):
        made[name, None] = flagged(made_forecasts(prices, name, width=width))
    return made


def test_the_next_session_is_scored_apart_where_the_product_says_that_a_report_was_due(tmp_path: Path) -> None:
    prices = made_prices()
    made = frames(prices)
    table = judged_and_scored(tmp_path, made, prices, (1, 5))
    found = table["by_event"]
    assert found["baseline"] == "garch"
    rows = {(row["model"], row["seed"]): row for row in found["rows"] if "seeds" not in row}
    assert set(rows) == set(made)
    slow = {key: slow_crps(frame, prices, 1) for key, frame in made.items()}
    due = [one for one in slow["garch", None] if str(one[1].date()) in DUE and one[0] != "C"]
    other = [one for one in slow["garch", None] if one not in due]
    for key, row in rows.items():
        for kind, windows in (("events", due), ("other", other)):
            assert row[kind]["windows"] == len(windows)
            assert row[kind]["crps_bp"] == pytest.approx(np.mean([slow[key][one] for one in windows]))
    assert len(due) == 4
    assert rows["darts", 1]["events"]["range_90_bp"] == pytest.approx(2 * 1.6 * 0.03 * 1e4)
    gain = 1 - rows["lstm", 1]["other"]["crps_bp"] / rows["garch", None]["other"]["crps_bp"]
    assert rows["lstm", 1]["other"]["skill_percent"] == pytest.approx(100 * gain)
    assert "skill_percent" not in rows["garch", None]["events"]
    (mean,) = (row for row in found["rows"] if row.get("seeds") == 2)
    both = [rows["lstm", seed]["events"] for seed in (1, 2)]
    for name in ("crps_bp", "coverage_90", "range_90_bp"):
        assert mean["events"][name] == pytest.approx(np.mean([row[name] for row in both]))


def test_every_model_is_compared_with_every_baseline(tmp_path: Path) -> None:
    prices = made_prices()
    made = frames(prices)
    table = judged_and_scored(tmp_path, made, prices, (1,))
    rows = {(row["model"], row["seed"]): row["against"] for row in table["by_baseline"] if "seeds" not in row}
    assert {key: set(against) for key, against in rows.items()} == {
        ("random_walk", None): {"garch"},
        ("garch", None): {"random_walk"},
        ("lstm", 1): {"garch", "random_walk"},
        ("lstm", 2): {"garch", "random_walk"},
        ("darts", 1): {"garch", "random_walk"},
    }
    losses = {}
    for key in (("lstm", 1), ("garch", None)):
        by_day: dict[pd.Timestamp, list[float]] = {}
        for (_, day), loss in slow_crps_of_one(made[key], prices).items():
            by_day.setdefault(day, []).append(loss)
        losses[key] = [float(np.mean(by_day[day])) for day in sorted(by_day)]
    gap = [theirs - mine for mine, theirs in zip(losses["lstm", 1], losses["garch", None], strict=True)]
    assert rows["lstm", 1]["garch"]["t"] == pytest.approx(slow_t(gap, 1))
    assert rows["lstm", 1]["garch"]["skill_percent"] == pytest.approx(100 * sum(gap) / sum(losses["garch", None]))


def slow_crps_of_one(frame: pd.DataFrame, prices: pd.DataFrame) -> dict[tuple[str, pd.Timestamp], float]:
    """The naive CRPS of every window with one later session, not five."""
    more = [prices]
    for _, rows in prices.groupby("symbol"):
        last = rows.iloc[-1]
        days = pd.bdate_range(last["session"], periods=5)[1:]
        more.append(pd.DataFrame({**last.to_dict(), "session": days}).astype({"session": "datetime64[s]"}))
    longer = pd.concat(more).sort_values(["symbol", "session"], ignore_index=True)
    return slow_crps(frame, longer, 1)


def test_the_tables_show_both(tmp_path: Path) -> None:
    prices = made_prices()
    text = as_markdown(judged_and_scored(tmp_path, frames(prices), prices, (1, 5)))
    assert "| model | seed | better than `random_walk` by (t) | better than `garch` by (t) |" in text
    assert "| after or on the day of a report | `darts` | 1 | 4 | 100.0% | 960 |" in text
    assert "| all others | **`lstm`** | mean of 2 |" in text


@pytest.mark.parametrize("steps", [(1, 5), (2, 5)])
def test_without_flags_or_without_the_next_session_there_is_no_split(tmp_path: Path, steps: tuple[int, ...]) -> None:
    prices = made_prices()
    made = frames(prices)
    if steps[0] == 1:
        made = {key: frame.drop(columns="report_due", errors="ignore") for key, frame in made.items()}
        made["garch", None]["report_due"] = pd.array([pd.NA] * len(made["garch", None]), dtype="boolean")
    table = judged_and_scored(tmp_path, made, prices, steps)
    assert table["by_event"] is None
    assert "next session only" not in as_markdown(table)
