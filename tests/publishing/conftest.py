"""The small edition as fixtures, and the track record of forecasts before it."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from pipeline.forecast_schema import QUANTILES
from pipeline.publishing.edition import Edition
from tests.editions import AS_OF, SPREAD, edition, forecasts


@pytest.fixture
def make_edition() -> Callable[..., Edition]:
    """Return a function that gives the edition, with the fields put over it that are named."""
    return edition


@pytest.fixture
def make_forecasts() -> Callable[..., pd.DataFrame]:
    """Return the function that makes a forecast frame."""
    return forecasts


def recent(symbol: str = "AAPL", days: int = 25, close: float = 100.0) -> pd.DataFrame:
    """Forecasts of the next session that have matured: every fifth close above all ranges, the rest in the middle."""
    rows = []
    for back in range(days, 0, -1):
        as_of, target = AS_OF - timedelta(days=back), AS_OF - timedelta(days=back - 1)
        missed = back % 5 == 1
        keys = {"symbol": symbol, "as_of": as_of, "target_session": target, "last_close": close, "model": "lstm"}
        range_ = dict(zip(QUANTILES, close * np.exp(SPREAD * 0.01), strict=True))
        came = {"close": close * (1.05 if missed else 1.0), "crps_bp": 40.0, "baseline_crps_bp": 50.0}
        held = {f"inside_{each}": not missed for each in (50, 80, 90)}
        rows.append({**keys, "model_version": "2", "in_time": True, **range_, **came, **held, "report_due": None})
    return pd.DataFrame(rows)


@pytest.fixture
def make_recent() -> Callable[..., pd.DataFrame]:
    """Return the function that makes a record of forecasts of the next session."""
    return recent


@pytest.fixture
def live() -> pd.DataFrame:
    """Two published forecasts that have matured: one inside every range, one outside all."""
    shared = {"symbol": "AAPL", "step": 1, "model": "lstm", "model_version": "2", "close": 100.0, "in_time": True}
    hit = {"as_of": date(2013, 2, 27), "target_session": date(2013, 2, 28), "crps_bp": 40.0, "baseline_crps_bp": 50.0}
    miss = {"as_of": date(2013, 2, 28), "target_session": AS_OF, "crps_bp": 120.0, "baseline_crps_bp": 110.0}
    inside, outside = ({f"inside_{each}": value for each in (50, 80, 90)} for value in (True, False))
    return pd.DataFrame([shared | hit | inside, shared | miss | outside])
