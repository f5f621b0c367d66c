"""Local market dates of timestamps: in UTC a timestamp may be on the evening before.

A stamp without a zone, and one with the offset of some place, is as a clock there shows it: its date is the session. A
stamp of UTC is a moment: its date is the one on the market at that moment, unless all of them are midnights, which is
how dates without a time are written. A local midnight that was stored in another zone is brought back to its market.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.prices.sources.files.dates import Dates

Stamps = NDArray[np.datetime64]
# If this share of a market's timestamps are midnights, they are dates.
_NEARLY_ALL = 0.95
_DAY, _MINUTE = np.timedelta64(1, "D"), np.timedelta64(1, "m")


def on_market(
    dates: Dates, text_N: NDArray[np.int64], market_N: NDArray[np.int64], zone_of: Callable[[int], str]
) -> tuple[Stamps, bool]:
    """Return the wall time on its market of each row (N rows), and whether any date is another than it was written.

    `text_N` is the number of each row's text in `dates`, `market_N` that of its market, whose zone `zone_of` gives.
    """
    stamps = dates.wall[text_N]
    zoned = dates.has_zone[text_N]
    if not zoned.any():
        return stamps, False
    moved = False
    for market in np.unique(market_N[zoned]).tolist():
        rows = np.flatnonzero(zoned & (market_N == market))
        places, back = np.unique(text_N[rows], return_inverse=True)
        local = _local(dates.wall[places], dates.offset[places], partial(zone_of, market))
        moved = moved or bool((_days(local) != _days(dates.wall[places])).any())
        stamps[rows] = local[back]
    return stamps, moved


def _local(wall: Stamps, offset: NDArray[np.int64], zone: Callable[[], str]) -> Stamps:
    known, midnight = ~np.isnat(wall), _is_midnight(wall)
    if midnight[known].mean() >= _NEARLY_ALL:
        return wall if midnight[known].all() else np.where(midnight, wall, _shifted(wall, offset, zone()))
    there = _shifted(wall, offset, zone())
    if _is_midnight(there)[known].mean() >= _NEARLY_ALL:  # another place's clock showed this market's midnights
        return np.where(_is_midnight(there), there, wall)
    return np.where(offset == 0, there, wall)


def _shifted(wall: Stamps, offset: NDArray[np.int64], zone: str) -> Stamps:
    moments = pd.DatetimeIndex(wall - offset * _MINUTE, tz="UTC")
    local: Stamps = moments.tz_convert(zone).tz_localize(None).to_numpy("datetime64[s]")
    return local


def _is_midnight(wall: Stamps) -> NDArray[np.bool_]:
    return np.asarray(_days(wall).astype("datetime64[s]") == wall)


def _days(wall: Stamps) -> Stamps:
    return wall.astype("datetime64[D]")
