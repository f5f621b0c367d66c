"""The picture of how far back networks look: the same bytes for the same content, and nothing that cannot be drawn."""

import math
from pathlib import Path

import pytest

from pipeline.modeling.training.training_record import GradientCurves, GradientMemory
from pipeline.publishing.charts import memory_png

PNG = b"\x89PNG\r\n\x1a\n"
RECALL = memory_png.RecallResult(
    relative_error={"lstm": (0.01, 0.02), "rnn": (1.0, 1.01), "mlp": (0.1, 0.2), "last_session": (1.0, 1.0)},
    seeds=(1, 2),
    task=memory_png.RecallTask(sessions=60, nearest=40),
    torch="2.13.0",
)


def memory(**end: list[float]) -> GradientMemory:
    starts = {"mlp": [1.0] * 10, "rnn": [0.5**k for k in range(10)], "lstm": [0.6**k for k in range(10)]}
    curves = {
        name: GradientCurves(start=tuple(curve), end=tuple(end[name]) if name in end else None)
        for name, curve in starts.items()
    }
    return GradientMemory(network="lstm", windows=256, curves=curves)


def draw(path: Path, what: GradientMemory) -> bytes:
    return memory_png.memory_chart(what, RECALL, path).read_bytes()


def test_the_same_content_gives_the_same_bytes_and_another_network_others(tmp_path: Path) -> None:
    one = draw(tmp_path / "memory.png", memory(lstm=[0.9**k for k in range(10)]))
    assert one.startswith(PNG)
    assert draw(tmp_path / "memory.png", memory(lstm=[0.9**k for k in range(10)])) == one
    assert draw(tmp_path / "memory.png", memory(rnn=[0.9**k for k in range(10)])) != one


@pytest.mark.parametrize("end", [[0.0] * 10, [1.0] + [0.0] * 9, [1e-30] * 10])
@pytest.mark.filterwarnings("error")
def test_a_gradient_that_has_vanished_is_drawn(tmp_path: Path, end: list[float]) -> None:
    assert draw(tmp_path / "memory.png", memory(lstm=end)).startswith(PNG)


def test_a_curve_becomes_shares_of_its_sum() -> None:
    assert memory_png.shares([6.0, 3.0, 1.0]) == pytest.approx([0.6, 0.3, 0.1])
    assert memory_png.shares([0.02, 0.02]) == [0.5, 0.5]
    assert [math.isnan(share) for share in memory_png.shares([1.0, 1e-13, 0.0])] == [False, True, True]
    assert all(math.isnan(share) for share in memory_png.shares([0.0, 0.0]))


def test_the_shipped_recall_is_drawn(tmp_path: Path) -> None:
    assert (
        memory_png.memory_chart(memory(), memory_png.recall_result(), tmp_path / "memory.png").stat().st_size > 10_000
    )
