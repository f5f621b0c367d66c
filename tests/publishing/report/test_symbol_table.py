"""The table on top: what each row says, and what it is sorted by."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest

from pipeline.prices.audit_types import Audit, Problem
from pipeline.publishing.edition import Edition
from pipeline.publishing.report.symbol_table import SymbolRow, forecast_of_last_close, rows, skill_by_symbol
from pipeline.storage.documents import to_document


@pytest.fixture
def table(make_edition: Callable[..., Edition]) -> Callable[..., dict[str, SymbolRow]]:
    def made(**fields: Any) -> dict[str, SymbolRow]:
        edition = make_edition(**fields)
        return {row.symbol: row for row in rows(edition)}

    return made


def scored(edition: Edition, by_symbol: dict[str, dict[str, float]]) -> dict[str, Any]:
    models = {name: dict(scores) for name, scores in to_document(edition.scores)["models"].items()}
    for name, crps in by_symbol.items():
        models[name]["by_symbol"] = {symbol: {"crps_bp": value} for symbol, value in crps.items()}
    return {**to_document(edition.scores), "models": models}


def test_a_row_says_last_close_ranges_and_no_more_where_nothing_is_known(
    table: Callable[..., dict[str, SymbolRow]],
) -> None:
    row = table()["AAPL"]
    assert row.last_close == "100.00"
    assert [prices for prices, _ in row.ranges] == ["98.71 – 101.31", "98.18 – 101.86"]
    assert (row.against, row.skill, row.warnings) == (None, None, [])
    assert row.by["next"] == pytest.approx(0.026, abs=1e-3)
    assert row.by["skill"] is None


def test_the_range_before_is_the_one_for_the_last_close(
    table: Callable[..., dict[str, SymbolRow]], make_recent: Callable[..., pd.DataFrame]
) -> None:
    against = table(recent=make_recent())["AAPL"].against
    assert (against.where, against.beyond, against.change) == ("above", True, "+5.0\N{NO-BREAK SPACE}%")
    assert against.wider == pytest.approx(0, abs=1e-9)
    stale = make_recent().iloc[:-1]
    assert table(recent=stale)["AAPL"].against is None, "that forecast was for the session before the last"


def test_a_narrower_range_says_so(
    table: Callable[..., dict[str, SymbolRow]], make_recent: Callable[..., pd.DataFrame]
) -> None:
    before = make_recent().assign(**{"q0.1": 97.0, "q0.9": 103.0, "close": 98.0})
    against = table(recent=before)["AAPL"].against
    assert against.where == "inside"
    assert against.width == "56.7\N{NO-BREAK SPACE}% narrower"


def test_yesterday_is_told_by_the_symbols_own_last_session(
    make_edition: Callable[..., Edition], make_recent: Callable[..., pd.DataFrame]
) -> None:
    edition = make_edition(recent=pd.concat([make_recent(), make_recent("^GSPC").iloc[:-2]]))
    assert set(forecast_of_last_close(edition)) == {"AAPL"}


def test_skill_is_against_the_best_baseline_on_the_same_symbol(
    table: Callable[..., dict[str, SymbolRow]], make_edition: Callable[..., Edition]
) -> None:
    scores = scored(
        make_edition(), {"lstm": {"AAPL": 98.0, "^GSPC": 51.0}, "ewma_historical": {"AAPL": 100.0, "^GSPC": 50.0}}
    )
    found = table(scores=scores)
    assert (found["AAPL"].skill, found["AAPL"].skilled) == ("+2.0\N{NO-BREAK SPACE}%", True)
    assert (found["^GSPC"].skill, found["^GSPC"].skilled) == ("−2.0\N{NO-BREAK SPACE}%", False)
    assert found["EURUSD=X"].skill is None


def test_a_published_baseline_has_no_skill_over_itself(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    scores = scored(make_edition(), {"ewma_historical": {"AAPL": 100.0}})
    decision = {"model": "ewma_historical", "promoted": False, "best_baseline": "ewma_historical", "reason": "Worse."}
    edition = make_edition(
        scores=scores, decision=decision, forecasts=make_forecasts(model="ewma_historical", version="")
    )
    assert skill_by_symbol(edition) == {}


def test_a_stand_in_is_a_warning_and_has_no_skill(
    table: Callable[..., dict[str, SymbolRow]],
    make_edition: Callable[..., Edition],
    make_forecasts: Callable[..., pd.DataFrame],
) -> None:
    frame = make_forecasts(("AAPL", "FB"))
    frame.loc[frame["symbol"] == "FB", "model"] = "random_walk"
    both = {"AAPL": 98.0, "FB": 98.0}
    row = table(forecasts=frame, scores=scored(make_edition(), {"lstm": both, "ewma_historical": both}))["FB"]
    assert row.warnings == ["Random walk"]
    assert row.skill is None
    assert row.by["warnings"] == 1


def test_bars_held_back_and_ranges_that_hold_too_little_are_warnings(
    table: Callable[..., dict[str, SymbolRow]],
) -> None:
    problem = Problem(symbol="AAPL", session=date(2013, 2, 27), verdict="quarantine", rule="spike", detail="x")
    audit = Audit(problems=(problem, replace(problem, verdict="reject"), replace(problem, verdict="warn")))
    recent = pd.DataFrame({"coverage_90": [0.5, 0.9]}, index=["AAPL", "^GSPC"])
    found = table(audit=audit, live_by_symbol={"live": recent}, out_of_bounds=("AAPL",))
    coverage = "90 % range: coverage 50.0\N{NO-BREAK SPACE}% recently"
    assert found["AAPL"].warnings == ["2 bars quarantined or rejected", coverage]
    assert found["^GSPC"].warnings == []
    assert table(live_by_symbol={"live": recent})["AAPL"].warnings == [], (
        "it is for the judge to say what is too little"
    )
