"""Bars without volume: one warning per halt, and one note for a series that never or rarely trades."""

import numpy as np

from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Panel

# A share with no trade on every twentieth day is thinly traded: each such day is no news.
_THIN_SHARE = 0.05
# Fewer bars than this do not show what is typical.
_FEW = 20


def check_volume(panel: Panel, found: Findings) -> None:
    """Warn on the first bar of each run without volume; note a symbol that never or rarely has volume."""
    none = ~(np.nan_to_num(panel["volume"]) > 0)
    if not none.any():
        return
    for first, last in zip(panel.starts[:-1], panel.starts[1:], strict=True):
        here = none[first:last]
        if not here.any() or not (here & panel.is_new[first:last]).any():
            continue
        symbol, count = str(panel.symbol[first]), int(here.sum())
        if here.all() and len(here) > 1:
            found.note(
                symbol, "no_volume", f"no volume on any of {count} bars: a fund, an index or a currency, or halted"
            )
            continue
        runs = np.flatnonzero(here & ~np.concatenate([[False], here[:-1]]))
        ends = np.flatnonzero(here & ~np.concatenate([here[1:], [False]]))
        if len(here) >= _FEW and len(runs) > _THIN_SHARE * len(here):
            found.note(symbol, "no_volume", f"no volume on {count} of {len(here)} bars: thinly traded")
            continue
        for run, end in zip(runs, ends, strict=True):
            new = np.flatnonzero(panel.is_new[first + run : first + end + 1])
            if len(new) and new[0] == 0:  # a run that began among known bars was reported then
                words = f"no volume on {end - run + 1} bars from here" if end > run else "no volume"
                found.add([panel.at[first + run]], "warn", "no_volume", f"{words}: suspended, or not reported")
