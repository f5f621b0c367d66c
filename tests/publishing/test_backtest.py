"""What a backtest looks like: two pictures, a table in the terminal, and files in the promised columns."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pipeline.errors import BadFile, CorruptFile
from pipeline.evaluation.backtest_results import BacktestSummary
from pipeline.publishing.charts import backtest_png
from pipeline.publishing.tables import backtest_tables
from pipeline.publishing.terminal import backtest_text
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.documents import from_document, to_document
from tests.editions import forecasts, score


def result(**changes: Any) -> BacktestSummary:
    """The summary of a small backtest."""
    document = {
        "first": "2012-06-01",
        "last": "2012-06-12",
        "refit_every": 4,
        "network": "lstm",
        "best_baseline": "ewma_historical",
        "windows": {"forecast": 24, "scored": 18},
        "without_forecast": [],
        "withheld": [],
        "folds": [
            {"number": 1, "first": "2012-06-01", "last": "2012-06-06", "trained": True, "reason": None},
            {"number": 2, "first": "2012-06-07", "last": "2012-06-12", "trained": True, "reason": None},
        ],
        "scores": {
            "first": "2012-06-01",
            "last": "2012-06-11",
            "sessions": 3,
            "windows": 18,
            "models": {"lstm": score(82.0), "ewma_historical": score(84.0), "random_walk": score(90.0)},
        },
        "sessions": ["2012-06-01", "2012-06-07", "2012-06-11"],
        "gained_bp": [1.0, -2.0, 6.0],
        "crps_bp": {},
        "data_digest": "d" * 64,
        "sha256": "a" * 64,
        "rows": 24,
        **changes,
    }
    document["folds"] = [{"sha256": "f" * 64, "number": 1, **fold} for fold in document["folds"]]
    return from_document(BacktestSummary, document, where="backtest.json", remedy="fix the test")


def shown(content: BacktestSummary) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(backtest_text.show(content, file="forecasts.parquet"))
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")  # type: ignore[attr-defined]


def test_the_same_content_gives_the_same_pictures(tmp_path: Path) -> None:
    first, again = (backtest_png.draw(result(), tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["skill.png", "coverage.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = backtest_png.draw(result(gained_bp=[0.0, 0.0, 0.0]), tmp_path / "c")
    assert other[0].read_bytes() != first[0].read_bytes()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"gained_bp": [], "best_baseline": None, "scores": {"models": {}}, "sessions": []}, []),
        ({"gained_bp": []}, ["coverage.png"]),
        ({"gained_bp": [3.0], "sessions": ["2012-06-01"]}, ["skill.png", "coverage.png"]),
    ],
)
def test_what_cannot_be_drawn_is_left_out(tmp_path: Path, changes: dict[str, Any], names: list[str]) -> None:
    assert [path.name for path in backtest_png.draw(result(**changes), tmp_path)] == names


def test_the_terminal_shows_every_model_beside_the_best_baseline() -> None:
    text = shown(result())
    assert "LSTM: CRPS 82.00 bp, skill +2.38 % against the best baseline in hindsight (EWMA), 2 folds" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    table = [line.split() for line in text.splitlines()]
    assert ["LSTM", "82.00", "+2.4", "%", "50.0", "%", "80.0", "%", "90.0", "%"] in table
    assert ["Random", "walk", "90.00", "−7.1", "%", "50.0", "%", "80.0", "%", "90.0", "%"] in table
    assert "6 of 24 origins are not scored" in text
    middle = "LSTM: direction correct in 51.2 % (47.1 – 55.3 %; always up: 53.0 %), rank IC 0.021 (t 1.26)"
    assert middle in text


def test_the_terminal_says_whether_it_may_be_chance_and_what_is_too_good_to_be_true() -> None:
    pair = {"model": "lstm", "baseline": "ewma_historical", "t": -2.5, "p": 0.006, "p_holm": 0.012}
    other = {**pair, "baseline": "random_walk", "p_holm": 0.5}
    untested = {**pair, "t": None, "p": None, "p_holm": None}
    scores = {**to_document(result().scores), "suspect": {"lstm": ["its ranges hold every close"]}}
    text = shown(result(scores={**scores, "comparisons": [other, pair]}))
    assert "p 0.012" in " ".join(text.split())
    assert "its ranges hold every close; look for a leak" in text
    assert "Diebold" not in shown(result(scores={**scores, "comparisons": [untested]}))


def test_the_terminal_shows_event_sessions_and_others_separately_where_there_is_a_calendar() -> None:
    on = {"windows": 40, "sessions": 21, "crps_bp": 187.0, "coverage_50": 0.5, "coverage_80": 0.8, "coverage_90": 0.62}
    skilled = {"baseline": "ewma_historical", "skill_percent": 3.28, "t": 2.14}
    events = {"on": {**on, "range_90_bp": 1044.2, **skilled}, "off": None}
    document = to_document(result().scores)
    document["models"]["lstm"]["events"] = events  # type: ignore[index,call-overload]
    text = shown(result(scores=document))
    assert "Next session only, sessions that a scheduled report may move: 40 forecasts by each model" in text
    row = ["LSTM", "187.00", "+3.3", "%", "2.1", "50.0", "%", "80.0", "%", "62.0", "%", "1044"]
    assert row in [line.replace(",", "").split() for line in text.splitlines()]
    assert "all other sessions" not in text
    assert "Next session only" not in shown(result())


def test_the_terminal_says_where_there_was_no_network_and_where_nothing_could_be_scored() -> None:
    untrained = {"number": 1, "first": "2012-06-01", "last": "2012-06-12", "trained": False, "reason": "[b]too little"}
    models = {"ewma_historical": score(84.0)}
    text = shown(result(folds=[untrained], scores={**to_document(result().scores), "models": models}))
    assert "no network could be trained" in text
    assert "no network, [b]too little" in text
    assert "no target has matured" in shown(result(scores={"models": {}}, best_baseline=None))


def test_the_terminal_names_what_is_not_forecast_and_why_those_without_any_forecast_first() -> None:
    span = {"first": "2012-06-01", "last": "2012-06-12", "sessions": 8}
    once = {"first": "2012-06-05", "last": "2012-06-05", "sessions": 1}
    withheld = [{"symbol": "AAA", "reason": "a [b]split", **once}, {"symbol": "NEW", "reason": "has no bar", **span}]
    lines = shown(result(without_forecast=["NEW"], withheld=withheld)).splitlines()
    new = lines.index("NEW: no forecast from 8 sessions, 2012-06-01 to 2012-06-12: has no bar")
    assert lines[new + 1] == "AAA: no forecast from 1 session, 2012-06-05: a [b]split"
    many = [{"symbol": f"S{number:02}", "reason": "r", **once} for number in range(25)]
    assert "and 5 more reasons for no forecast: see backtest.json" in shown(result(withheld=many))


def test_parquet_and_csv_hold_the_same_rows_whatever_order_the_parts_come_in(tmp_path: Path) -> None:
    parts = [_dated(forecasts(model=model, version="1")) for model in ("lstm", "random_walk")]
    frame = backtest_tables.in_order(parts)
    assert backtest_tables.as_parquet(frame) == backtest_tables.as_parquet(backtest_tables.in_order(parts[::-1]))
    for name in ("a.parquet", "a.csv"):
        backtest_tables.write(frame, tmp_path / name)
    table = pd.read_parquet(tmp_path / "a.parquet")
    text = pd.read_csv(tmp_path / "a.csv", dtype={"model_version": "str"})
    assert list(table.columns) == list(text.columns)
    assert table["report_due"].tolist() == text["report_due"].tolist() == frame["report_due"].tolist()
    assert table["q0.05"].tolist() == text["q0.05"].tolist()
    assert table["as_of"].astype(str).tolist() == text["as_of"].tolist()
    digest = sha256_bytes((tmp_path / "a.parquet").read_bytes())
    pd.testing.assert_frame_equal(backtest_tables.read_parquet(tmp_path / "a.parquet", digest), frame)
    with pytest.raises(CorruptFile, match=r"a\.parquet"):
        backtest_tables.read_parquet(tmp_path / "a.parquet", "0" * 64)


@pytest.mark.parametrize("name", ["frame.xlsx", "frame", "nowhere/frame.csv"])
def test_a_file_that_cannot_be_written_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadFile, match=name):
        backtest_tables.check(tmp_path / name)


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    days = {name: pd.to_datetime(frame[name]).astype("datetime64[s]") for name in ("as_of", "target_session")}
    due = pd.array([True, False] * (len(frame) // 2), dtype="boolean")
    types = {"symbol": "str", "model": "str", "model_version": "str"}
    return frame.assign(**days, report_due=due).astype(types)
