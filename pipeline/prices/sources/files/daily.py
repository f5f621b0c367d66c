"""Daily bars with dividends and splits from the rows of a file.

`dividends`, `capital_gains` and `splits` are used as they are (a split of 2:1 is 2, no split 0 or 1); without
`dividends`, an `adj_close` says what was paid, and next to them it is evidence for or against them. A close may be raw
or already split-adjusted: see `apply_actions`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.adjustments import actions_from_adjusted, splits_already_applied
from pipeline.prices.applied_dividends import without_applied
from pipeline.prices.sources import Basis

# A symbol with several timestamps on this share of its days has intraday rows.
_INTRADAY_SHARE = 0.2


def as_daily(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with intraday rows aggregated to daily ones, and the symbols that had them.

    The same stamp twice is no second moment of a day but a duplicate, and left for `quality` to see.
    """
    moments = table.drop_duplicates(["symbol", "stamp"])
    a_day = moments.groupby(["symbol", "session"], sort=False).size()
    often = (a_day > 1).groupby(level="symbol").mean() > _INTRADAY_SHARE
    names = sorted(str(name) for name in often.index[often])
    if not names:
        return table, []
    fine = table["symbol"].isin(names)
    rows = table[fine].sort_values(["symbol", "stamp"], kind="stable")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "adj_close": "last"}
    how |= {"dividends": "sum", "capital_gains": "sum", "splits": "max", "currency": "last", "unreadable": "max"}
    daily = rows.groupby(["symbol", "session"], sort=False, as_index=False).agg(
        {name: kind for name, kind in how.items() if name in rows}
    )
    return pd.concat([table[~fine], daily], ignore_index=True), names


def basis_of(part: pd.DataFrame) -> Basis:
    if (part["split_ratio"] != 1).any():
        return "raw"
    return "split_adjusted" if "listed_split" in part and (part["listed_split"] != 1).any() else "as_given"


def listed_splits(part: pd.DataFrame) -> NDArray[np.float64]:
    listed = part["splits"].to_numpy(float)
    return np.where(np.isfinite(listed) & (listed > 0), listed, 1.0)


def apply_actions(part: pd.DataFrame) -> pd.DataFrame:
    """Return one symbol's rows with `dividend` and `split_ratio`, on the basis that its close shows, and the evidence.

    The prices stay as they came. Whether they contain the listed splits is decided for the series as a whole: one in
    which some rows do and some do not is for `quality` to find, by `listed_split`.
    """
    part = part.sort_values("session", kind="stable")
    close = part["close"].to_numpy(float)
    split_ratio = np.ones(len(part))
    evidence: dict[str, NDArray[np.float64]] = {}
    if "splits" in part:
        split_ratio = listed_splits(part)
        if splits_already_applied(close, split_ratio):
            evidence["listed_split"] = split_ratio
            split_ratio = np.ones(len(part))
    dividend = np.zeros(len(part))
    if "dividends" in part:
        dividend = part["dividends"].fillna(0.0).to_numpy(float)
        if "adj_close" in part:
            evidence["adjusted_close"] = part["adj_close"].to_numpy(float)
        if "capital_gains" in part:
            evidence["capital_gain"] = part["capital_gains"].to_numpy(float)
        dividend, evidence = without_applied(part, dividend, split_ratio, evidence)
    elif "adj_close" in part:
        adjusted = part["adj_close"].to_numpy(float)
        usable = np.isfinite(close) & (close > 0) & np.isfinite(adjusted) & (adjusted > 0)
        dividend[usable], derived = actions_from_adjusted(close[usable], adjusted[usable])
        if "splits" not in part:
            split_ratio[usable] = derived
    return part.assign(dividend=dividend, split_ratio=split_ratio, **evidence)
