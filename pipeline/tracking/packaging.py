"""The model as MLflow keeps it: this package's code, weights in safetensors, a signature, pinned requirements.

Nothing in it is pickled, and nothing is inferred or tried out while saving: that alone would take seconds.
"""

import logging
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.config import LEVELS

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"

# What the served code imports. Versions are those installed here: the ones it was trained with.
_REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "torch",
    "safetensors",
    "pyarrow",
    "pandera",
    "sqlalchemy",
    "exchange_calendars",
    "pydantic",
    "pydantic-settings",
)


def save_package(into: Path, *, model_dir: Path, example: pd.DataFrame, exchange: str, model: "LoggedModel") -> None:
    """Write the folder that MLflow serves: `model_dir`'s weights and description with the code that reads them.

    `example` is a price history in the input's columns. Raises mlflow's own exception if it does not fit the signature.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    about = Model(artifact_path=model.artifact_location, run_id=model.source_run_id, model_id=model.model_id)
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)  # it asks for type hints that have no use here
    with TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            into,
            python_model=Path(__file__).with_name("served_model.py"),
            artifacts={"weights": str(model_dir / WEIGHTS), "description": str(model_dir / DESCRIPTION)},
            code_paths=[str(_package(Path(folder)))],
            signature=signature(),
            input_example=example,
            model_config={"exchange": exchange},
            pip_requirements=requirements(),
            mlflow_model=about,
        )


def signature() -> "ModelSignature":
    """Return what goes in and out: a long table of daily bars, and one row for each symbol and step."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    text, number, moment = DataType.string, DataType.double, DataType.datetime
    prices: list[ColSpec | TensorSpec] = [ColSpec(text, "symbol"), ColSpec(moment, "date")]
    prices += [ColSpec(number, name) for name in ("open", "high", "low", "close", "volume")]
    prices += [ColSpec(number, name, required=False) for name in ("dividends", "splits")]
    forecasts: list[ColSpec | TensorSpec] = [ColSpec(text, "symbol"), ColSpec(text, "as_of")]
    forecasts += [ColSpec(DataType.long, "step")]
    forecasts += [ColSpec(text, "target_session"), ColSpec(number, "last_close")]
    forecasts += [ColSpec(text, "model"), ColSpec(text, "model_version")]
    forecasts += [ColSpec(number, f"q{level:g}") for level in LEVELS]
    return ModelSignature(inputs=Schema(prices), outputs=Schema(forecasts))


def requirements() -> list[str]:
    """Return the served code's requirements, pinned; a local build (2.13.0+cpu) is asked for by its public name."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def _package(folder: Path) -> Path:
    """Copy the package's sources, without caches."""
    copy = folder / "pipeline"
    source = Path(__file__).parents[1]
    return Path(shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*")))
