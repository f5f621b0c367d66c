"""Event-aware baselines: the plain ones, with the volatility of the reports that were known at the time."""

from datetime import date

import numpy as np
import pytest

from pipeline.forecast_schema import EVENT_BASELINES, LEVELS
from pipeline.market.sessions import Sessions
from pipeline.modeling.baselines import baseline_forecasts
from pipeline.modeling.data.features import Features, future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import report_days
from pipeline.modeling.data.windows import Origins
from tests.modeling.baselines.test_baselines import HORIZON, everywhere, sample
from tests.modeling.data.calendars import reports_frame

QUARTERS = [date(year, month, 20) for year in range(2009, 2013) for month in (1, 4, 7, 10)]
PLAIN = dict(zip(EVENT_BASELINES, ("ewma_historical", "garch"), strict=True))
each = pytest.mark.parametrize("name", EVENT_BASELINES)


def with_reports(last: date = date(2013, 3, 1), factor: float = 1.0) -> Features:
    """AAPL reports, FB and IBM have no calendar; `factor` multiplies AAPL's prices of the last session."""
    bars = sample(last)
    at = bars.index[(bars["symbol"] == "AAPL") & (bars["session"] == bars["session"].max())]
    bars.loc[at, ["open", "high", "low", "close"]] *= factor
    sessions = Sessions("XNYS")
    panel = panel_from_bars(bars, sessions=sessions)
    return make_features(panel, report_days(panel, reports_frame({"AAPL": QUARTERS}), lambda _: sessions))


def forecasts(features: Features, origins: Origins) -> dict[str, np.ndarray]:
    made = baseline_forecasts(features, origins, horizon=HORIZON, levels=LEVELS)
    return {name: forecast.quantiles_NHQ for name, forecast in made.items()}


@pytest.fixture(scope="module")
def features() -> Features:
    return with_reports()


def origin(features: Features, symbol: str, day: date) -> Origins:
    t = int(np.searchsorted(features.panel.days_MT[0], np.datetime64(day)))
    return Origins(s_N=np.array([features.panel.symbols.index(symbol)]), t_N=np.array([t]))


def test_without_a_calendar_there_are_none() -> None:
    plain = make_features(panel_from_bars(sample()))
    assert set(forecasts(plain, everywhere(plain).at(900))) == {"random_walk", "ewma_historical", "garch"}


@each
def test_a_symbol_without_reports_has_the_plain_forecast_to_the_bit(features: Features, name: str) -> None:
    """FB, which has few outcomes of its own here, uses those of its market, with reports of others among them."""
    origins = everywhere(features).at(900)
    made = forecasts(features, origins.where(origins.s_N == features.panel.symbols.index("IBM")))
    assert made[name].tobytes() == made[PLAIN[name]].tobytes()


def test_ewma_follows_its_definition_with_the_volatility_of_reports(features: Features) -> None:
    at, step = origin(features, "AAPL", date(2012, 10, 18)), 2  # the report is two sessions ahead
    s, t = int(at.s_N[0]), int(at.t_N[0])
    assert features.scheduled is not None
    spread_T = features.scheduled.spread_of_all(HORIZON)[s, :, step - 1]
    assert spread_T[t] > 1.2
    outcomes = future_returns(features.panel.return_ST, HORIZON)[s, : t - step + 1, step - 1]
    shaped = outcomes / (features.scale_ST[s] * np.sqrt(step) * spread_T)[: t - step + 1]
    expected = np.quantile(shaped[np.isfinite(shaped)][-500:], LEVELS) * features.scale_ST[s, t] * np.sqrt(step)
    np.testing.assert_allclose(forecasts(features, at)["ewma_events"][0, step - 1], expected * spread_T[t])


@each
def test_ranges_widen_before_a_report_and_are_ordered(features: Features, name: str) -> None:
    made = forecasts(features, everywhere(features))
    assert np.isfinite(made[name]).all()
    assert (np.diff(made[name], axis=-1) >= 0).all()
    before = forecasts(features, origin(features, "AAPL", date(2012, 10, 19)))  # the report is the next session's
    width, plain = (np.ptp(before[one][0, 0]) for one in (name, PLAIN[name]))
    assert width > 1.2 * plain


@each
def test_what_a_report_will_move_changes_no_forecast_before_it(name: str) -> None:
    last = date(2012, 10, 22)  # the session of a report
    calm, wild = with_reports(last), with_reports(last, factor=1.5)
    earlier = everywhere(calm).where(everywhere(calm).t_N < calm.panel.last)
    assert forecasts(calm, earlier)[name].tobytes() == forecasts(wild, earlier)[name].tobytes()
