"""The table in the terminal and one symbol in detail, read back from the published files alone."""

import dataclasses
import io
import itertools
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from pipeline.errors import MissingStep
from pipeline.forecast_schema import LEVELS, RANGES
from pipeline.publishing import publisher, reader
from pipeline.publishing.edition import Edition
from pipeline.publishing.matured_forecasts import MaturedForecast
from pipeline.publishing.published_files import SymbolForecast
from pipeline.publishing.terminal import overview
from pipeline.publishing.terminal.symbol_text import Detail
from pipeline.storage import Folder

AS_OF = date(2013, 3, 1)
Shown = Callable[..., str]


def printed(shown: RenderableType, width: int, **console: Any) -> str:
    target = Console(file=io.StringIO(), width=width, force_terminal=bool(console), highlight=False, **console)
    target.print(shown)
    return target.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def rows(text: str) -> list[list[str]]:
    """The lines of the table, each in words: after the rule, up to the empty line."""
    lines = text.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("──")) + 1
    end = next(place for place in range(begin, len(lines)) if not lines[place].strip())
    return [line.split() for line in lines[begin:end]]


@pytest.fixture
def published(make_edition: Callable[..., Edition], tmp_path: Path) -> Callable[..., reader.Published]:
    def publish(**fields: Any) -> reader.Published:
        return reader.read_published(publisher.publish(make_edition(**fields), Folder(tmp_path)).folder)

    return publish


@pytest.fixture
def shown(published: Callable[..., reader.Published]) -> Shown:
    def show(sort: str = "symbol", top: int | None = None, **fields: Any) -> str:
        return printed(overview.Overview(published=published(**fields), sort=sort, top=top), 140)

    return show


def test_it_shows_day_model_reason_and_ranges(shown: Shown) -> None:
    text = shown()
    assert "XNYS · after the close of Friday 1 March 2013" in text
    assert "Today's network is published: LSTM, version 3" in text
    assert "The challenger takes over." in text
    assert "Mon 4 Mar, 80 %" in text
    assert "Tue 5 Mar, 80 %" in text
    name, closes, *row = rows(text)[0]
    assert (name, row[:4]) == ("AAPL", ["100.00", "98.71", "–", "101.31"])
    assert set(closes) <= set("▁▂▃▄▅▆▇█")


def test_one_session_ahead_has_one_range(shown: Shown) -> None:
    text = shown(horizon=1)
    assert text.count("80 %") == 2  # the column and the line that explains it


def test_withheld_symbols_and_their_reasons_are_text_not_markup(shown: Shown) -> None:
    assert "NEW: no forecast, [red]31 sessions" in shown(withheld=[{"symbol": "NEW", "reason": "[red]31 sessions"}])


def test_symbols_by_another_model_are_marked(shown: Shown, make_forecasts: Callable[..., pd.DataFrame]) -> None:
    frame = make_forecasts(("AAPL", "FB"))
    frame.loc[frame["symbol"] == "FB", "model"] = "random_walk"
    text = shown(forecasts=frame)
    assert [row[0] for row in rows(text)] == ["AAPL", "FB*"]
    assert "* forecast by another model: Random walk" in text


@pytest.mark.parametrize("width", [80, 100, 120, 124])
@pytest.mark.parametrize("count", [3, 500])
def test_no_cell_is_cut_at_any_width_and_many_symbols_have_one_line_each(
    published: Callable[..., reader.Published], width: int, count: int
) -> None:
    edition = published()
    one = edition.forecasts.forecasts[0]
    many = tuple(dataclasses.replace(one, symbol=f"SYMBOL{number:03}") for number in range(count))
    there = dataclasses.replace(edition, forecasts=dataclasses.replace(edition.forecasts, forecasts=many))
    text = printed(overview.Overview(published=there), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert len(rows(text)) == (2 * count if count == 3 and width < 124 else count)


def test_the_widest_ranges_or_the_largest_moves_come_first(
    shown: Shown, make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    frame = pd.concat([make_forecasts(("A",)), make_forecasts(("B",), width=0.03), make_forecasts(("C",), width=0.02)])
    assert [row[0] for row in rows(shown(forecasts=frame, sort="width"))] == ["B", "C", "A"]
    text = shown(forecasts=frame, sort="width", top=1)
    assert [row[0] for row in rows(text)] == ["B"]
    assert "and 2 more" in text
    moves = {"B": (100.0, 101.0), "C": (100.0, 97.0), "A": (100.0, 102.0)}
    entries = [
        SymbolForecast(symbol=name, last_close=closes[-1], model="lstm", recent_closes=closes, steps=())
        for name, closes in moves.items()
    ]
    assert [each.symbol for each in overview.order(entries, "change", None)] == ["C", "A", "B"]


@pytest.fixture
def detail(published: Callable[..., reader.Published]) -> Detail:
    days = [AS_OF - timedelta(days=back) for back in range(30, -1, -1)]
    past = [
        MaturedForecast(
            symbol="AAPL",
            as_of=before,
            target_session=day,
            last_close=100.0,
            model="lstm",
            model_version="3",
            in_time=place > 12,
            quantiles={level: 98.0 if level < 0.5 else 102.0 for level in LEVELS},
            close=100.0 + place,
            crps_bp=100.0,
            baseline_crps_bp=110.0,
            inside=dict.fromkeys(RANGES, place % 2 == 0),
        )
        for place, (before, day) in enumerate(itertools.pairwise(days))
    ]
    forecast = published(horizon=5).forecasts.forecasts[0]
    return Detail(forecast=forecast, record=past, as_of=AS_OF, model="lstm", reason="It won.")


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_symbol_has_every_session_every_quantile_and_the_last_twenty_forecasts(detail: Detail, width: int) -> None:
    text = printed(detail, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for words in ("AAPL · 100.00 at the close of Friday 1 March 2013", "LSTM, version 3", "It won.", "° 3 replayed"):
        assert words in text
    for words in ("5 %", "Median", "95 %", "Mon 4 Mar", "Fri 8 Mar"):
        assert words in text
    assert text.count("✓") == text.count("✗") == 3 * 10
    assert "Of the last 20 closes: 50 % in the 50 % range, 50 % in the 80 % range" in text


def test_without_colours_there_is_no_control_character_and_the_signs_still_tell(detail: Detail) -> None:
    text = printed(detail, 100)
    assert not [sign for sign in text if ord(sign) < 32 and sign != "\n"]
    assert {"░", "▒", "▓", "━"} <= set(text)
    assert "\x1b[" in printed(detail, 100, color_system="standard")


def test_a_symbol_without_closes_or_a_record_says_so(detail: Detail) -> None:
    bare = dataclasses.replace(detail.forecast, recent_closes=())
    text = printed(dataclasses.replace(detail, forecast=bare, record=[], stand_in="too short: garch stands in"), 80)
    assert "No forecast of its next session has matured yet." in text
    assert "! too short: garch stands in" in text
    assert "It won." not in text


def test_prices_of_six_figures_fit_into_eighty_columns(detail: Detail) -> None:
    steps = tuple(
        dataclasses.replace(step, quantiles={level: price * 1234.5 for level, price in step.quantiles.items()})
        for step in detail.forecast.steps
    )
    prices = {"last_close": 123_450.0, "recent_closes": (120_000.0, 123_450.0)}
    coin = dataclasses.replace(detail.forecast, steps=steps, **prices)
    assert "…" not in printed(dataclasses.replace(detail, forecast=coin, record=[]), 80)


def test_a_folder_without_a_publication_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(MissingStep, match="python -m pipeline run"):
        reader.read_published(Folder(tmp_path))
