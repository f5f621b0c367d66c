"""The forecast frame: one row for each symbol, as_of and step, with the columns of `pipeline.forecast_schema`."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.forecast_schema import KEYS, REPORT_DUE, quantile_column
from pipeline.modeling.data.panel import Array


def forecast_frame(
    symbols: list[str],
    last_close_N: Array,
    quantiles_NHQ: Array,
    *,
    as_of: date,
    targets: Sequence[Sequence[date]],
    levels: tuple[float, ...],
    model: str,
    model_version: str,
    report_due_N: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Return the forecasts of N symbols from one session, in prices.

    `quantiles_NHQ` are cumulative log returns, ascending in Q; `targets` are the H sessions after each symbol's last,
    on its own market. Columns: KEYS, one for each of `levels`, and `report_due`: whether a scheduled report may move
    the session after the origin, null where `report_due_N` is None. N · H rows, by symbol and step.
    """
    count, horizon, _ = quantiles_NHQ.shape
    prices_NHQ = last_close_N[:, None, None] * np.exp(quantiles_NHQ)
    frame = pd.DataFrame(
        {
            "symbol": np.repeat(np.array(symbols, dtype=object), horizon),
            "as_of": pd.Timestamp(as_of),
            "step": np.tile(np.arange(1, horizon + 1), count),
            "target_session": [pd.Timestamp(session) for sessions in targets for session in sessions],
            "last_close": np.repeat(last_close_N, horizon),
            "model": model,
            "model_version": model_version,
        }
    )
    for q, level in enumerate(levels):
        frame[quantile_column(level)] = prices_NHQ[..., q].reshape(-1)
    frame = frame[[*KEYS, *map(quantile_column, levels)]]
    due = None if report_due_N is None else np.repeat(report_due_N, horizon)
    frame[REPORT_DUE] = pd.Series(due, index=frame.index, dtype="boolean")
    return frame.astype({"symbol": "str", "as_of": "datetime64[s]", "target_session": "datetime64[s]", "step": "int64"})
