"""The data that a fold of a backtest sees, up to its last session, and the windows that it forecasts.

Legend: M markets, N windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import Settings
from pipeline.evaluation.backtest_results import Exclusion, FoldPlan
from pipeline.events.event import Calendar
from pipeline.jobs.backtest import exclusions
from pipeline.jobs.context import calendar_of, features_from
from pipeline.jobs.run import Run
from pipeline.prices.audit_types import Seam
from pipeline.storage.atomic_files import sha256_bytes

if TYPE_CHECKING:
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.windows import Origins


@dataclass(frozen=True, kw_only=True)
class View:
    """The bars that a fold sees, and the origins that it forecasts, session by session."""

    settings: Settings
    sessions: list[date]
    bars: pd.DataFrame
    calendar: Calendar
    seams: Sequence[Seam]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of these bars; later bars of the snapshot do not change it."""
        return sha256_bytes(pd.util.hash_pandas_object(self.bars, index=False).to_numpy().tobytes())

    @cached_property
    def features(self) -> "Features":
        """The features of these bars."""
        return features_from(self.bars, self.calendar, self.settings, self.sessions[-1])

    @cached_property
    def origins(self) -> "Origins":
        """Every origin that a baseline can forecast and whose history has no unlisted change of scale, shape (N,)."""
        return self._reached.where(self._spoilt_by_N == "")

    @property
    def as_of_N(self) -> NDArray[np.datetime64]:
        """The session that each of `origins` is forecast from, by the exchange of the settings."""
        return np.asarray(self._reached_from_N[self._spoilt_by_N == ""])

    def withheld(self, symbols: Sequence[str], doubts: Mapping[str, str]) -> list[Exclusion]:
        """Return the excluded origins, and the symbols without any origin, with the reasons.

        `doubts` are the reasons of symbols without one bar.
        """
        from pipeline.modeling.baselines import why_not

        names_N = self.features.panel.symbols_array[self._reached.s_N]
        reached = set(names_N.tolist())
        silent = tuple(symbol for symbol in symbols if symbol not in reached)
        reasons = {**why_not(self.features, silent), **{name: doubts[name] for name in silent if name in doubts}}
        spoilt = exclusions.rows_of(names_N, self._reached_from_N, self._spoilt_by_N)
        return spoilt + exclusions.rows_of_symbols(reasons, self.sessions)

    @cached_property
    def _reached(self) -> "Origins":
        from pipeline.modeling.data.windows import Origins

        s_N, t_N = (np.concatenate([getattr(part, name) for part in self._by_session]) for name in ("s_N", "t_N"))
        return Origins(s_N=s_N, t_N=t_N)

    @cached_property
    def _reached_from_N(self) -> NDArray[np.datetime64]:
        return np.repeat(np.array(self.sessions, "datetime64[s]"), [len(part) for part in self._by_session])

    @cached_property
    def _spoilt_by_N(self) -> NDArray[Any]:
        return exclusions.spoilt_by(self.features.panel, self._reached, self.seams)

    @cached_property
    def _by_session(self) -> list["Origins"]:
        from pipeline.evaluation.walk_forward import origins_on

        panel, clock = self.features.panel, self.settings.clock
        one_of_M = [panel.symbols[int(np.argmax(panel.market_S == m))] for m in range(len(panel.days_MT))]
        return [origins_on(self.features, [*map(clock.at(day).last, one_of_M)]) for day in self.sessions]


def view_of(run: Run, bars: pd.DataFrame, fold: FoldPlan) -> View:
    """Return the view of a fold: the run's bars up to its last session."""
    settings = run.settings
    sessions = settings.clock.sessions.between(*map(date.fromisoformat, (fold.first, fold.last)))
    clock = settings.clock.at(sessions[-1])
    last = {symbol: pd.Timestamp(clock.last(symbol)) for symbol in bars["symbol"].unique()}
    seen = bars[bars["session"] <= bars["symbol"].map(last)].reset_index(drop=True)
    seams = exclusions.seams_of(run, date.fromisoformat(fold.last))
    return View(settings=settings, sessions=sessions, bars=seen, calendar=calendar_of(run), seams=seams)
