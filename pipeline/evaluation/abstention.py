"""When a network keeps quiet about a symbol, so that the best baseline speaks for it, labelled, with the reason."""

import numpy as np
import pandas as pd

from pipeline.evaluation import track_record
from pipeline.modeling.data.features import Features

# A price that has not moved for a week is not quoted, whatever the network makes of it.
STALE_SESSIONS = 5


def abstentions(features: Features, trained_on: tuple[str, ...], record: pd.DataFrame) -> dict[str, str]:
    """Return the symbols that the network says nothing about, each with the reason.

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
    strangers = [symbol for symbol in panel.symbols if symbol not in trained_on]
    reasons |= dict.fromkeys(strangers, "the network was not trained on it: its history is too short, or it is new")
    in_time = track_record.by_kind(record).get("live")
    return reasons | (track_record.out_of_bounds(in_time) if in_time is not None else {})
