"""The scored windows: those that every model forecast, with their outcomes.

Outcomes come from the table of prices, and a forecast counts only if its target session is that of the table. A window
is identified by its row in that table.

Legend: N windows, H scored steps, R rows of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.skill.prices import Outcomes
from benchmarks.skill.saved import Forecaster
from pipeline.evaluation.holdout import Heldout
from pipeline.evaluation.walk_forward import heldout_of
from pipeline.forecast_schema import LEVELS, REPORT_DUE, quantile_column

_QUANTILES = [quantile_column(level) for level in LEVELS]
_COLUMNS = ["symbol", "as_of", "step", "target_session", "last_close", "model", *_QUANTILES]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The windows that all forecasters share, with the quantiles of each under its name."""

    heldout: Heldout
    steps: tuple[int, ...]
    unusable: dict[str, int]  # forecasts whose session is not the table's, or that are not numbers


def judge(forecasters: Sequence[Forecaster], outcomes: Outcomes, steps: Sequence[int]) -> Judged:
    """Return the forecasts over `steps` and their outcomes, on the windows that all forecasters have.

    Raises ValueError if there is none, or if a forecaster has two forecasts of one window.
    """
    unusable, windows = {}, []
    for one in forecasters:
        frame = one.read(_COLUMNS, steps)
        row_R, usable_R = _usable(frame, outcomes)
        step_R = frame["step"].to_numpy()
        known_R = outcomes.later(row_R, step_R) >= 0
        unusable[one.name] = int((known_R & ~usable_R).sum())
        windows += [_distinct(row_R[usable_R & (step_R == step)], one) for step in steps]
    common = reduce(partial(np.intersect1d, assume_unique=True), windows)
    if not len(common):
        raise ValueError(f"no window was forecast over the steps {', '.join(map(str, steps))} by all of {unusable}")
    parts = {one.name: _heldout(one, outcomes, steps, common) for one in forecasters}
    first = next(iter(parts.values()))
    quantiles = {}
    for name, part in parts.items():
        assert np.array_equal(part.symbols_N, first.symbols_N)
        assert np.array_equal(part.origins_N, first.origins_N)
        (quantiles[name],) = part.quantiles.values()
    heldout = replace(first, quantiles=quantiles, event_N=_events(forecasters, first))
    return Judged(heldout=heldout, steps=tuple(steps), unusable=unusable)


def _events(forecasters: Sequence[Forecaster], windows: Heldout) -> NDArray[np.bool_] | None:
    """Return whether a scheduled report may move the session after each window, by the first file that says so."""
    told = next((found for one in forecasters if (found := one.reports()) is not None), None)
    if told is None:
        return None
    days = pd.to_datetime(told["as_of"]).astype("datetime64[s]")
    due = pd.Series(told[REPORT_DUE].to_numpy(), index=pd.MultiIndex.from_arrays([told["symbol"], days]))
    origins = pd.DatetimeIndex(windows.origins_N).astype("datetime64[s]")
    asked = pd.MultiIndex.from_arrays([windows.symbols_N, origins])
    return due.reindex(asked, fill_value=False).to_numpy(bool)


def _usable(frame: pd.DataFrame, outcomes: Outcomes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the row of each forecast's window in the table, and whether the forecast counts, both of shape (R,)."""
    row_R = outcomes.rows(frame["symbol"], frame["as_of"].to_numpy())
    target_R = outcomes.sessions(outcomes.later(row_R, frame["step"].to_numpy()))
    prices_RQ = frame[[*_QUANTILES, "last_close"]].to_numpy(float)
    there_R = np.isfinite(prices_RQ).all(axis=1) & (prices_RQ > 0).all(axis=1)
    return row_R, there_R & (target_R == frame["target_session"].to_numpy().astype("datetime64[D]"))


def _distinct(row_N: NDArray[np.int64], one: Forecaster) -> NDArray[np.int64]:
    rows = np.unique(row_N)
    if len(rows) < len(row_N):
        raise ValueError(f"{one.name} has two forecasts of one window; see {', '.join(map(str, one.paths))}")
    return rows


def _heldout(one: Forecaster, outcomes: Outcomes, steps: Sequence[int], common: NDArray[np.int64]) -> Heldout:
    """Return one forecaster on the common windows, session by session; its steps are counted 1, 2 … among `steps`."""
    frame = one.read(_COLUMNS, steps)
    row_R, usable_R = _usable(frame, outcomes)
    frame = frame[usable_R & np.isin(row_R, common)].sort_values(["as_of", "symbol", "step"], kind="stable")
    counted = frame.assign(step=frame["step"].map({step: at for at, step in enumerate(steps, start=1)}))
    return heldout_of(counted, partial(outcomes.returns, steps=steps), horizon=len(steps), levels=LEVELS)
