"""The frame of forecasts that other programs rely on: one row a symbol, as_of and step, one price column a level."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from pipeline.forecast_schema import quantile_column
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
) -> pd.DataFrame:
    """Return the forecasts of N symbols from one session, in prices.

    `quantiles_NHQ` are cumulative log returns, ascending in Q; `targets` the H sessions that each symbol's market has
    after its last. Columns: symbol, as_of, step, target_session,
    last_close, model, model_version and one of each level.
    """
    count, horizon, _ = quantiles_NHQ.shape
    prices_NHQ = last_close_N[:, None, None] * np.exp(quantiles_NHQ)
    frame = pd.DataFrame(
        {
            "symbol": np.repeat(np.array(symbols, dtype=object), horizon),
            "as_of": pd.Timestamp(as_of),
            "step": np.tile(np.arange(1, horizon + 1), count),
            "target_session": [pd.Timestamp(session) for many in targets for session in many],
            "last_close": np.repeat(last_close_N, horizon),
            "model": model,
            "model_version": model_version,
        }
    )
    for at, level in enumerate(levels):
        frame[quantile_column(level)] = prices_NHQ[..., at].reshape(-1)
    return frame.astype({"symbol": "str", "as_of": "datetime64[s]", "target_session": "datetime64[s]", "step": "int64"})
