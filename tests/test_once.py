"""Shared set-ups and workers of the tests themselves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.conftest import pytest_xdist_auto_num_workers
from tests.once import build_once


@pytest.fixture
def of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the temporary folders of the n-th worker of a run."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    def worker(number: int) -> Any:
        (tmp_path / f"popen-gw{number}").mkdir(exist_ok=True)
        return SimpleNamespace(getbasetemp=lambda: tmp_path / f"popen-gw{number}")

    return worker


def test_a_set_up_is_built_by_one_worker_for_all(of_a_worker: Any) -> None:
    first = build_once(of_a_worker(0), "set-up", lambda folder: (folder / "built").touch())
    second = build_once(of_a_worker(1), "set-up", lambda _: pytest.fail("built again"))
    assert first == second
    assert [path.name for path in second.iterdir()] == ["built"]


def test_a_set_up_that_failed_is_built_again(of_a_worker: Any) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        build_once(of_a_worker(0), "set-up", fail)
    folder = build_once(of_a_worker(1), "set-up", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [(["tests/test_ci.py"], 0), (["tests/test_ci.py::test_x"], 0), (["tests"], None), (["a.py", "b.py"], None)],
)
def test_one_named_file_runs_without_workers(arguments: list[str], workers: int | None) -> None:
    assert pytest_xdist_auto_num_workers(cast(pytest.Config, SimpleNamespace(args=arguments))) == workers
