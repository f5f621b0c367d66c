"""Dates and timestamps with a type, as in Parquet."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.prices.sources.files.dates import Dates
from pipeline.prices.sources.files.reading_options import FIRST_DAY, FileOptions


def typed_dates(column: pa.ChunkedArray, options: FileOptions) -> tuple[Dates, NDArray[np.int64]]:
    """Return dates and timestamps of Parquet; with a zone, the wall time there and its offset."""
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    seconds = pc.cast(pc.cast(column, pa.timestamp("s", zone), safe=False), pa.int64())
    missing = np.datetime64("NaT").astype(np.int64)
    text_N, unique = pd.factorize(pc.fill_null(seconds, int(missing)).to_numpy())
    walls = unique.astype("datetime64[s]").copy()
    offset = np.zeros(len(walls), np.int64)
    if zone is not None:
        local = pd.DatetimeIndex(walls, tz="UTC").tz_convert(zone).tz_localize(None).to_numpy("datetime64[s]").copy()
        known = ~np.isnat(walls)
        offset[known] = ((local - walls)[known] // np.timedelta64(1, "m")).astype(np.int64)
        walls = local
    faults: dict[int, str] = {}
    for place, moment in enumerate(walls):
        if np.isnat(moment):
            faults[place] = "the date is blank"
        elif not np.datetime64(FIRST_DAY) <= moment < np.datetime64(options.last_day) + np.timedelta64(1, "D"):
            late = moment > np.datetime64(options.last_day)
            faults[place] = f"the date {str(moment)[:10]!r} {'is in the future' if late else 'is before 1900'}"
            walls[place] = np.datetime64("NaT")
    dates = Dates(
        name="typed dates",
        wall=walls,
        offset=offset,
        has_zone=np.full(len(walls), zone is not None),
        faults=faults,
    )
    return dates, text_N.astype(np.int64)
