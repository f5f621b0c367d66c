"""A forecast straight from a stranger's price history: what a served model answers with."""

import pandas as pd

from pipeline.errors import BadFile, NothingToForecast
from pipeline.learning.bars import panel_from_bars
from pipeline.learning.features import make_features
from pipeline.learning.forecaster import Forecaster
from pipeline.learning.frame import forecast_frame
from pipeline.learning.windows import usable_origins
from pipeline.prices.frames import PRICES, as_bars
from pipeline.sessions import Sessions
from pipeline.symbols import parse_symbol

_NEEDED = ("symbol", "date", *PRICES, "volume")


def forecast_from_prices(
    forecaster: Forecaster, prices: pd.DataFrame, *, exchange: str = "XNYS", model_version: str = ""
) -> pd.DataFrame:
    """Return the forecast frame for a long table `symbol, date, open, high, low, close, volume`.

    `dividends` (per share) and `splits` (2 for 2:1) are used where present. The forecast is made from the table's
    last date. Raises BadFile for missing columns, NothingToForecast where no symbol has a whole context.
    """
    missing = [name for name in _NEEDED if name not in prices]
    if missing:
        raise BadFile(f"the price table has no column {', '.join(missing)}; needed are {', '.join(_NEEDED)}")
    bars = as_bars(
        prices.assign(
            symbol=[parse_symbol(str(name)) for name in prices["symbol"]],
            session=pd.to_datetime(prices["date"]).dt.tz_localize(None).dt.normalize(),
            dividend=_numbers(prices, "dividends", 0.0),
            split_ratio=_numbers(prices, "splits", 1.0).replace(0.0, 1.0),
        )
    )
    features = make_features(panel_from_bars(bars))
    last = features.panel.last
    origins = usable_origins(features, forecaster.card.context_length).at(last)
    if not len(origins):
        raise NothingToForecast(
            f"no symbol has {forecaster.card.context_length} whole sessions after its warm-up, up to the last date"
        )
    as_of = features.panel.day(0, last)
    return forecast_frame(
        [features.panel.symbols[s] for s in origins.s_N],
        features.panel.close_ST[origins.s_N, origins.t_N],
        forecaster.quantiles(features, origins),
        as_of=as_of,
        targets=[Sessions(exchange).following(as_of, forecaster.card.horizon)] * len(origins),
        levels=forecaster.card.levels,
        model=forecaster.card.network,
        model_version=model_version,
    )


def _numbers(prices: pd.DataFrame, name: str, otherwise: float) -> pd.Series:
    if name not in prices:
        return pd.Series(otherwise, index=prices.index)
    return prices[name].astype(float).fillna(otherwise)
