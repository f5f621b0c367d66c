"""How the published model's earlier ranges held on the sessions that a report may have moved, by symbol.

From held-out windows alone: the model has trained on none of them.

Legend: N windows, H horizon, Q quantile levels.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.forecast_schema import RANGE_POSITIONS
from pipeline.publishing.event_outlook import PastRanges

if TYPE_CHECKING:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.panel import Array
    from pipeline.modeling.forecaster import Forecaster

_LAST = 8  # ranges of a symbol: two years of reports, or one where two sessions stand for each


@dataclass(frozen=True, kw_only=True)
class EventWindows:
    """The held-out windows of some symbols before a session that a report may have moved, the last ones of each."""

    heldout: "Heldout"

    @classmethod
    def of(cls, heldout: "Heldout", features: "Features", symbols: Collection[str]) -> "EventWindows":
        """Return the last windows of each of these symbols."""
        scheduled = features.scheduled
        if scheduled is None or not len(heldout.actual_NH):
            return cls(heldout=heldout.where(np.zeros(len(heldout.actual_NH), bool)))
        s_N, t_N = features.panel.positions(heldout.symbols_N, heldout.origins_N)
        marked_N = (s_N >= 0) & (t_N >= 0) & np.isin(heldout.symbols_N, list(symbols))
        marked_N &= scheduled.moves_next_ST[s_N, t_N]
        return cls(heldout=heldout.where(_last_of_each(heldout, marked_N)))

    def ranges(self, quantiles_NHQ: "Array", rows_N: NDArray[np.bool_] | None = None) -> dict[str, PastRanges]:
        """Return by symbol how the 90 % ranges of the next session held, of the windows `rows_N` if given."""
        low, high = RANGE_POSITIONS[90]
        actual_N = self.heldout.actual_NH[:, 0]
        inside_N = (quantiles_NHQ[:, 0, low] <= actual_N) & (actual_N <= quantiles_NHQ[:, 0, high])
        rows_N = np.ones(len(actual_N), bool) if rows_N is None else rows_N
        found = {}
        for symbol in np.unique(self.heldout.symbols_N[rows_N]).tolist():
            mine_N = rows_N & (self.heldout.symbols_N == symbol)
            found[symbol] = PastRanges(inside=int(inside_N[mine_N].sum()), ranges=int(mine_N.sum()))
        return found

    def by_contender(self, name: str) -> dict[str, PastRanges]:
        """Return how the ranges of a contender held; nothing if it was not one."""
        quantiles_NHQ = self.heldout.quantiles.get(name)
        return {} if quantiles_NHQ is None else self.ranges(quantiles_NHQ)

    def by_forecaster(self, forecaster: "Forecaster", features: "Features") -> dict[str, PastRanges]:
        """Return how the ranges of an earlier model held, in windows after those that it trained on."""
        from pipeline.modeling.data.windows import Origins, usable_origins

        card = forecaster.card
        if not card.targets_last or not len(self.heldout.actual_NH):  # a model of an older version
            return {}
        seen = np.datetime64(date.fromisoformat(card.targets_last) + timedelta(days=1), "D")
        usable_ST = np.zeros(features.scale_ST.shape, bool)
        usable = usable_origins(features, card.context_length)
        usable_ST[usable.s_N, usable.t_N] = True
        s_N, t_N = features.panel.positions(self.heldout.symbols_N, self.heldout.origins_N)
        rows_N = (self.heldout.origins_N >= seen) & usable_ST[s_N, t_N]
        quantiles_NHQ = np.full((len(s_N), card.horizon, len(card.levels)), np.nan)
        quantiles_NHQ[rows_N] = forecaster.quantiles(features, Origins(s_N=s_N[rows_N], t_N=t_N[rows_N]))
        return self.ranges(quantiles_NHQ, rows_N)


def _last_of_each(heldout: "Heldout", marked_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the marked windows are among the last `_LAST` of their symbol."""
    kept_N = np.zeros_like(marked_N)
    at = np.flatnonzero(marked_N)
    for symbol in np.unique(heldout.symbols_N[at]):
        mine = at[heldout.symbols_N[at] == symbol]
        kept_N[mine[np.argsort(heldout.origins_N[mine], kind="stable")][-_LAST:]] = True
    return kept_N
