"""The two pictures of the report: calibration, and how far back a network looks."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from pipeline.forecast_schema import LEVELS
from pipeline.modeling.training.training_record import GradientCurves, GradientMemory
from pipeline.publishing.edition import Edition
from pipeline.publishing.report.figures import calibration_svg, gradient_svg
from pipeline.storage.documents import to_document


def calibrated(edition: Edition, off: float) -> dict[str, Any]:
    models = {
        name: {**scores, "below": [{"level": level, "share": level + off} for level in LEVELS]}
        for name, scores in to_document(edition.scores)["models"].items()
    }
    return {**to_document(edition.scores), "models": models}


def test_calibration_draws_the_published_model_and_the_best_baseline(make_edition: Callable[..., Edition]) -> None:
    svg = calibration_svg(make_edition(scores=calibrated(make_edition(), 0.02)))
    assert svg is not None
    assert "no quantile of the published model is off by more than 2.0 points" in svg
    tree = ElementTree.fromstring(svg)
    assert {path.get("class") for path in tree.iter("path")} == {"grid", "origin", "median", "reference"}
    points = [circle for circle in tree.iter("circle") if circle.get("class") == "at median"]
    assert len(points) == len(LEVELS)
    middle = points[LEVELS.index(0.5)]
    assert float(middle.get("cx") or 0) == pytest.approx((46 + 428) / 2)
    assert float(middle.get("cy") or 0) < (12 + 266) / 2, "more lay below it than promised: drawn higher"


def test_without_shares_there_is_no_picture(make_edition: Callable[..., Edition]) -> None:
    assert calibration_svg(make_edition()) is None
    assert calibration_svg(make_edition(scores={})) is None


def memory(curves: dict[str, GradientCurves]) -> GradientMemory:
    return GradientMemory(network="lstm", windows=256, curves=curves)


def test_gradients_are_drawn_network_by_network() -> None:
    falling = tuple(10.0**-lag for lag in range(8))
    curves = {"lstm": GradientCurves(start=(1.0,) * 8, end=falling), "rnn": GradientCurves(start=falling)}
    svg = gradient_svg(memory(curves))
    assert svg is not None
    tree = ElementTree.fromstring(svg)
    kinds = [path.get("class") for path in tree.iter("path") if path.get("class") != "grid"]
    assert kinds == ["net lstm start", "net lstm", "net rnn start"]


@pytest.mark.parametrize("curves", [{}, {"lstm": GradientCurves(end=(0.0,))}])
def test_without_gradients_there_is_no_picture(curves: dict[str, GradientCurves]) -> None:
    assert gradient_svg(memory(curves)) is None
    assert gradient_svg(None) is None


def test_a_gradient_of_nothing_draws_nothing() -> None:
    svg = gradient_svg(memory({"lstm": GradientCurves(end=(0.0,) * 8)}))
    assert svg is not None
    assert "net lstm" not in svg
