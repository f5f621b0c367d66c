"""Tables with the symbols side by side, as yfinance writes them: one column per field and ticker."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.prices.sources.files.columnar import pair_of
from pipeline.prices.sources.files.headers import FIELDS, key_of
from pipeline.prices.sources.files.raw import RawTable, any_filled


def melted(raw: RawTable, levels: Sequence[Sequence[str]]) -> RawTable:
    """Return the long table of a header with two levels, in either order."""
    first, second = ([cell.strip() for cell in level] for level in levels[:2])
    fields, symbols = (first, second) if all(key_of(cell) in FIELDS for cell in first[1:]) else (second, first)
    return _by_symbol(raw, 0, fields, symbols)


def melted_pairs(raw: RawTable) -> RawTable:
    """Return a table with one level of names as it is, one of two levels (pandas' tuples) as a long one."""
    pairs = [pair_of(name) for name in raw.header]
    here = [place for place, pair in enumerate(pairs) if pair is not None]
    if not here:
        return raw
    others = [place for place in range(len(raw.header)) if place not in here]
    swap = not all(key_of(pair[0]) in FIELDS for pair in pairs if pair is not None and pair[1])
    ordered = [("", "") if pair is None else (pair[1], pair[0]) if swap else pair for pair in pairs]
    dates = others or [place for place in here if not all(pairs[place] or ())]
    if not dates:
        return raw
    return _by_symbol(raw, dates[0], [pair[0] for pair in ordered], [pair[1] for pair in ordered])


def _by_symbol(raw: RawTable, date: int, fields: list[str], symbols: list[str]) -> RawTable:
    parts: list[pa.Table] = []
    places: list[NDArray[np.int64]] = []
    names = dict.fromkeys(
        symbol for place, symbol in enumerate(symbols) if place != date and key_of(fields[place]) in FIELDS
    )
    for symbol in names:
        mine = [place for place, other in enumerate(symbols) if place != date and other == symbol]
        columns = [raw.columns[place] for place in mine]
        # Where another symbol has a row on a day of its own, this one has none: that is no row.
        rows = np.flatnonzero(any_filled(columns, len(raw)))
        taken = [column.take(pa.array(rows)) for column in (raw.columns[date], *columns)]
        name = pa.chunked_array([pa.repeat(pa.scalar(symbol, pa.string()), len(rows))])
        titles = ["date", "symbol", *(re.sub(r"^price$", "close", fields[place].casefold()) for place in mine)]
        parts.append(pa.table([taken[0], name, *taken[1:]], names=titles))
        places.append(rows)
    table = pa.concat_tables(parts, promote_options="permissive")
    return replace(
        raw,
        header=tuple(table.column_names),
        columns=tuple(table.columns),
        vendor="yfinance",
        rows=np.concatenate(places),
    )
