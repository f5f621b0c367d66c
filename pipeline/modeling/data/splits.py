"""Training, validation and test blocks: in this order in time, with an embargo between them.

The blocks are cut by date, on the sessions of the market with the most windows, and apply to all markets: no target of
one block lies in the next.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.windows import Origins

MIN_TRAIN_WINDOWS = 1000


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Origins by use. `train` and `validation` are empty if there is too little history to train on."""

    train: Origins
    validation: Origins
    test: Origins
    before_test: Origins  # all of which no target lies in the test block: these two and the embargo between them


def split(origins: Origins, panel: Panel, *, horizon: int, holdout: int, validation: int) -> Fold:
    """Return one fold over `origins`, all of whose targets are known.

    The last `holdout` sessions are the test block, the `validation` sessions before them the validation block.
    """
    if not len(origins):
        return Fold(train=origins, validation=origins, test=origins, before_test=origins)
    market_N = panel.market_S[origins.s_N]
    main = int(np.bincount(market_N).argmax())
    last = int(origins.t_N[market_N == main].max())
    test_from = _day(panel, main, last - holdout + 1)
    validation_from = _day(panel, main, last - holdout + 1 - horizon - validation)
    day_N = panel.days(origins.s_N, origins.t_N)
    target_N = panel.days(origins.s_N, origins.t_N + horizon)
    return Fold(
        train=origins.where(target_N < validation_from),
        validation=origins.where((day_N >= validation_from) & (target_N < test_from)),
        test=origins.where(day_N >= test_from),
        before_test=origins.where(target_N < test_from),
    )


def _day(panel: Panel, market: int, t: int) -> np.datetime64:
    """The session `t` of a market; before its first one, a day before all days."""
    day = panel.days_MT[market, t] if t >= 0 else np.datetime64("NaT", "D")
    return np.datetime64(date.min, "D") if np.isnat(day) else day


def too_little(fold: Fold) -> str | None:
    """Return the reason why a fold cannot train a network, or None."""
    if len(fold.train) >= MIN_TRAIN_WINDOWS and len(fold.validation):
        return None
    return (
        f"too little history to train on: {len(fold.train)} windows before the holdout sessions, "
        f"at least {MIN_TRAIN_WINDOWS} are needed"
    )
