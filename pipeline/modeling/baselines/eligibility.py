"""Which symbols a baseline can forecast, and why it cannot forecast the others.

Legend: S symbols, T sessions, N origins.
"""

import numpy as np

from pipeline.modeling.data.features import STILL, WARM_UP, Features
from pipeline.modeling.data.windows import Origins


def forecastable(features: Features) -> Origins:
    """Return the origins at the last session that every baseline can forecast: see `why_not` for the other symbols."""
    panel = features.panel
    s_N = np.flatnonzero(features.scale_ST[:, panel.last] > STILL) if panel.symbols else np.empty(0, np.int64)
    return Origins(s_N=s_N, t_N=np.full(len(s_N), panel.last))


def why_not(features: Features, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return the reason of each symbol that cannot be forecast from its last session."""
    panel = features.panel
    can = {panel.symbols[s] for s in forecastable(features).s_N}
    return {symbol: _reason(features, symbol) for symbol in symbols if symbol not in can}


def _reason(features: Features, symbol: str) -> str:
    panel = features.panel
    if symbol not in panel.symbols:
        return "has no bar at all"
    s = panel.symbols.index(symbol)
    there_T = np.flatnonzero(np.isfinite(panel.close_ST[s]))
    wanted, last = panel.day(s, panel.last), panel.day(s, int(there_T[-1]))
    if last != wanted:
        return f"has no bar for {wanted}; its last is for {last}"
    if len(there_T) <= WARM_UP:
        count = f"{len(there_T)} session{'s' * (len(there_T) != 1)}"
        return f"has {count}, {WARM_UP + 1} are needed for a volatility"
    return "has not moved for so long that it has no volatility"
