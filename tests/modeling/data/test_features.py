"""The inputs of the networks, each under its own name."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Settings
from pipeline.forecast_schema import price_columns
from pipeline.modeling.data.features import Features, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.prices.sources.sample import SampleSource

INPUTS = Settings.model_fields["inputs"].default


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return SampleSource().bars(("AAPL", "IBM"), date(2005, 12, 30))


@pytest.fixture(scope="module")
def features(bars: pd.DataFrame) -> Features:
    return make_features(panel_from_bars(bars))


def test_every_input_has_a_column_and_every_column_a_name(features: Features) -> None:
    assert features.names == INPUTS
    assert features.x_STF.shape == (*features.scale_ST.shape, len(INPUTS))
    assert len({features.of((name,)).tobytes() for name in INPUTS}) == len(INPUTS)


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


@pytest.mark.parametrize("column", ["open", "high", "low", "volume"])
def test_an_input_reads_the_price_columns_that_the_schema_says(
    bars: pd.DataFrame, features: Features, column: str
) -> None:
    factor = np.random.default_rng(1).uniform(0.5, 2.0, len(bars))
    changed = make_features(panel_from_bars(bars.assign(**{column: bars[column] * factor})))
    for name in INPUTS:
        reads = changed.of((name,)).tobytes() != features.of((name,)).tobytes()
        assert reads == (column in price_columns((name,))), f"{name}, {column}"


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
