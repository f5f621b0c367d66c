"""The names of mlflow, and of alembic in it, that this package uses: each imported when it is first used.

Importing mlflow takes a second, and many commands never need it. This is the only place that defers it: the other
modules write `mlflow_api.Metric`, and nothing is imported until that line runs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.util.exc import CommandError as CommandError
    from mlflow import MlflowClient as MlflowClient
    from mlflow.artifacts import download_artifacts as download_artifacts
    from mlflow.artifacts import list_artifacts as list_artifacts
    from mlflow.entities import Dataset as Dataset
    from mlflow.entities import DatasetInput as DatasetInput
    from mlflow.entities import InputTag as InputTag
    from mlflow.entities import LoggedModel as LoggedModel
    from mlflow.entities import LoggedModelOutput as LoggedModelOutput
    from mlflow.entities import Metric as Metric
    from mlflow.entities import Param as Param
    from mlflow.entities import Run as Run
    from mlflow.entities import RunTag as RunTag
    from mlflow.entities.model_registry import ModelVersion as ModelVersion
    from mlflow.exceptions import MlflowException as MlflowException
    from mlflow.models import Model as Model
    from mlflow.models import ModelSignature as ModelSignature
    from mlflow.pyfunc import save_model as save_model
else:
    from importlib import import_module

    _MODULES = {
        "alembic.util.exc": ("CommandError",),
        "mlflow": ("MlflowClient",),
        "mlflow.artifacts": ("download_artifacts", "list_artifacts"),
        "mlflow.entities": (
            *("Dataset", "DatasetInput", "InputTag", "LoggedModel", "LoggedModelOutput"),
            *("Metric", "Param", "Run", "RunTag"),
        ),
        "mlflow.entities.model_registry": ("ModelVersion",),
        "mlflow.exceptions": ("MlflowException",),
        "mlflow.models": ("Model", "ModelSignature"),
        "mlflow.pyfunc": ("save_model",),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):  # mypy reads the imports above
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULE_OF[name]), name)
