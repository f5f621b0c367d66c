"""Walk-forward evaluation: the sessions of each fold, its training windows, and the scores of all folds.

Legend: S symbols, M markets, N windows, H horizon, Q quantile levels.
"""

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.backtest_results import FoldPlan
from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.metrics import Array, crps_bp
from pipeline.forecast_schema import REPORT_DUE, quantile_column
from pipeline.modeling.data.features import STILL, Features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import Origins

_WINDOW = ["as_of", "symbol"]
Outcomes = Callable[[NDArray[np.str_], NDArray[np.datetime64]], Array]  # symbols (N,), as_of (N,) -> returns (N, H)


def walk(sessions: Sequence[date], refit_every: int) -> list[FoldPlan]:
    """Return the folds over `sessions`.

    A model forecasts `refit_every` sessions, the last one what is left.
    """
    parts = [sessions[at : at + refit_every] for at in range(0, len(sessions), refit_every)]
    return [FoldPlan(number=n, first=str(part[0]), last=str(part[-1])) for n, part in enumerate(parts, start=1)]


def fold_before(origins: Origins, panel: Panel, *, first: date, horizon: int, validation: int) -> Fold:
    """Return the fold of a model that forecasts from the session `first` on, over `origins` whose targets have matured.

    All its targets lie before `first`. The last `validation` sessions of such windows choose when to stop; no target of
    a training window lies in them. There is no test block: later sessions are the test.
    """
    nothing = origins.where(np.zeros(len(origins), bool))
    target_N = panel.days(origins.s_N, origins.t_N + horizon)
    seen = origins.where(target_N < np.datetime64(first, "D"))
    if not len(seen):
        return Fold(train=nothing, validation=nothing, test=nothing)
    market_N = panel.market_S[seen.s_N]
    main = int(np.bincount(market_N).argmax())  # the market with the most windows counts the sessions
    ends = np.unique(panel.days_MT[main, seen.t_N[market_N == main]])
    validation_from = ends[-min(validation, len(ends))]
    day_N = panel.days(seen.s_N, seen.t_N)
    target_N = panel.days(seen.s_N, seen.t_N + horizon)
    return Fold(
        train=seen.where(target_N < validation_from),
        validation=seen.where(day_N >= validation_from),
        test=nothing,
    )


def origins_on(features: Features, day_M: Sequence[date]) -> Origins:
    """Return the origins of one session that a baseline can forecast; `day_M` is that session on each market's axis."""
    panel = features.panel
    at_M = [np.flatnonzero(days_T == np.datetime64(day, "D")) for days_T, day in zip(panel.days_MT, day_M, strict=True)]
    t_M = np.array([int(at[0]) if len(at) else -1 for at in at_M], np.int64)
    s_N = np.flatnonzero(t_M[panel.market_S] >= 0)
    t_N = t_M[panel.market_S[s_N]]
    return Origins(s_N=s_N, t_N=t_N).where(features.scale_ST[s_N, t_N] > STILL)


def heldout_of(frame: pd.DataFrame, outcome_of: Outcomes, *, horizon: int, levels: tuple[float, ...]) -> Heldout:
    """Return the windows that all models of a frame of forecasts have, and whose targets have matured.

    `frame` has the columns of `pipeline.modeling.forecast_frame`, for each model and window steps 1 to `horizon` in
    a row, and `report_due` if there is a calendar; `outcome_of` gives the cumulative log returns after each window, NaN
    where they have not matured.
    """
    tables = {str(name): _table(rows, horizon, levels) for name, rows in frame.groupby("model", sort=False)}
    common: pd.MultiIndex | None = None
    for windows, _ in tables.values():
        common = windows if common is None else common.intersection(windows, sort=False)
    if common is None:
        common = pd.MultiIndex.from_arrays([[], []], names=_WINDOW)
    symbols_N = common.get_level_values("symbol").to_numpy(dtype=np.str_)
    origins_N = common.get_level_values("as_of").to_numpy().astype("datetime64[D]")
    actual_NH = outcome_of(symbols_N, origins_N)
    came_N = np.isfinite(actual_NH).all(axis=1)
    return Heldout(
        symbols_N=symbols_N[came_N],
        origins_N=origins_N[came_N],
        actual_NH=actual_NH[came_N],
        quantiles={
            name: quantiles_NHQ[windows.get_indexer(common)[came_N]]
            for name, (windows, quantiles_NHQ) in tables.items()
        },
        event_N=_events(frame, common[np.flatnonzero(came_N)]),
    )


def by_session(heldout: Heldout, levels: tuple[float, ...]) -> pd.DataFrame:
    """Return the mean CRPS of each session's forecasts in basis points: one row a session, one column a model."""
    crps = {
        name: crps_bp(quantiles_NHQ, heldout.actual_NH, levels).mean(axis=1)
        for name, quantiles_NHQ in heldout.quantiles.items()
    }
    return pd.DataFrame(crps).groupby(pd.Index(heldout.origins_N, name="session")).mean()


def gained(sessions: pd.DataFrame, model: str, baseline: str) -> "pd.Series[float]":
    """Return the cumulative CRPS gain of a model on a baseline; `sessions` as returned by `by_session`."""
    return (sessions[baseline] - sessions[model]).cumsum()


def _events(frame: pd.DataFrame, windows: pd.MultiIndex) -> NDArray[np.bool_] | None:
    """Return whether a scheduled report may move the session after each window, as a frame says; None if it does not.

    All models of a frame have the same calendar.
    """
    if REPORT_DUE not in frame:
        return None
    known = frame.loc[frame[REPORT_DUE].notna(), [*_WINDOW, REPORT_DUE]].drop_duplicates(_WINDOW)
    if known.empty:
        return None
    due = known.set_index(_WINDOW)[REPORT_DUE].astype(bool)
    return due.reindex(windows, fill_value=False).to_numpy(bool)


def _table(rows: pd.DataFrame, horizon: int, levels: tuple[float, ...]) -> tuple[pd.MultiIndex, Array]:
    """Return the windows of one model's rows and its quantiles of the log return, shape (N, H, Q)."""
    prices = rows[[quantile_column(level) for level in levels]].to_numpy(float)
    quantiles = np.ascontiguousarray(np.log(prices / rows["last_close"].to_numpy(float)[:, None]))
    windows = pd.MultiIndex.from_frame(rows.loc[rows["step"] == 1, _WINDOW])
    return windows, quantiles.reshape(len(windows), horizon, len(levels))
