"""A price keeps its significant digits wherever it is shown, however small or large it is."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.publishing import formatting, publisher, reader
from pipeline.publishing.charts.fan_layout import WIDTH, fan_layout
from pipeline.publishing.charts.svg import places_of, round_values
from pipeline.publishing.edition import Edition
from pipeline.publishing.terminal.overview import Overview
from pipeline.publishing.terminal.symbol_text import Detail
from pipeline.storage import open_storage
from tests.editions import AS_OF


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (431.2, 425.0, 437.0, "431.20"),
        (12345.678, 12000.0, 12600.0, "12,345.68"),
        (1.3021, 1.2955, 1.3084, "1.3021"),
        (0.8512, 0.84, 0.86, "0.851"),
        (0.0123, 0.012, 0.0126, "0.01230"),
        (0.000008, 0.0000078, 0.0000083, "0.00000800"),
        (0.000008, 0.000008, 0.000008, "0.00000800"),  # a range without width
        (3.21e-9, 3.1e-9, 3.3e-9, "0.00000000321"),
        (100.0, 100.0, 100.0, "100.00"),
        (100.0, 99.9999999999, 100.0, "100.000000"),
    ],
)
def test_a_price_has_the_decimals_that_its_size_and_its_range_need(
    value: float, low: float, high: float, text: str
) -> None:
    assert formatting.price(value, formatting.decimals(low, high)) == text
    digits = formatting.price(value).replace(",", "").replace(".", "").lstrip("0")
    assert len(digits) >= 3
    assert float(formatting.price(value).replace(",", "")) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_the_labels_of_an_axis_differ_from_each_other(scale: float) -> None:
    values = round_values(7.8 * scale, 8.3 * scale)
    labels = [formatting.price(value, places_of(values)) for value in values]
    assert len(set(labels)) == len(labels) > 1
    assert [float(label.replace(",", "")) for label in labels] == pytest.approx(values, rel=1e-6)


@pytest.fixture
def tiny(make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]) -> Edition:
    """One coin at 0.000008."""
    frame = make_forecasts(("SHIB-USD",), width=0.03)
    prices = ["last_close", *(name for name in frame if str(name).startswith("q0"))]
    frame[prices] *= 8e-8
    days = [AS_OF - timedelta(days=back) for back in range(79, -1, -1)]
    closes = 8e-6 * np.exp(np.sin(np.arange(80) - 79) / 50)
    history = pd.DataFrame({"symbol": "SHIB-USD", "session": days, "close": closes})
    return make_edition(forecasts=frame, history=history)


def test_a_tiny_price_is_shown_whole_in_the_terminal_and_the_report(tiny: Edition, tmp_path: Path) -> None:
    root = open_storage(tmp_path, tmp_path / "cache")
    published = reader.read_published(publisher.publish(tiny, root).folder)
    one = published.forecasts.forecasts[0]
    for what in (
        Overview(published=published),
        Detail(forecast=one, record=[], as_of=AS_OF, model="lstm", reason=""),
    ):
        console = Console(width=160, file=io.StringIO())
        console.print(what)
        assert "0.00000800" in console.file.getvalue()
    page = Path(str(published.folder / "report.html")).read_text(encoding="utf-8")
    assert page.count("0.00000800") >= 3
    assert ">0.00<" not in page
    assert ">0.000000<" not in page
    assert one.last_close == pytest.approx(8e-6)


def test_the_labels_of_a_tiny_price_fit_into_the_chart(tiny: Edition) -> None:
    chart = fan_layout(tiny.fans[0])
    assert chart.left - 7 >= 5.5 * max(len(text) for _, text in chart.prices)
    assert WIDTH - chart.right - 6 >= 5.5 * max(len(text) for _, text in chart.ends)
    assert chart.left < chart.origin[0] < chart.right
