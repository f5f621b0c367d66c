"""The report: it stands alone, says what is published and why, and lets nothing through that came from outside."""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from pipeline.prices.audit_types import Audit, Note, Problem, Reason
from pipeline.publishing.edition import Edition
from pipeline.publishing.report.page import as_html
from pipeline.storage.documents import to_document

HOSTILE = "<script>alert('x')</script>"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(make_edition: Callable[..., Edition]) -> Callable[..., Page]:
    return lambda **fields: Page(as_html(make_edition(**fields)))


def test_the_page_asks_for_nothing_from_outside(page: Callable[..., Page], live: pd.DataFrame) -> None:
    links = {"mlflow_url": "http://127.0.0.1:5000/#/runs/r1", "airflow_url": "http://127.0.0.1:8080/dags/d/runs/m"}
    shown = page(live=live, provenance={"mlflow_run_id": "r1", "run_id": "m", **links})
    assert not {tag for tag, _ in shown.tags} & {"link", "iframe", "img", "object", "embed"}
    for tag, attributes in shown.tags:
        assert not set(attributes) & {"src", "srcset", "data", "action", "background", "xlink:href"}
        assert not [name for name in attributes if name.startswith("on")]
        href = attributes.get("href")
        assert href is None or (tag == "a" and (href.startswith("#") or href in links.values()))
    assert set(links.values()) <= {attributes.get("href") for _, attributes in shown.tags}
    policy = next(attributes["content"] for _, attributes in shown.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_no_script_may_run_but_its_own(make_edition: Callable[..., Edition]) -> None:
    html = as_html(make_edition()).decode()
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import\(|eval|innerHTML|localStorage", script)


def test_the_style_asks_for_nothing_from_outside(make_edition: Callable[..., Edition]) -> None:
    html = as_html(make_edition()).decode()
    assert not re.search(r"url\(|@import|@font-face", html)


def test_what_came_from_outside_is_escaped_everywhere(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame], live: pd.DataFrame
) -> None:
    edition = make_edition(
        forecasts=make_forecasts((HOSTILE,), model=HOSTILE),
        exchange=HOSTILE,
        withheld=[{"symbol": HOSTILE, "reason": HOSTILE}],
        fallbacks=[{"symbol": HOSTILE, "reason": HOSTILE}],
        decision={
            "model": "lstm",
            "model_version": HOSTILE,
            "reason": HOSTILE,
            "champion": {"version": HOSTILE, "network": HOSTILE},
            "best_baseline": "ewma_historical",
        },
        scores={
            "models": {HOSTILE: {"crps_bp": 1.0}, "lstm": {"crps_bp": 2.0}},
            "comparisons": [{"model": HOSTILE, "baseline": HOSTILE, "skill_percent": 1.0}],
        },
        live=live.assign(model=HOSTILE, model_version=HOSTILE),
        audit=Audit(
            warn=1,
            problems=(Problem(symbol=HOSTILE, session=date(2013, 2, 1), verdict="warn", rule=HOSTILE, detail=HOSTILE),),
            notes=(Note(symbol=HOSTILE, rule=HOSTILE, detail=HOSTILE),),
        ),
        provenance={
            "source": HOSTILE,
            HOSTILE: HOSTILE,
            "mlflow_run_id": HOSTILE,
            "mlflow_url": "javascript:alert(1)",
            "run_id": HOSTILE,
            "airflow_url": "javascript:alert(2)",
        },
    )
    html = as_html(edition).decode()
    assert html.count("<script") == 1  # its own
    assert "javascript:" not in html
    assert html.count("&lt;script&gt;") > 10


def test_the_settings_of_the_run_are_listed_as_they_are_written(page: Callable[..., Page]) -> None:
    frozen = {"files": None, "files_dates": "", "inputs": ["return", "gap"], "markets": [["SR", "XSAU"]], "horizon": 5}
    text = page(provenance={"settings": frozen}).text
    assert "Settings of the run inputs return gap, markets SR=XSAU, horizon 5" in text


def test_bytes_depend_on_the_edition_alone(make_edition: Callable[..., Edition], live: pd.DataFrame) -> None:
    assert as_html(make_edition(live=live)) == as_html(make_edition(live=live))


def test_it_says_on_top_which_day_which_model_and_how_good(page: Callable[..., Page]) -> None:
    text = page().text
    assert "Forecast ranges for Monday 4 March 2013" in text
    assert "Today's network is published: LSTM, version 3 The challenger takes over." in text
    assert "82.0 basis points: skill +2.4 % against the best baseline, EWMA" in text
    assert "are calibrated: they contained 90.0 % of the closes" in text


def test_it_says_that_the_baseline_is_published_because_no_network_beat_it(
    page: Callable[..., Page], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    decision = {"model": "ewma_historical", "promoted": False, "best_baseline": "ewma_historical", "reason": "Worse."}
    text = page(forecasts=make_forecasts(model="ewma_historical", version="ab12"), decision=decision).text
    assert "No network beat the best baseline beyond chance, so EWMA is published Worse." in text


def test_a_champion_that_stays_is_judged_by_its_own_scores(
    page: Callable[..., Page], make_edition: Callable[..., Edition]
) -> None:
    decision = {
        "model": "lstm",
        "model_version": "2",
        "promoted": False,
        "champion": {"version": "2", "as_of": "2013-02-28", "network": "lstm"},
        "best_baseline": "ewma_historical",
    }
    scores = to_document(make_edition().scores)
    models = {**scores["models"], "champion": {"crps_bp": 80.0, "coverage_90": 0.84}}
    text = page(decision=decision, scores={**scores, "models": models}).text
    assert "The champion of 28 February 2013 is published: LSTM, version 2" in text
    assert "80.0 basis points" in text
    assert "too narrow" in text
    assert "Champion: LSTM, version 2, of 28 February 2013 published" in text


def test_every_symbol_has_its_ranges_its_chart_and_its_steps(page: Callable[..., Page]) -> None:
    shown = page()
    assert "Next session Mon 4 Mar, 80 %" in shown.text
    assert "In 2 sessions Tue 5 Mar, 80 %" in shown.text
    assert "98.71 – 101.31 −1.3 % to +1.3 %" in shown.text
    assert len([1 for tag, attributes in shown.tags if tag == "svg" and attributes["class"] == "fan"]) == 3
    assert "90 % range of EWMA" in shown.text


def test_one_session_ahead_needs_no_second_pair_of_columns(page: Callable[..., Page]) -> None:
    text = page(horizon=1).text
    assert "Next session Mon 4 Mar, 80 %" in text
    assert "In 1 session" not in text


def test_withheld_and_stand_ins_are_shown_with_their_reasons(
    page: Callable[..., Page], make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    frame = make_forecasts(("AAPL", "FB"))
    frame.loc[frame["symbol"] == "FB", "model"] = "random_walk"
    fallbacks = [{"symbol": "FB", "reason": "too short for the network"}]
    text = page(forecasts=frame, fallbacks=fallbacks, withheld=[{"symbol": "NEW", "reason": "31 sessions"}]).text
    assert "No forecast today NEW : 31 sessions" in text
    assert "Forecast by another model FB : too short for the network" in text
    assert "FB Random walk" in text


def test_the_live_record_stands_beside_the_baseline(page: Callable[..., Page], live: pd.DataFrame) -> None:
    text = page(live=live).text
    assert "Forecasts published before their session closed: 2 have matured, from 2 sessions." in text
    assert "Replays" not in text
    assert "CRPS was 80.0 basis points, the baseline's on the same closes 80.0 (skill +0.0" in text
    assert "27 February 2013 LSTM, version 2 1 1 of 1 40.0 50.0 +20.0" in text


def test_the_record_is_there_symbol_by_symbol_the_worst_first(page: Callable[..., Page], live: pd.DataFrame) -> None:
    held = {"coverage_50": [0.5, 0.4], "coverage_80": [0.8, 0.6], "coverage_90": [0.91, 0.7]}
    table = pd.DataFrame({**held, "skill_percent": [2.0, -3.0], "forecasts": [1300.0, 300.0]}, index=["AAPL", "IBM"])
    text = page(live=live, live_by_symbol={"live": table}).text
    assert "IBM 300 40.0 % 60.0 % 70.0 % −3.0 % AAPL 1,300 50.0 % 80.0 % 91.0 % +2.0 %" in text.replace("\xa0", " ")
    assert "Symbol by symbol" not in page(live=live).text


def test_inputs_that_have_moved_are_named(page: Callable[..., Page]) -> None:
    text = page(drift={"return": 0.02, "volume_against_average": 0.31, "market_turbulence": 0.9}).text
    assert "stability index above 0.25) in market turbulence (0.90), volume against average (0.31)." in text
    assert "No input drift" in page(drift={"return": 0.02}).text
    assert "Inputs" not in page().text


def test_replays_are_no_live_record(page: Callable[..., Page], live: pd.DataFrame) -> None:
    text = page(live=live.assign(in_time=[True, False])).text
    assert "Forecasts published before their session closed: 1 have matured, from 1 session." in text
    assert "Replays, made after their session had closed (not part of the live record): 1 have matured" in text


@pytest.mark.parametrize("empty", [True, False])
def test_no_record_yet_is_one_line(page: Callable[..., Page], live: pd.DataFrame, empty: bool) -> None:
    assert "No forecast has matured yet" in page(live=live.iloc[:0] if empty else None).text


def test_each_trained_model_stands_beside_each_baseline_with_its_chance(
    page: Callable[..., Page], make_edition: Callable[..., Edition]
) -> None:
    text = page().text.replace("\xa0", " ")
    assert "Significance tests" in text
    assert "LSTM, trained today EWMA +2.4 % 2.03 0.021 0.042" in text
    assert "LSTM, trained today Random walk +8.9 % 2.03 < 0.001 < 0.001" in text
    scores = to_document(make_edition().scores)
    untested = {**scores["comparisons"][0], "skill_percent": -1.26, "t": None, "p": None, "p_holm": None}
    text = page(scores={**scores, "comparisons": [untested]}).text.replace("\xa0", " ")
    assert "LSTM, trained today EWMA −1.3 % – – –" in text
    assert "Significance tests" not in page(scores={**scores, "comparisons": []}).text


def test_a_skill_is_marked_only_where_it_passes_the_level_of_the_gate_for_all_comparisons_at_once(
    make_edition: Callable[..., Edition],
) -> None:
    def marked(level: float | None) -> int:
        evidence = {} if level is None else {"evidence": {"level": level}}
        html = as_html(make_edition(decision={**to_document(make_edition().decision), **evidence})).decode()
        return html.count('<td data-label="Skill" class="good">')

    assert [marked(level) for level in (0.10, 0.04, None)] == [2, 1, 0]


def test_the_direction_stands_beside_always_up_and_the_order_of_symbols_with_its_t(
    page: Callable[..., Page], make_edition: Callable[..., Edition]
) -> None:
    text = page().text.replace("\xa0", " ")
    assert "LSTM, trained today 1.001 51.2 % 47.1 – 55.3 % 53.0 % 0.021 1.26" in text
    assert "Random walk 1.001 51.2 % 47.1 – 55.3 % 53.0 % 0.021 1.26" in text
    scores = to_document(make_edition().scores)
    alone = {**scores["models"]["lstm"], "rank_ic": None, "rank_ic_t": None, "direction_low": None}
    text = page(scores={**scores, "models": {**scores["models"], "lstm": alone}}).text.replace("\xa0", " ")
    assert "LSTM, trained today 1.001 51.2 % – 53.0 % – –" in text


def test_on_a_phone_every_score_says_what_it_is(make_edition: Callable[..., Edition]) -> None:
    html = as_html(make_edition()).decode()
    tables = re.findall(r'<table class="stack">.*?</table>', html, re.S)
    assert len(tables) == 3
    for cell in re.findall(r"<td[^>]*>", "".join(tables)):
        assert "data-label=" in cell or "name" in cell


def test_missing_scores_are_said_not_shown_as_numbers(
    page: Callable[..., Page], make_edition: Callable[..., Edition]
) -> None:
    assert "There are no held-out scores" in page(scores={"models": {}}).text
    scores = to_document(make_edition().scores)
    text = page(scores={**scores, "models": {"lstm": {"crps_bp": 80.0}, "random_walk": {"crps_bp": 81.0}}}).text
    assert "The coverage of its ranges is not known." in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_problems_are_listed_the_worst_first_and_the_rest_counted(page: Callable[..., Page]) -> None:
    rows = [
        Problem(symbol="A", session=date(2013, 1, day), verdict="warn", rule="r", detail="d") for day in range(1, 31)
    ]
    worst = Problem(symbol="B", session=date(2001, 1, 2), verdict="quarantine", rule="high", detail="worst")
    text = page(audit=Audit(accept=1000, warn=40, quarantine=1, problems=(*rows, worst))).text
    assert "Quarantined: 1." in text
    assert text.index("worst") < text.index("2013-01-30") < text.index("And 21 more")
    assert "One bar was quarantined or rejected" in text


def test_what_is_noted_of_a_symbol_is_in_the_page(page: Callable[..., Page]) -> None:
    note = Note(symbol="A", rule="dividends_in_prices", detail="are <not> counted again")
    reason = Reason(
        verdict="quarantine", rule="unit", bars=7, symbol_count=4, symbols=("A", "B", "C"), detail="100 times"
    )
    text = page(audit=Audit(notes=(note,) * 60, reasons=(reason,))).text
    assert "Data quality" in text
    assert "A : are <not> counted again" in text or "A: are <not> counted again" in text
    assert "and 10 more" in text
    assert "unit: 7 bars of A, B, C and 1 more" in text


def test_five_hundred_symbols_stay_one_small_page(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    symbols = tuple(f"S{number:03}" for number in range(500))
    assert len(as_html(make_edition(forecasts=make_forecasts(symbols)))) < 3_000_000


@pytest.mark.parametrize(
    ("fields", "label", "says"),
    [
        ({}, None, "Today's network is published"),
        ({"trial": ("1 of 5 symbols", HOSTILE)}, "Trial: 1 of 5 symbols", "published next to the session's standing"),
        (
            {"trial": ("1 of 5 symbols",), "make_latest": True},
            "Trial, published as the standing edition on request: 1 of 5 symbols",
            "because the request asked for it",
        ),
    ],
)
def test_a_trial_is_labelled_on_top(
    make_edition: Callable[..., Edition],
    page: Callable[..., Page],
    fields: dict[str, Any],
    label: str | None,
    says: str,
) -> None:
    text = page(**fields).text
    assert ("Trial" in text) == (label is not None)
    assert label is None or text.index(label) < text.index("Today's network is published")
    assert says in text
    assert HOSTILE not in as_html(make_edition(**fields)).decode()


def test_every_relative_score_has_the_sign_of_skill(page: Callable[..., Page], live: pd.DataFrame) -> None:
    """Above 0 is better, wherever two models are compared: the network at 82 bp, the best baseline 84, the walk 90."""
    text = page(live=live).text.replace("\xa0", " ")
    assert "published 82.0 +2.4 %" in text
    assert "EWMA 84.0 +0.0 %" in text
    assert "Random walk 90.0 −7.1 %" in text
    assert "40.0 50.0 +20.0 %" in text
    assert "120.0 110.0 −9.1 %" in text
