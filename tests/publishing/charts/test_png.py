"""Charts: a PNG each, the same bytes for the same content, and none that fails on odd input."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.evaluation.model_scores import ModelScores
from pipeline.modeling.training.training_record import TrainingCurves, TrainingParameters, TrainingRecord
from pipeline.publishing.charts import png
from pipeline.publishing.charts.fan_layout import HEIGHT, WIDTH, fan_layout
from pipeline.publishing.edition import Edition

PNG = b"\x89PNG\r\n\x1a\n"
CURVES = TrainingCurves(
    train_pinball=((1, 0.3), (2, 0.2), (3, float("nan"))), validation_pinball=((1, 0.31), (3, 0.26))
)


def test_every_symbol_has_its_chart_and_the_same_one_again(make_edition: Callable[..., Edition]) -> None:
    first, second = (dict(png.fan_pngs(make_edition().fans)) for _ in range(2))
    assert list(first) == ["AAPL", "EURUSD=X", "^GSPC"]
    assert all(picture.startswith(PNG) for picture in first.values())
    assert first == second
    assert first["AAPL"] != first["^GSPC"]


def test_a_chart_does_not_depend_on_those_drawn_before_it(make_edition: Callable[..., Edition]) -> None:
    fans = make_edition().fans
    alone = {symbol: picture for fan in fans for symbol, picture in png.fan_pngs([fan])}
    assert dict(png.fan_pngs(fans)) == dict(png.fan_pngs(reversed(fans))) == alone


def test_a_png_holds_no_date_and_no_software(make_edition: Callable[..., Edition]) -> None:
    ((_, data),) = png.fan_pngs(make_edition().fans[:1])
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME") if chunk in data]


def test_a_chart_does_not_depend_on_the_matplotlibrc_around_it(make_edition: Callable[..., Edition]) -> None:
    import matplotlib

    fans = make_edition().fans
    before = dict(png.fan_pngs(fans))
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 30}):
        assert dict(png.fan_pngs(fans)) == before
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_short_history_is_drawn(make_edition: Callable[..., Edition], keep: int) -> None:
    history = make_edition().history.groupby("symbol").tail(keep)
    assert all(picture.startswith(PNG) for _, picture in png.fan_pngs(make_edition(history=history).fans))


@pytest.mark.parametrize("horizon", [1, 5, 60])
def test_everything_in_a_chart_lies_inside_it(make_edition: Callable[..., Edition], horizon: int) -> None:
    chart = fan_layout(make_edition(horizon=horizon).fans[0])
    points = [*chart.closes, *chart.median, *(point for each in chart.bands.values() for point in each)]
    points += [point for line in chart.baseline for point in line]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert len(chart.median) == horizon + 1
    assert 1 <= len(chart.prices) <= 7


def test_labels_do_not_cover_each_other(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    narrow = make_edition(forecasts=make_forecasts(width=1e-5))
    chart = fan_layout(narrow.fans[0])
    heights = [y for y, _ in chart.ends]
    assert all(np.diff(heights) >= 12)
    assert all(np.diff(sorted(x for x, _ in chart.days)) >= 40)


def test_a_price_that_never_moves_is_drawn(
    make_edition: Callable[..., Edition], make_forecasts: Callable[..., pd.DataFrame]
) -> None:
    still = make_edition(forecasts=make_forecasts(width=0.0), baselines={})
    history = still.history.assign(close=100.0)
    assert fan_layout(make_edition(forecasts=still.forecasts, history=history, baselines={}).fans[0]).prices


@pytest.mark.parametrize("models", [None, {}, {"lstm": ModelScores(crps_bp=80.0)}])
def test_scores_are_drawn_even_where_some_are_missing(
    make_edition: Callable[..., Edition], tmp_path: Path, models: dict[str, ModelScores] | None
) -> None:
    scores = make_edition().scores
    path = png.scores_chart(scores if models is None else replace(scores, models=models), tmp_path / "scores.png")
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize("curves", [CURVES, TrainingCurves()])
def test_the_course_of_a_training_is_drawn(tmp_path: Path, curves: TrainingCurves) -> None:
    record = TrainingRecord(parameters=TrainingParameters.from_settings(Settings()), curves=curves, best_step=2)
    path = png.training_chart(record, tmp_path / "training.png")
    assert path.read_bytes().startswith(PNG)


def test_publishing_is_imported_without_matplotlib() -> None:
    modules = "pipeline.publishing.reader, pipeline.publishing.terminal.overview"
    code = f"import sys, {modules}; sys.exit('matplotlib' in sys.modules)"
    root = Path(png.__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
