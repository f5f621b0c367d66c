"""The training record: the same JSON as before it was a type, read back whole, without torch."""

import subprocess
import sys
from typing import Any

from pipeline.config import Settings
from pipeline.modeling.training.training_record import (
    GradientCurves,
    GradientMemory,
    GradientNumbers,
    TrainingCurves,
    TrainingParameters,
    TrainingRecord,
    WindowBlock,
)
from pipeline.storage.documents import from_document, to_document

# What training.json held before the record was a type.
WRITTEN: dict[str, Any] = {
    "best_step": 50,
    "curves": {
        "learning_rate": [[1, 2e-05], [2, 3e-05]],
        "train_pinball": [[1, 0.25], [2, 0.24]],
        "validation_pinball": [[0, 0.26], [2, 0.25]],
    },
    "drift": {"return": 0.01},
    "memory": {
        "curves": {"lstm": {"end": [1.0, 0.5], "start": [1.0, 0.25]}, "rnn": {"start": [1.0, 0.1]}},
        "network": "lstm",
        "numbers": {
            "far_to_near": 0.5,
            "far_to_near_at_start": 0.25,
            "half_life_sessions": 1,
            "half_life_sessions_at_start": None,
        },
        "windows": 256,
    },
    "parameters": {
        "batch_size": 256,
        "clip_norm": 1.0,
        "context_length": 60,
        "hidden_size": 64,
        "holdout_sessions": 252,
        "horizon": 5,
        "inputs": "return, overnight_gap",
        "learning_rate": 0.0005,
        "network": "lstm",
        "precision": "fp32",
        "seed": 7,
        "threads": 2,
        "training_steps": 800,
        "validation_sessions": 126,
        "weight_decay": 0.0001,
    },
    "seconds": 21.5,
    "train": {"first": "2000-03-01", "last": "2011-08-01", "windows": 4000},
    "validation": {"first": "2011-08-10", "last": "2012-02-01", "windows": 510},
    "windows": 5000,
}


def read(document: dict[str, Any]) -> TrainingRecord:
    return from_document(TrainingRecord, document, where="training.json", remedy="run `train` again")


def test_a_record_written_before_it_was_a_type_is_read() -> None:
    record = read(WRITTEN)
    assert record.trained
    assert record.curves == TrainingCurves(
        train_pinball=((1, 0.25), (2, 0.24)),
        validation_pinball=((0, 0.26), (2, 0.25)),
        learning_rate=((1, 2e-05), (2, 3e-05)),
    )
    assert record.train == WindowBlock(first="2000-03-01", last="2011-08-01", windows=4000)
    assert record.gradient_memory == GradientMemory(
        network="lstm",
        windows=256,
        curves={
            "lstm": GradientCurves(start=(1.0, 0.25), end=(1.0, 0.5)),
            "rnn": GradientCurves(start=(1.0, 0.1)),
        },
        numbers=GradientNumbers(half_life_sessions=1, far_to_near=0.5, far_to_near_at_start=0.25),
    )


def test_what_is_written_has_the_keys_and_values_that_it_had() -> None:
    written = to_document(read(WRITTEN))
    assert written.pop("not_trained") is None
    assert written["memory"]["curves"]["rnn"].pop("end") is None
    assert written == WRITTEN


def test_a_run_without_a_network_keeps_the_reason_and_the_settings() -> None:
    settings = Settings(network="rnn", threads=2)
    record = read(to_document(TrainingRecord.without_network(settings, "too little history")))
    assert (record.trained, record.not_trained) == (False, "too little history")
    assert record.parameters == TrainingParameters.from_settings(settings)
    assert record.parameters.precision is None


def test_one_written_without_a_network_before_it_was_a_type_is_read() -> None:
    document = {"curves": {}, "drift": {}, "not_trained": "too little history", "seconds": 0.0}
    record = read({**document, "parameters": WRITTEN["parameters"]})
    assert record.curves == TrainingCurves()
    assert not record.trained


def test_the_record_is_read_without_torch() -> None:
    code = "import sys; import pipeline.modeling.training.training_record, pipeline.modeling.model_card; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
