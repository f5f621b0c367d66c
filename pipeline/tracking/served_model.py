"""The model that MLflow serves: price history in, forecast frame out.

MLflow copies this script next to the weights and runs it when the model is loaded; nothing is unpickled. The modules
that it imports are part of the model, as `code/pipeline`. Serve it with

    mlflow models serve -m models:/daily-forecast@champion
"""

import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.modeling.forecaster import Forecaster

_SCORING_SERVER = "mlflow.pyfunc.scoring_server"
_LONGEST = 500
_UNEXPECTED = "the forecast failed unexpectedly; the server's log has the reason"
_LOG = logging.getLogger(__name__)


class Refused(MlflowException):
    """A one-sentence response. MLflow prefixes messages with the whole posted table; this one stays as it is."""

    def __init__(self, sentence: str, error_code: int = INVALID_PARAMETER_VALUE) -> None:
        self._sentence = " ".join(sentence.split())[:_LONGEST]
        super().__init__(self._sentence, error_code=error_code)

    @property
    def message(self) -> str:
        """The sentence."""
        return self._sentence

    @message.setter
    def message(self, value: str) -> None:
        """Ignore MLflow's changes to the sentence."""


# MLflow's signature of `predict` has a context and parameters; a model may omit them, which mypy does not know.
class ForecastModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]  # exported lazily, so untyped
    """Forecasts from the last date of the posted prices, whose columns are in the model's signature."""

    forecaster: "Forecaster"
    exchange: str

    def load_context(self, context: Any) -> None:
        """Load the weights and the description."""
        from pipeline.modeling.forecaster import Forecaster

        self.forecaster = Forecaster.load(Path(context.artifacts["weights"]).parent)
        self.exchange = (context.model_config or {}).get("exchange", "XNYS")
        _answer_in_one_sentence()

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return one row for each symbol and step, and one for each symbol left out; dates as `YYYY-MM-DD`."""
        from pipeline.modeling.serving import forecast_from_prices

        version = self.forecaster.card.weights_sha256[:12]  # the number of the version is unknown here
        try:
            forecasts: pd.DataFrame = forecast_from_prices(
                self.forecaster, model_input, exchange=self.exchange, model_version=version, latest=_tomorrow()
            )
        except PipelineError as error:
            raise Refused(str(error)) from None
        except Exception:  # noqa: BLE001  no client may see a stack trace
            _LOG.exception("a forecast failed")
            raise Refused(_UNEXPECTED, INTERNAL_ERROR) from None
        dates = {name: forecasts[name].dt.strftime("%Y-%m-%d") for name in ("as_of", "target_session")}
        forecasts = forecasts.assign(**dates)
        if not forecasts.isna().to_numpy().any():
            return forecasts
        return forecasts.astype(object).where(forecasts.notna(), None)  # JSON has no NaN


def _tomorrow() -> date:
    """Return the last day that may be a session somewhere on Earth."""
    return (datetime.now(UTC) + timedelta(days=1)).date()


def _answer_in_one_sentence() -> None:
    """Have the scoring server of this process, if any, refuse requests that do not reach the model in one sentence.

    It has no setting for that: it responds with a stack trace to a body that it cannot parse, and with the whole table
    to one that does not fit.
    """
    server = sys.modules.get(_SCORING_SERVER)
    answer = getattr(server, "invocations", None)
    if answer is not None and not hasattr(answer, "refuses"):
        server.invocations = _refusing(answer)  # type: ignore[union-attr]  # not None: it has an answer


def _refusing(answer: Callable[..., Any]) -> Callable[..., Any]:
    def invocations(data: Any, content_type: str | None, *others: Any, **named: Any) -> Any:
        kind = (content_type or "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "application/vnd.apache.parquet"):
            raise Refused(f"{kind or 'a body without a content type'} is not accepted; post JSON, as application/json")
        try:
            return answer(data, content_type, *others, **named)
        except Refused:
            raise
        except MlflowException as error:
            raise Refused(_first_sentence(error.message)) from None
        except (ValueError, RecursionError):  # numbers with thousands of digits, deeply nested lists
            raise Refused("the JSON cannot be read: a number is too long, or it is nested too deeply") from None
        except Exception:  # noqa: BLE001  no client may see a stack trace
            _LOG.exception("a request failed")
            raise Refused(_UNEXPECTED, INTERNAL_ERROR) from None

    invocations.refuses = True  # type: ignore[attr-defined]  # a mark on the function
    return invocations


def _first_sentence(message: str) -> str:
    cause = message.rpartition("Error: ")[2] if "Failed to" in message else message.removeprefix("Invalid input. ")
    first = re.split(r"\.\s|\n", cause.strip())[0].rstrip(".")
    return f'{first}; post a table, as {{"dataframe_split": {{"columns": …, "data": …}}}}'


mlflow.models.set_model(ForecastModel())
