"""Abstention: the symbols for which a network gives no forecast, so that the best baseline's is published, labelled."""

import numpy as np
import pandas as pd

from pipeline.evaluation import track_record
from pipeline.modeling.data.features import Features

# A price that has not moved for a week is stale: a forecast of it would be meaningless.
STALE_SESSIONS = 5


def abstentions(features: Features, trained_on: tuple[str, ...], record: pd.DataFrame) -> dict[str, str]:
    """Return the symbols for which the network abstains, each with the reason.

    `trained_on` are the symbols of its training windows, `record` the scored forecasts of these symbols.
    """
    panel = features.panel
    closes = panel.close_ST[:, -STALE_SESSIONS - 1 :]
    stale = np.isfinite(closes).all(axis=1) & (closes == closes[:, :1]).all(axis=1)
    reasons = {
        symbol: f"its price has not moved for {STALE_SESSIONS} sessions"
        for symbol, is_stale in zip(panel.symbols, stale, strict=True)
        if is_stale and closes.shape[1] > STALE_SESSIONS
    }
    untrained = [symbol for symbol in panel.symbols if symbol not in trained_on]
    reasons |= dict.fromkeys(untrained, "the network was not trained on it (short history, or a new symbol)")
    live = track_record.by_kind(record).get("live")
    return reasons | (track_record.out_of_bounds(live) if live is not None else {})
