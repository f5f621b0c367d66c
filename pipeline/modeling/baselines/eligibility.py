"""Which symbols the baselines can forecast, and why not the others.

Legend: S symbols, T sessions, N origins.
"""

import numpy as np

from pipeline.modeling.data.features import STILL, WARM_UP, Features
from pipeline.modeling.data.windows import Origins


def forecastable(features: Features) -> Origins:
    """Return the origins at the last session that every baseline can forecast."""
    panel = features.panel
    s_N = np.flatnonzero(features.scale_ST[:, panel.last] > STILL) if panel.symbols else np.empty(0, np.int64)
    return Origins(s_N=s_N, t_N=np.full(len(s_N), panel.last))


def why_not(features: Features, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return by symbol why it cannot be forecast from its last session; eligible symbols are not included."""
    panel = features.panel
    eligible = {panel.symbols[s] for s in forecastable(features).s_N}
    return {symbol: _reason(features, symbol) for symbol in symbols if symbol not in eligible}


def _reason(features: Features, symbol: str) -> str:
    panel = features.panel
    if symbol not in panel.symbols:
        return "has no bar at all"
    s = panel.symbols.index(symbol)
    with_bar_T = np.flatnonzero(np.isfinite(panel.close_ST[s]))
    wanted, last = panel.day(s, panel.last), panel.day(s, int(with_bar_T[-1]))
    if last != wanted:
        return f"has no bar for {wanted}; its last is for {last}"
    if len(with_bar_T) <= WARM_UP:
        count = f"{len(with_bar_T)} session{'s' * (len(with_bar_T) != 1)}"
        return f"has {count}, {WARM_UP + 1} are needed for a volatility"
    return "has not moved for so long that it has no volatility"
