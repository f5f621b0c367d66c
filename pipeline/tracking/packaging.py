"""The model as MLflow keeps it: this package's code, weights in safetensors, a signature, pinned requirements.

Nothing in it is pickled, and nothing is inferred or tried out while saving: that alone would take seconds.
"""

import ast
import json
import logging
import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.config import LEVELS
from pipeline.prices.frames import PRICES

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"

# What the served code imports. Versions are those installed here: the ones it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "torch", "safetensors", "pyarrow", "pandera", "exchange_calendars")
# The part of this package that travels: these two folders, and every module next to them that they import.
_FOLDERS = ("learning", "prices")


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
    """Return what goes in and out: a long table of daily bars, and one row for each symbol and step.

    Columns of any type: `pipeline.learning.posted` reads them cell by cell, while MLflow would refuse a table for one
    cell, and repeat all of it.
    """
    from mlflow.models import ModelSignature

    needed, optional = ("symbol", "date", *PRICES, "volume"), ("dividends", "splits")
    wanted = [{"name": name, "type": "any", "required": name in needed} for name in (*needed, *optional)]
    forecasts = {"symbol": "string", "as_of": "string", "step": "long", "target_session": "string"}
    forecasts |= {"last_close": "double", "model": "string", "model_version": "string"}
    forecasts |= {f"q{level:g}": "double" for level in LEVELS}
    answered = [{"name": name, "type": kind, "required": name == "symbol"} for name, kind in forecasts.items()]
    answered.append({"name": "note", "type": "string", "required": False})
    schemas = {"inputs": json.dumps(wanted), "outputs": json.dumps(answered)}
    described: ModelSignature = ModelSignature.from_dict(schemas)
    return described


def requirements() -> list[str]:
    """Return the served code's requirements, pinned; a local build (2.13.0+cpu) is asked for by its public name."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def _package(folder: Path) -> Path:
    """Copy what travels of this package's sources, without caches."""
    copy, source = folder / "pipeline", Path(__file__).parents[1]
    copy.mkdir()
    for name in _FOLDERS:
        shutil.copytree(source / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in _beside(source):
        shutil.copyfile(path, copy / path.name)
    return copy


def _beside(source: Path) -> list[Path]:
    """Return the modules at the package's root that the folders import, directly or through each other."""
    waiting = [path for name in _FOLDERS for path in (source / name).rglob("*.py")]
    found = {source / "__init__.py"}
    while waiting:
        imported = {source / f"{name}.py" for name in _imported(waiting.pop())}
        new = {path for path in imported - found if path.is_file()}
        found |= new
        waiting += new
    return sorted(found)


@cache  # a run that registers several models reads our sources once
def _imported(path: Path) -> set[str]:
    """Return the first part of every name that a file imports from this package: `config` for `pipeline.config`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            names |= {f"pipeline.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("pipeline.")}
