"""The table in the terminal, read back from the published files alone."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pipeline.errors import MissingStep
from pipeline.publishing import shelf, terminal
from pipeline.publishing.edition import Edition
from pipeline.storage import Folder


@pytest.fixture
def shown(make_edition: Callable[..., Edition], tmp_path: Path) -> Callable[..., str]:
    def show(**fields: Any) -> str:
        folder = shelf.publish(make_edition(**fields), Folder(tmp_path)).folder
        console = Console(file=io.StringIO(), width=140, force_terminal=False)
        console.print(terminal.show(folder))
        return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")

    return show


def test_it_shows_day_model_reason_and_ranges(shown: Callable[..., str]) -> None:
    text = shown()
    assert "XNYS · after the close of Friday 1 March 2013" in text
    assert "Today's network is published: LSTM, version 3" in text
    assert "The challenger takes over." in text
    assert "Mon 4 Mar, 80 %" in text
    assert "Tue 5 Mar, 80 %" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["AAPL"])
    assert row[:5] == ["AAPL", "100.00", "98.71", "–", "101.31"]


def test_one_session_ahead_has_one_range(shown: Callable[..., str]) -> None:
    text = shown(horizon=1)
    assert text.count("80 %") == 2  # the column and the line that explains it


def test_withheld_symbols_and_their_reasons_are_text_not_markup(shown: Callable[..., str]) -> None:
    assert "NEW: no forecast, [red]31 sessions" in shown(withheld=[{"symbol": "NEW", "reason": "[red]31 sessions"}])


def test_a_model_of_its_own_gets_a_column(
    shown: Callable[..., str], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    frame = make_forecasts(("AAPL", "FB"))
    frame.loc[frame["symbol"] == "FB", "model"] = "random_walk"
    assert "Random walk" in shown(forecasts=frame)


def test_a_folder_without_a_publication_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(MissingStep, match="python -m pipeline run"):
        terminal.show(Folder(tmp_path))
