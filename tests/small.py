"""Settings of a run that is over in seconds: little to learn, on few symbols."""

from collections.abc import Mapping
from typing import Any

import pytest

SMALL = {
    "training_steps": 20,
    "hidden_size": 8,
    "context_length": 20,
    "batch_size": 32,
    "holdout_sessions": 40,
    "validation_sessions": 40,
    "symbols": "AAPL,FB,IBM",
}


def set_as_standing(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Any] = SMALL) -> None:
    """Make settings the standing configuration, so that a run that asks for the same is no trial."""
    for name, value in settings.items():
        monkeypatch.setenv(f"PIPELINE_{name.upper()}", str(value))
