"""Bars in the form of the database: numbers by series, day and batch, sorted. Shared by `writer` and `asof`.

Legend: N rows, V values of a bar.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Select, select

from pipeline.database.schema import bars, day_number
from pipeline.prices.bars import COLUMNS, VALUES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
T = TypeVar("T")

_DAY_BITS = 20  # days since 1970 from the year 534 to the year 3405
_DAY_ZERO = 1 << (_DAY_BITS - 1)
_IN_ONE_QUERY = 5000  # values in one IN list, well below what either database takes

# The columns of `frames` as Arrow has them.
SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("session", pa.date32()),
        *((name, pa.float64()) for name in VALUES),
        ("currency", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Bars sorted by series, day and batch: a later row of the same series and day is a revision."""

    series_N: Ints
    days_N: Ints  # since 1970
    batch_N: Ints
    values_NV: Floats  # in the order of frames.VALUES

    def __len__(self) -> int:
        return len(self.series_N)

    @property
    def keys_N(self) -> Ints:
        """One number for each series and day, ascending."""
        keys_N: Ints = keys_of(self.series_N, self.days_N)
        return keys_N

    def take(self, at: NDArray[Any]) -> "Rows":
        """Return the rows at these positions, or where a mask says so."""
        return Rows(
            series_N=self.series_N[at], days_N=self.days_N[at], batch_N=self.batch_N[at], values_NV=self.values_NV[at]
        )

    def newest(self) -> "Rows":
        """Return the last revision of each bar."""
        keys_N = self.keys_N
        if not len(keys_N):
            return self
        return self.take(np.append(keys_N[1:] != keys_N[:-1], True))


def query_of(
    series: Sequence[int], first: date | None = None, last: date | None = None, top: int | None = None
) -> Select[Any]:
    """Return the query for all revisions of the bars of some series, from `first` to `last`, up to batch `top`."""
    columns = bars.c
    query = select(
        columns.series_id,
        day_number(columns.session).label("day"),
        columns.batch_id,
        *(columns[name] for name in VALUES),
    ).where(columns.series_id.in_(series))
    if first is not None:
        query = query.where(columns.session >= first)
    if last is not None:
        query = query.where(columns.session <= last)
    if top is not None:
        query = query.where(columns.batch_id <= top)
    return query.order_by(columns.series_id, columns.session, columns.batch_id)


def from_numbers(numbers: Floats) -> Rows:
    """Return the rows of a fetched array, shape (N, 3 + V)."""
    heads = numbers[:, :3].astype(np.int64)
    return Rows(series_N=heads[:, 0], days_N=heads[:, 1], batch_N=heads[:, 2], values_NV=numbers[:, 3:])


def heads_of(table: pa.Table) -> tuple[Ints, Ints, Ints]:
    """Return series, days and batches of a table read by `query_of`, (N,) each."""
    series_N, days_N, batch_N = (table.column(at).to_numpy().astype(np.int64, copy=False) for at in range(3))
    return series_N, days_N, batch_N


def from_table(table: pa.Table) -> Rows:
    """Return the rows of a table read by `query_of`."""
    heads = heads_of(table)
    values_VN = np.empty((len(VALUES), table.num_rows))
    for at in range(len(VALUES)):
        values_VN[at] = table.column(3 + at).to_numpy()
    return Rows(series_N=heads[0], days_N=heads[1], batch_N=heads[2], values_NV=values_VN.T)


def framed(parts: Sequence[Rows], names: Mapping[int, tuple[str, str]]) -> pd.DataFrame:
    """Return rows with columns as in `pipeline.prices.bars`; `names` gives symbol and currency of each series."""
    series_N = np.concatenate([part.series_N for part in parts]) if parts else np.empty(0, np.int64)
    days_N = np.concatenate([part.days_N for part in parts]) if parts else np.empty(0, np.int64)
    values_NV = np.concatenate([part.values_NV for part in parts]) if parts else np.empty((0, len(VALUES)))
    by_symbol = sorted(names, key=lambda one: names[one][0])
    ids = np.array(by_symbol, np.int64)
    by_id = np.argsort(ids)
    place_N = by_id[np.searchsorted(ids[by_id], series_N)] if len(ids) else series_N
    if (np.diff(place_N) < 0).any():
        order = np.argsort(place_N, kind="stable")
        place_N, days_N, values_NV = place_N[order], days_N[order], values_NV[order]
    symbol, currency = (pd.array([names[one][at] for one in by_symbol], dtype="str").take(place_N) for at in (0, 1))
    columns = {
        "symbol": symbol,
        "session": days_N.astype("datetime64[D]").astype("datetime64[s]"),
        **{name: values_NV[:, at] for at, name in enumerate(VALUES)},
        "currency": currency,
    }
    return pd.DataFrame(columns)[COLUMNS]


def keys_of(series_N: Any, days_N: Any) -> Any:
    """Return one number for each series and day, in their order: of arrays, of numbers, or of columns."""
    return series_N * (1 << _DAY_BITS) + (days_N + _DAY_ZERO)


def days_of(sessions: pd.Series) -> Ints:
    """Return sessions as days since 1970."""
    return sessions.to_numpy().astype("datetime64[D]").astype(np.int64)


def day_of(session: date) -> int:
    """Return a session as days since 1970."""
    return (session - date(1970, 1, 1)).days


def date_of(day: int) -> date:
    """Return the session of a day since 1970."""
    return date.fromordinal(day + date(1970, 1, 1).toordinal())


def in_parts(values: Sequence[T], size: int = _IN_ONE_QUERY) -> Iterator[Sequence[T]]:
    """Yield the values in parts that fit one query."""
    for at in range(0, len(values), size):
        yield values[at : at + size]
