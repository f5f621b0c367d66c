"""Reports in client-supplied tables: the same forecast as in the pipeline, and what of them is refused or not used."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import BadFile, NothingToForecast
from pipeline.forecast_schema import EVENT_INPUTS, INPUTS, LEVELS, MEDIAN, QUANTILES
from pipeline.market.sessions import Sessions
from pipeline.modeling.data.features import Features, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import report_days
from pipeline.modeling.data.windows import usable_origins
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.serving import forecast_from_prices
from pipeline.prices.sources.sample import SampleSource
from tests.modeling.data.calendars import calendar_frame

HORIZON, CONTEXT = 5, 20
SESSIONS = Sessions("XNYS")
LAST = date(2013, 2, 26)  # a Tuesday
PAST = [date(2012, 4, 24), date(2012, 7, 24), date(2012, 10, 25), date(2013, 1, 23)]
COMING = date(2013, 2, 28)


def forecaster(inputs: tuple[str, ...] = INPUTS, **changes: Any) -> Forecaster:
    """A network with random weights in its head, so that every input counts."""
    card = ModelCard(
        network="lstm", levels=LEVELS, horizon=HORIZON, context_length=CONTEXT, hidden_size=8, as_of="2013-02-26",
        symbols=("AAPL", "IBM"), train_first="", train_last="", seed=1, training_steps=0, data_digest="x",
        features=inputs, **{"event_windows": 100, **changes},
    )  # fmt: skip
    torch.manual_seed(3)
    network = build(card.shape, torch.linspace(-1.6, 1.6, len(LEVELS)).repeat(HORIZON, 1))
    torch.nn.init.normal_(network.head.linear.weight)
    return Forecaster(card, network)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    bars = SampleSource().bars(("AAPL", "IBM"), LAST)
    return bars[bars["session"] >= "2011-06-01"].reset_index(drop=True)


@pytest.fixture
def table(bars: pd.DataFrame) -> pd.DataFrame:
    return posted(bars)


def posted(bars: pd.DataFrame) -> pd.DataFrame:
    names = {"session": "date", "dividend": "dividends", "split_ratio": "splits"}
    return bars.rename(columns=names).assign(date=bars["session"].dt.strftime("%Y-%m-%d"), earnings=None)


def stating(table: pd.DataFrame, cells: dict[date, object], symbol: str = "AAPL") -> pd.DataFrame:
    """Return the table with these cells of `earnings`; days without a bar have rows without prices."""
    rows = pd.DataFrame({"symbol": symbol, "date": [str(day) for day in cells], "earnings": list(cells.values())})
    mine = (table["symbol"] == symbol) & table["date"].isin(rows["date"])
    by_day = dict(zip(rows["date"], rows["earnings"], strict=True))
    stated = table.assign(
        earnings=[
            by_day[day] if own else cell for day, own, cell in zip(table["date"], mine, table["earnings"], strict=True)
        ]
    )
    return pd.concat([stated, rows[~rows["date"].isin(table.loc[mine, "date"])]], ignore_index=True)


def features_with(bars: pd.DataFrame, times: dict[date, str], symbol: str = "AAPL") -> Features:
    panel = panel_from_bars(bars, sessions=SESSIONS)
    frame = calendar_frame({"symbol": symbol, "day": day, "time": time} for day, time in times.items())
    return make_features(panel, report_days(panel, frame, lambda _: SESSIONS))


def expected(model: Forecaster, features: Features) -> dict[str, np.ndarray]:
    origins = usable_origins(features, CONTEXT).at(features.panel.last)
    quantiles_NHQ = model.quantiles(features, origins)
    close_N = features.panel.close_ST[origins.s_N, origins.t_N]
    prices_NHQ = close_N[:, None, None] * np.exp(quantiles_NHQ)
    return {features.panel.symbols[s]: prices_NHQ[at] for at, s in enumerate(origins.s_N)}


def prices_of(frame: pd.DataFrame, symbol: str = "AAPL") -> np.ndarray:
    return frame.loc[frame["symbol"] == symbol, [*QUANTILES]].to_numpy(float)


def test_the_forecast_is_that_of_the_pipeline_bit_for_bit(bars: pd.DataFrame, table: pd.DataFrame) -> None:
    model = forecaster()
    known = stating(table, {**dict.fromkeys(PAST, 1), COMING: "after_close"})
    features = features_with(bars, {**dict.fromkeys(PAST, "unknown"), COMING: "after_close"})
    served = forecast_from_prices(model, known, latest=LAST)
    for symbol, prices_HQ in expected(model, features).items():
        assert prices_of(served, symbol).tobytes() == prices_HQ.tobytes()
    assert not served["note"].notna().any()


def test_a_report_widens_the_ranges_from_its_session_on(table: pd.DataFrame) -> None:
    model = forecaster()
    without = forecast_from_prices(model, stating(table, dict.fromkeys(PAST, True)), latest=LAST)
    with_one = forecast_from_prices(
        model, stating(table, {**dict.fromkeys(PAST, True), COMING: "before_open"}), latest=LAST
    )
    widths = [prices_of(frame)[:, -1] - prices_of(frame)[:, 0] for frame in (without, with_one)]
    ratio_H = widths[1] / widths[0]
    assert ratio_H[0] == 1  # before the open of the session in two days
    assert ratio_H[1] > 1.1
    assert (np.diff(ratio_H[1:]) < 0).all()  # it is a smaller part of a longer time
    assert prices_of(with_one, "IBM").tobytes() == prices_of(without, "IBM").tobytes()


def test_without_reports_the_forecast_is_as_if_no_calendar_was_known(bars: pd.DataFrame, table: pd.DataFrame) -> None:
    model = forecaster()
    plain = forecast_from_prices(model, table.drop(columns="earnings"))
    for empty in (None, 0, "", "0", False, np.nan):
        pd.testing.assert_frame_equal(forecast_from_prices(model, table.assign(earnings=empty)), plain)
    bare = make_features(panel_from_bars(bars, sessions=SESSIONS))
    assert prices_of(plain).tobytes() == expected(model, bare)["AAPL"].tobytes()


@pytest.mark.parametrize(
    ("one", "other"), [(1, "unknown"), (True, "1"), (1.0, " TRUE "), ("before_open", "Before_Open ")]
)
def test_the_same_report_written_in_another_way_gives_the_same_forecast(
    table: pd.DataFrame, one: object, other: object
) -> None:
    frames = [forecast_from_prices(forecaster(), stating(table, {COMING: cell}), latest=LAST) for cell in (one, other)]
    assert prices_of(frames[0]).tobytes() == prices_of(frames[1]).tobytes()


def test_reports_further_ahead_than_five_sessions_and_before_the_first_bar_change_nothing(table: pd.DataFrame) -> None:
    model, known = forecaster(), stating(table, {PAST[-1]: 1})
    far = stating(known, {date(2013, 3, 6): 1, date(2010, 1, 19): 1})  # six sessions ahead
    near = stating(known, {date(2013, 3, 5): 1})  # five
    plain, *others = (prices_of(forecast_from_prices(model, one, latest=LAST)).tobytes() for one in (known, far, near))
    assert others[0] == plain != others[1]


def test_a_report_on_a_weekend_counts_for_the_next_session(table: pd.DataFrame) -> None:
    saturday, monday = (
        prices_of(forecast_from_prices(forecaster(), stating(table, {day: time}), latest=LAST)).tobytes()
        for day, time in ((date(2013, 3, 2), "after_close"), (date(2013, 3, 4), "before_open"))
    )
    assert saturday == monday


@pytest.mark.parametrize("cell", ["maybe", 2, -1, "after", [1], "1.5"])
def test_a_cell_that_states_no_report_leaves_its_symbol_out(table: pd.DataFrame, cell: object) -> None:
    odd = table.astype(object)
    odd.at[3, "earnings"] = cell
    frame = forecast_from_prices(forecaster(), odd)
    note = frame.iloc[-1]["note"]
    assert note == (
        f"left out: row 4: {cell!r} in earnings is not a report: "
        "use 1, before_open or after_close, and 0 or nothing where there is none"
    )
    assert prices_of(frame, "IBM").shape == (HORIZON, len(LEVELS))


def test_two_different_reports_of_one_day_leave_their_symbol_out(table: pd.DataFrame) -> None:
    twice = pd.concat([stating(table, {COMING: 1}), stating(table, {COMING: "after_close"}).tail(1)])
    frame = forecast_from_prices(forecaster(), twice, latest=LAST)
    assert frame.iloc[-1]["note"] == "left out: 2013-02-28 has two different reports in earnings"


def test_a_future_day_needs_a_report_and_no_price(table: pd.DataFrame) -> None:
    priced = stating(table, {COMING: 1})
    priced.loc[priced.index[-1], "close"] = 400.0
    assert "2013-02-28 is in the future" in forecast_from_prices(forecaster(), priced, latest=LAST).iloc[-1]["note"]
    unstated = stating(table, {COMING: 0})
    assert "2013-02-28 is in the future" in forecast_from_prices(forecaster(), unstated, latest=LAST).iloc[-1]["note"]


def test_a_symbol_with_reports_alone_is_left_out_and_says_so(table: pd.DataFrame) -> None:
    frame = forecast_from_prices(forecaster(), stating(table, {COMING: 1}, symbol="FB"), latest=LAST)
    assert frame.iloc[-1]["note"] == "left out: it has reports and no prices"
    with pytest.raises(NothingToForecast, match="it has reports and no prices"):
        forecast_from_prices(forecaster(), stating(table.head(0), {COMING: 1}), latest=LAST)


def test_a_column_that_is_there_twice_is_refused(table: pd.DataFrame) -> None:
    twice = pd.concat([table, table[["earnings"]]], axis=1)
    with pytest.raises(BadFile, match="has the column earnings more than once"):
        forecast_from_prices(forecaster(), twice)


def test_a_model_that_reads_no_reports_takes_the_same_table(table: pd.DataFrame) -> None:
    model = forecaster(tuple(name for name in INPUTS if name not in EVENT_INPUTS))
    plain = forecast_from_prices(model, table)
    for cell in (1, "whatever"):  # a cell that is not read is not checked either
        frame = forecast_from_prices(model, stating(table, {PAST[-1]: cell, COMING: cell}), latest=LAST)
        pd.testing.assert_frame_equal(frame, plain)


def test_a_model_trained_without_a_calendar_uses_no_reports_and_says_so(table: pd.DataFrame) -> None:
    model = forecaster(event_windows=0)
    frame = forecast_from_prices(model, stating(table, {PAST[-1]: 1, COMING: 1}), latest=LAST)
    assert prices_of(frame).tobytes() == prices_of(forecast_from_prices(model, table)).tobytes()
    of_aapl = frame["symbol"] == "AAPL"
    assert {*frame.loc[of_aapl, "note"]} == {
        "its reports are not used: the model was trained without a calendar of reports"
    }
    assert frame.loc[~of_aapl, "note"].isna().all()


def test_a_forecaster_trained_without_a_calendar_forecasts_as_if_none_was_known(bars: pd.DataFrame) -> None:
    known = features_with(bars, dict.fromkeys([*PAST, COMING], "unknown"))
    bare = make_features(panel_from_bars(bars, sessions=SESSIONS))
    assert known.without_reports().x_STF.tobytes() == bare.x_STF.tobytes() != known.x_STF.tobytes()
    model = forecaster(event_windows=0)
    assert expected(model, known)["AAPL"].tobytes() == expected(model, bare)["AAPL"].tobytes()
    trained = Forecaster(replace(model.card, event_windows=1), model.network)
    assert expected(trained, known)["AAPL"].tobytes() != expected(trained, bare)["AAPL"].tobytes()


def test_the_days_to_the_next_session_come_from_the_market_of_the_symbol(bars: pd.DataFrame) -> None:
    """From a Friday, the next session is three days away: a network that reads it forecasts something else."""
    friday = bars[bars["session"] <= "2013-02-22"].reset_index(drop=True)
    model = forecaster()
    served = forecast_from_prices(model, posted(friday))
    features = make_features(panel_from_bars(friday, sessions=SESSIONS))
    assert features.ahead(("days_to_next_session",))[0, -1, 0] == 2
    uncounted = make_features(panel_from_bars(friday))
    log = np.log(prices_of(served)[:, MEDIAN])
    assert prices_of(served).tobytes() == expected(model, features)["AAPL"].tobytes()
    assert (log != np.log(expected(model, uncounted)["AAPL"][:, MEDIAN])).all()
