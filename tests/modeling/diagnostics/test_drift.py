"""The population stability index: small without a change, large with one."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pipeline.forecast_schema import PAST_INPUTS
from pipeline.modeling.data.features import make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import Origins, usable_origins
from pipeline.modeling.diagnostics.drift import RECENT, input_drift, psi
from tests.prices.quality.made import series

RANDOM = np.random.default_rng(5)


def test_psi_follows_its_formula() -> None:
    reference, recent = RANDOM.normal(0, 1, 5000), RANDOM.normal(0.5, 1.3, 700)
    edges = np.quantile(reference, np.linspace(0, 1, 11))
    total = 0.0
    for low, high in pairwise(edges):
        low, high = (-np.inf if low == edges[0] else low), (np.inf if high == edges[-1] else high)
        q, p = (float(((values > low) & (values <= high)).mean()) for values in (reference, recent))
        total += (p - q) * np.log(p / q)
    assert psi(reference, recent) == pytest.approx(total)


def test_psi_is_small_for_the_same_distribution_and_large_for_another() -> None:
    reference = RANDOM.normal(0, 1, 20_000)
    assert psi(reference, RANDOM.normal(0, 1, 2000)) < 0.02
    assert psi(reference, RANDOM.normal(0, 3, 2000)) > 0.25


def test_values_that_never_change_have_no_drift_and_no_error() -> None:
    assert psi(np.zeros(100), np.zeros(50)) == 0
    assert psi(np.zeros(100), np.ones(50)) > 1


def test_each_input_is_compared_with_the_training_windows_alone() -> None:
    bars = pd.concat([series(name, seed=at, count=400) for at, name in enumerate("AB")], ignore_index=True)
    features = make_features(panel_from_bars(bars))
    origins = usable_origins(features, 20)
    train = origins.where(origins.t_N < features.panel.last - RECENT)
    found = input_drift(features, train)
    assert set(found) == set(PAST_INPUTS)
    assert all(value >= 0 for value in found.values())
    loud = bars.copy()
    loud.loc[loud["session"] > bars["session"].iloc[399 - RECENT], "volume"] *= 50.0 ** RANDOM.normal(0, 1, 2 * RECENT)
    moved = input_drift(make_features(panel_from_bars(loud)), train)
    assert moved["volume_against_average"] > 0.25 > found["volume_against_average"]
    assert moved["return"] == pytest.approx(found["return"])
    assert input_drift(features, Origins(s_N=np.empty(0, int), t_N=np.empty(0, int))) == {}
