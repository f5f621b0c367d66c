"""Dividends that the prices already contain: they are not counted, with one note per symbol.

The source decides it (see `pipeline.prices.applied_dividends`) and gives such a dividend as `listed_dividend`. Where it
cannot be decided the dividends are counted, and where that may matter it is said as well.
"""

import numpy as np
import pandas as pd

from pipeline.prices.applied_dividends import dividends_in_prices
from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Panel

RULE, UNCLEAR = "dividends_in_prices", "dividends_unclear"
# Dividends below this share of the price in all change little whichever way they are counted.
_MATTERS = 0.03


def check_applied_dividends(panel: Panel, found: Findings) -> None:
    """Warn on the first new bar of each symbol whose listed dividend is not counted, and note the symbol."""
    listed = panel.is_new & (np.nan_to_num(panel["listed_dividend"]) > 0)
    for first, last in zip(panel.starts[:-1], panel.starts[1:], strict=True):
        rows = np.flatnonzero(listed[first:last]) + first
        if len(rows):
            paid = float((panel["listed_dividend"][rows] / panel["close"][rows]).sum())
            text = (
                f"the prices are already adjusted for the {len(rows)} dividends listed next to them ({paid:.1%} in all)"
            )
            found.add([panel.at[rows[0]]], "warn", RULE, f"{text}: these are not counted again")
            found.note(str(panel.symbol[first]), RULE, f"{text}: these are not counted again")


def note_unclear(panel: Panel, found: Findings) -> None:
    """Note the symbols whose prices may contain their dividends, if it is unclear and makes a difference."""
    paid = panel["dividend"] > 0
    for first, last in zip(panel.starts[:-1], panel.starts[1:], strict=True):
        if not paid[first:last].any():
            continue
        rows = slice(first, last)
        bars = pd.DataFrame({name: panel[name][rows] for name in ("open", "close")})
        bars["session"] = panel.day[rows].astype("datetime64[D]")
        adjusted = panel["adjusted_close"][rows]
        evidence = dividends_in_prices(
            bars, panel["dividend"][rows], panel["split_ratio"][rows], adjusted if np.isfinite(adjusted).any() else None
        )
        if evidence.answer == "unclear" and evidence.odds > 0 and evidence.paid > _MATTERS:
            listed = f"{evidence.events} dividends, {evidence.paid:.1%} of the price in all"
            text = f"{listed}, barely show in the prices on ex-dates"
            found.note(
                str(panel.symbol[first]), UNCLEAR, f"{text}: counted, although the prices may already contain them"
            )
