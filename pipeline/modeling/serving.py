"""Forecasts from client-supplied prices: the answer of a served model."""

from datetime import date

import numpy as np
import pandas as pd

from pipeline.errors import NothingToForecast, UserError
from pipeline.forecast_schema import REPORT_DUE, price_columns, quantile_column
from pipeline.market.sessions import Sessions
from pipeline.modeling.data.features import make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.report_days import report_days
from pipeline.modeling.data.windows import usable_origins
from pipeline.modeling.forecast_frame import forecast_frame
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.posted_prices import Posted, read_posted

NOTE = "note"
_LONGEST = 500  # characters of a refusal
_UNUSED_REPORTS = "its reports are not used: the model was trained without a calendar of reports"


def forecast_from_prices(
    forecaster: Forecaster,
    prices: pd.DataFrame,
    *,
    exchange: str = "XNYS",
    model_version: str = "",
    latest: date | None = None,
) -> pd.DataFrame:
    """Return the forecast frame for a long table of prices, and a column `note`.

    The table has `symbol`, `date`, `close` and those of `open, high, low, volume` that an input of the model reads;
    `dividends` (per share) and `splits` (2 for 2:1) are used if present, and `earnings` (`posted_reports`) by a model
    with an input that reads it. Each symbol is forecast from the last date in the table for its market. `note` names
    rows of the symbol that were left out, marks estimated sessions, and says if its reports are not used. A symbol that
    was left out has one row after all others, with the reason and no numbers. `latest` is the last day of a bar that is
    not in the future.

    Raises BadFile for an unreadable table, NothingToForecast if no symbol is left.
    """
    card = forecaster.card
    columns = price_columns(card.features)
    posted = read_posted(prices, exchange=exchange, latest=latest, columns=columns, reports=card.reads_reports)
    left_out, frames = dict(posted.left_out), []
    for code, bars in posted.bars.items():
        try:
            frames.append(_of_one_market(forecaster, posted, code, model_version, left_out))
        except (UserError, ValueError, IndexError, KeyError) as error:  # a calendar that has ended
            reason = str(error) if isinstance(error, UserError) else f"the calendar {code} has no sessions after it"
            left_out |= dict.fromkeys(bars["symbol"].unique(), reason)
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        raise NothingToForecast(_nothing(left_out, posted.left_out, card.context_length))
    forecasts = pd.concat(frames, ignore_index=True)
    unused = set() if card.event_windows else {*posted.reports["symbol"]}
    forecasts[NOTE] = [
        "; ".join(filter(None, (note, posted.notes.get(name), _UNUSED_REPORTS if name in unused else None))) or None
        for note, name in zip(forecasts[NOTE], forecasts["symbol"], strict=True)
    ]
    return _with_left_out(forecasts, left_out)


def _of_one_market(
    forecaster: Forecaster, posted: Posted, code: str, model_version: str, left_out: dict[str, str]
) -> pd.DataFrame:
    """Return the forecasts of the symbols with a complete context; add the others to `left_out`."""
    card, bars, sessions = forecaster.card, posted.bars[code], Sessions(code)
    panel = panel_from_bars(bars, sessions=sessions)
    features = make_features(panel, report_days(panel, posted.reports, lambda _: sessions))
    last = panel.last
    as_of = panel.day(0, last)
    origins = usable_origins(features, card.context_length).at(last)
    targets = sessions.following(as_of, card.horizon)
    frame = forecast_frame(
        [panel.symbols[s] for s in origins.s_N],
        panel.close_ST[origins.s_N, origins.t_N],
        forecaster.quantiles(features, origins) if len(origins) else np.empty((0, card.horizon, len(card.levels))),
        as_of=as_of,
        targets=[targets] * len(origins),
        levels=card.levels,
        model=card.network,
        model_version=model_version,
    ).drop(columns=REPORT_DUE)
    lasts = bars.groupby("symbol")["session"].max()
    for name in sorted({*panel.symbols} - {*frame["symbol"]}):
        own_last = lasts[name].date()
        short = f"fewer than {card.context_length} whole sessions after its warm-up, up to {as_of}"
        late = f"its last date is {own_last}, that of others on {code} is {as_of}"
        left_out[name] = short if own_last == as_of else late
    prices_NQ = frame[[quantile_column(level) for level in card.levels]].to_numpy(float)
    unsound = frame.loc[~(np.isfinite(prices_NQ) & (prices_NQ > 0)).all(axis=1), "symbol"].unique()
    left_out |= dict.fromkeys(unsound, "its prices lead to a forecast that is not a price")
    estimated = f"estimated session: it is outside the days that the calendar {code} records"
    notes = [estimated if sessions.is_estimated(day) else None for day in targets]
    noted = frame.assign(**{NOTE: [notes[step - 1] for step in frame["step"]]})
    sound: pd.DataFrame = noted[~noted["symbol"].isin(unsound)]
    return sound


def _nothing(left_out: dict[str, str], unread: dict[str, str], context_length: int) -> str:
    """Return in one sentence why nothing can be forecast."""
    if not unread:
        return f"no symbol has {context_length} whole sessions after its warm-up, up to the last date"
    reasons = list(
        dict.fromkeys(reason if name in reason else f"{name}: {reason}" for name, reason in left_out.items())
    )
    text = f"nothing can be forecast: {'; '.join(reasons[:2])}"
    text += f"; and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _with_left_out(forecasts: pd.DataFrame, left_out: dict[str, str]) -> pd.DataFrame:
    if not left_out:
        return forecasts
    rows = pd.DataFrame({"symbol": list(left_out), NOTE: [f"left out: {reason}" for reason in left_out.values()]})
    return pd.concat([forecasts.astype({"step": "Int64"}), rows.astype("str")], ignore_index=True)[
        list(forecasts.columns)
    ]
