"""How published forecasts of the next session did, put together from the records of several editions.

Each edition's record.parquet reaches a quarter of a year back. Where the newest ends, that of an older edition goes on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.publishing import shelf
from pipeline.storage import Storage

# Five quarters, so that a year is whole.
_EDITIONS = 5
KINDS = {
    "live": "Forecasts published before their session closed",
    "replayed": "Replays, made after their session had closed, which are no live record",
}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How some forecasts did together; `held` is the fraction of closes inside each range."""

    forecasts: int
    crps_bp: float
    baseline_crps_bp: float
    held: Mapping[int, float]

    @property
    def saved_bp(self) -> float:
        """By how much the error lay below the baseline's on the same closes."""
        return self.baseline_crps_bp - self.crps_bp


def read_history(root: Storage, symbol: str | None = None) -> pa.Table:
    """Return the records of up to `_EDITIONS` editions, of one symbol or of all, oldest first.

    The columns are those of `tables.RECORD_SCHEMA`. Raises CorruptFile where a record cannot be read, MissingStep where
    nothing is published.
    """
    names = None if symbol is None else [symbol]
    days = shelf.published_sessions(root)
    folder = shelf.latest(root)
    parts: list[pa.Table] = []
    for _ in range(_EDITIONS):
        part = shelf.record_table(folder, names)
        if parts and len(part):
            part = part.filter(pc.less(part["as_of"], pa.scalar(_first(parts[-1]), pa.date32())))
        parts.append(part)
        if not len(part):
            break
        older = [day for day in days if day <= _first(part)]
        if not older:
            break
        folder = root / shelf.folder_name(older[-1])
    return pa.concat_tables(reversed(parts)).sort_by([("target_session", "ascending"), ("symbol", "ascending")])


def by_kind(record: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield `live` and `replayed` with their part of a record, where there is one."""
    for kind, in_time in (("live", True), ("replayed", False)):
        part = record.filter(pc.equal(record["in_time"], in_time))
        if len(part):
            yield kind, part


def rates_by(record: pa.Table, *keys: str) -> dict[Any, Rates]:
    """Return how a record did by each value of a column (of several: by their tuples), in order."""
    means = ["crps_bp", "baseline_crps_bp", "inside_50", "inside_80", "inside_90"]
    sums = record.group_by(list(keys)).aggregate([*((name, "mean") for name in means), ([], "count_all")])
    rows = sums.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return {
        row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): Rates(
            forecasts=row["count_all"],
            crps_bp=row["crps_bp_mean"],
            baseline_crps_bp=row["baseline_crps_bp_mean"],
            held={each: row[f"inside_{each}_mean"] for each in (50, 80, 90)},
        )
        for row in rows
    }


def rates(record: pa.Table) -> Rates:
    """Return how a record that is not empty did as a whole."""
    return rates_by(record.append_column("all", pa.array([0] * len(record))), "all")[0]


def _first(record: pa.Table) -> date:
    day: date = pc.min(record["as_of"]).as_py()
    return day
