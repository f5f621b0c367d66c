"""The model that MLflow serves: price history in, forecast frame out.

MLflow copies this script beside the weights and runs it when the model is loaded; nothing is unpickled. The rest of
the package travels with it as `code/pipeline`. Run it with

    mlflow models serve -m models:/daily-forecast@champion
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.learning.forecaster import Forecaster


# MLflow's own signature of `predict` has a context and parameters; a model may leave them out, and mypy cannot know.
class ForecastModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Forecasts from the last date of the prices it is given; what it needs of them is in the model's signature."""

    forecaster: "Forecaster"
    exchange: str

    def load_context(self, context: Any) -> None:
        """Read weights and description from beside the script."""
        from pipeline.learning.forecaster import Forecaster

        self.forecaster = Forecaster.load(Path(context.artifacts["weights"]).parent)
        self.exchange = (context.model_config or {}).get("exchange", "XNYS")

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return one row for each symbol and step; dates as `YYYY-MM-DD`, so that they survive JSON."""
        from pipeline.learning.serving import forecast_from_prices

        version = self.forecaster.card.weights_sha256[:12]  # the registry's number is not known in here
        try:
            forecasts: pd.DataFrame = forecast_from_prices(
                self.forecaster, model_input, exchange=self.exchange, model_version=version
            )
        except PipelineError as error:  # what a client should read, without our stack
            raise MlflowException.invalid_parameter_value(str(error)) from error
        dates = {name: forecasts[name].astype(str) for name in ("as_of", "target_session")}
        return forecasts.assign(**dates)


mlflow.models.set_model(ForecastModel())
