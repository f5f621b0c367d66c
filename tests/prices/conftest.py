"""What several tests of prices need."""

from pathlib import Path

import pytest

from tests.prices.desk import Desk, new_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("PIPELINE_HOME", "PIPELINE_SOURCE", "PIPELINE_SYMBOLS"):
        monkeypatch.delenv(name, raising=False)
    return new_desk(tmp_path)
