"""The model as MLflow stores it: the code that it runs, weights in safetensors, a signature, pinned requirements.

Nothing in it is pickled, and nothing is inferred or tried while saving, which would take seconds.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.forecast_schema import EVENT_INPUTS, INPUTS, LEVELS, price_columns, quantile_column
from pipeline.modeling import posted_reports
from pipeline.modeling.posted_prices import KEYS, OPTIONAL
from pipeline.tracking import mlflow_api
from pipeline.tracking.source_files import PACKAGE, needed_by

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import LoggedModel, ModelSignature

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"

# Imports of the served code, with the versions that are installed here: those it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "torch", "safetensors", "pyarrow", "pandera", "exchange_calendars")
# The script that MLflow runs; the modules that it imports are part of the model.
_SERVED = Path(__file__).with_name("served_model.py")


def save_package(into: Path, *, model_dir: Path, example: pd.DataFrame, exchange: str, model: "LoggedModel") -> None:
    """Write the folder that MLflow serves: `model_dir`'s weights and description with the code that reads them.

    `example` is a price history in the input's columns. Raises mlflow's own exception if it does not fit the signature.
    """
    inputs = json.loads((model_dir / DESCRIPTION).read_text(encoding="utf-8")).get("features", INPUTS)
    about = mlflow_api.Model(artifact_path=model.artifact_location, run_id=model.source_run_id, model_id=model.model_id)
    logging.getLogger("mlflow.pyfunc").setLevel(
        logging.ERROR
    )  # it warns about missing type hints, which have no use here
    with TemporaryDirectory() as folder:
        mlflow_api.save_model(
            into,
            python_model=_SERVED,
            artifacts={"weights": str(model_dir / WEIGHTS), "description": str(model_dir / DESCRIPTION)},
            code_paths=[str(_package(Path(folder)))],
            signature=signature(inputs),
            input_example=example,
            model_config={"exchange": exchange},
            pip_requirements=requirements(),
            mlflow_model=about,
        )


def signature(inputs: Sequence[str] = INPUTS) -> "ModelSignature":
    """Return the columns of a model with these inputs: a long table of daily bars, and one row per symbol and step.

    Required is what one of the inputs reads; only a model with an input that reads reports has a column for them, which
    is optional. Columns are of any type: `pipeline.modeling.posted_prices` reads them cell by cell, while MLflow would
    refuse a table for one cell, and repeat all of it.
    """
    required = (*KEYS, *price_columns(inputs))
    reports = () if set(EVENT_INPUTS).isdisjoint(inputs) else (posted_reports.COLUMN,)
    read = (*KEYS, *price_columns(), *OPTIONAL, *reports)
    posted = [{"name": name, "type": "any", "required": name in required} for name in read]
    forecasts = {"symbol": "string", "as_of": "string", "step": "long", "target_session": "string"}
    forecasts |= {"last_close": "double", "model": "string", "model_version": "string"}
    forecasts |= {quantile_column(level): "double" for level in LEVELS}
    answered = [{"name": name, "type": kind, "required": name == "symbol"} for name, kind in forecasts.items()]
    answered.append({"name": "note", "type": "string", "required": False})
    schemas = {"inputs": json.dumps(posted), "outputs": json.dumps(answered)}
    described: ModelSignature = mlflow_api.ModelSignature.from_dict(schemas)
    return described


def requirements() -> list[str]:
    """Return the served code's requirements, pinned; a local build (2.13.0+cpu) by its public version."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def _package(folder: Path) -> Path:
    """Copy the modules that the served model imports."""
    copy = folder / PACKAGE.name
    for path in needed_by(_SERVED, annotations=False):
        if path == _SERVED:  # MLflow copies it itself, to another place
            continue
        target = copy / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return copy
