"""Symbols without a forecast in a fold of a backtest, with sessions and reason, as in a daily run of those sessions.

A symbol whose history changes scale (an unlisted split) is excluded from that session on, for as long as a daily run
excludes it; no later data decides about an origin. Symbols without a forecast in the whole fold are listed too.

Legend: N windows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.backtest_results import Exclusion
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import AUDIT
from pipeline.prices.audit import SEAM_MATTERS
from pipeline.prices.audit_types import Seam

if TYPE_CHECKING:
    from pipeline.modeling.data.panel import Panel
    from pipeline.modeling.data.windows import Origins

_KEYS = ["symbol", "reason"]


def seams_of(run: Run, last: date) -> list[Seam]:
    """Return the steps in scale up to the session `last` that nobody has released."""
    return [seam for seam in run.load(AUDIT).seams if seam.session <= last]


def doubts_of(run: Run, bars: pd.DataFrame) -> dict[str, str]:
    """Return the symbols without a bar in the snapshot, and why."""
    there = set(bars["symbol"])
    return {one.symbol: one.reason for one in run.load(AUDIT).doubtful if one.symbol not in there}


def spoilt_by(panel: "Panel", origins: "Origins", seams: Iterable[Seam]) -> NDArray[Any]:
    """Return the latest change of scale in the history of each origin, shape (N,), "" if there is none."""
    symbol_N, day_N = panel.symbols_array[origins.s_N], panel.days(origins.s_N, origins.t_N)
    reason_N = np.full(len(origins), "", dtype=object)
    for seam in sorted(seams, key=lambda seam: seam.session):
        since, until = (np.datetime64(day, "D") for day in (seam.session, seam.session + SEAM_MATTERS))
        reason_N[(symbol_N == seam.symbol) & (day_N >= since) & (day_N < until)] = seam.detail
    return reason_N


def rows_of(symbols_N: NDArray[np.str_], as_of_N: NDArray[np.datetime64], reason_N: NDArray[Any]) -> list[Exclusion]:
    """Return one exclusion for each symbol and reason of the origins that are left out."""
    day_N = as_of_N.astype("datetime64[D]").astype(str)
    rows = {"symbol": symbols_N, "reason": reason_N, "first": day_N, "last": day_N, "sessions": 1}
    return _joined(pd.DataFrame(rows)[reason_N != ""])


def rows_of_symbols(reasons: Mapping[str, str], sessions: Sequence[date]) -> list[Exclusion]:
    """Return one exclusion for each symbol without a forecast in all of these sessions."""
    return [
        Exclusion(symbol=symbol, reason=reason, first=str(sessions[0]), last=str(sessions[-1]), sessions=len(sessions))
        for symbol, reason in reasons.items()
    ]


def joined(rows: Iterable[Exclusion]) -> list[Exclusion]:
    """Return the exclusions of several folds, those of the same symbol and reason joined."""
    return _joined(
        pd.DataFrame.from_records([asdict(row) for row in rows], columns=[*_KEYS, "first", "last", "sessions"])
    )


def _joined(rows: pd.DataFrame) -> list[Exclusion]:
    spans = rows.groupby(_KEYS, sort=False).agg({"first": "min", "last": "max", "sessions": "sum"}).reset_index()
    ordered = spans.sort_values(["symbol", "first"], kind="stable").to_dict("records")
    return [Exclusion(**{str(name): value for name, value in row.items()}) for row in ordered]
