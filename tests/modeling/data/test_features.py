"""The inputs of the networks, each under its own name."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.forecast_schema import AHEAD_INPUTS, PAST_INPUTS, SCHEDULED, ahead_columns, price_columns
from pipeline.market.sessions import Sessions
from pipeline.modeling.data.features import Features, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import report_days
from pipeline.prices.sources.sample import SampleSource
from tests.modeling.data.calendars import reports_frame

INPUTS = Settings.model_fields["inputs"].default
SESSIONS = Sessions("XNYS")


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return SampleSource().bars(("AAPL", "IBM"), date(2005, 12, 30))


@pytest.fixture(scope="module")
def features(bars: pd.DataFrame) -> Features:
    return features_of(bars)


def features_of(bars: pd.DataFrame) -> Features:
    """With the session calendar, and with reports on the 20th of each third month."""
    panel = panel_from_bars(bars, sessions=SESSIONS)
    days = [date(year, month, 20) for year in range(2000, 2006) for month in (1, 4, 7, 10)]
    return make_features(panel, report_days(panel, reports_frame({"AAPL": days, "IBM": days[1:]}), lambda _: SESSIONS))


def column(features: Features, name: str) -> bytes:
    if name == SCHEDULED:
        s_N, t_N = features.usable_ST.nonzero()
        return features.spread(s_N, t_N, 5, INPUTS).tobytes()
    return (features.ahead((name,)) if name in AHEAD_INPUTS else features.of((name,))).tobytes()


def test_every_input_has_a_column_and_every_column_a_name(features: Features) -> None:
    assert (*features.names, *AHEAD_INPUTS) == INPUTS
    assert features.x_STF.shape == (*features.scale_ST.shape, len(PAST_INPUTS))
    assert features.ahead(INPUTS).shape == (*features.scale_ST.shape, len(ahead_columns()))
    assert len({column(features, name) for name in INPUTS}) == len(INPUTS)


@pytest.mark.parametrize(
    ("name", "above", "below"),
    [
        ("high_above_close", "high", "close"),
        ("low_below_close", "low", "close"),
    ],
)
def test_a_range_is_a_log_ratio_in_units_of_the_volatility_before(
    bars: pd.DataFrame, features: Features, name: str, above: str, below: str
) -> None:
    ibm = bars[bars["symbol"] == "IBM"]
    ratio = np.log(ibm[above] / ibm[below]).to_numpy()[1:] / features.scale_ST[1, :-1]
    found = features.of((name,))[1, 1:, 0]
    usable = features.usable_ST[1, 1:]
    assert usable.sum() > 1000
    np.testing.assert_allclose(found[usable], np.clip(ratio, -8, 8)[usable], rtol=1e-5)
    assert not found[~usable].any()


@pytest.mark.parametrize("price", ["open", "high", "low", "volume"])
def test_an_input_reads_the_price_columns_that_the_schema_says(
    bars: pd.DataFrame, features: Features, price: str
) -> None:
    factor = np.random.default_rng(1).uniform(0.5, 2.0, len(bars))
    changed = features_of(bars.assign(**{price: bars[price] * factor}))
    for name in INPUTS:
        reads = column(changed, name) != column(features, name)
        assert reads == (price in price_columns((name,))), f"{name}, {price}"


def test_every_network_reads_closes_and_one_with_all_inputs_reads_every_column() -> None:
    assert price_columns(()) == ("close",)
    assert price_columns() == ("open", "high", "low", "close", "volume")


def test_columns_have_the_requested_order(features: Features) -> None:
    chosen = features.of(("market_return", "return"))
    assert chosen[..., 1].tobytes() == features.of(("return",))[..., 0].tobytes()
    assert chosen[..., 0].tobytes() == features.of(("market_return",))[..., 0].tobytes()


def test_an_unknown_input_is_refused_with_the_known_ones(features: Features) -> None:
    with pytest.raises(ValueError, match="no input moon_phase; there are return, overnight_gap"):
        features.of(("return", "moon_phase"))
