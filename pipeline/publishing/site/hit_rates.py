"""The track record of a source: published forecasts of the next session over all its editions.

A published root of an older version has no track record files, only `record.parquet` of each edition, which covers a
quarter of a year: editions are then read from the newest backwards until they cover the whole record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import MissingStep
from pipeline.forecast_schema import RANGES, REPORT_DUE, inside_column
from pipeline.publishing import reader, track_record_files
from pipeline.storage import Storage

# Five quarters, so that a year is whole.
_EDITIONS = 5
KINDS = {
    "live": "Forecasts published before their session closed",
    "replayed": "Replays, made after their session had closed (not part of the live record)",
    "trials": "Trials, with settings or symbols that differ from the standing configuration",
}

_BY_EVENT = {True: "Sessions with a scheduled report", False: "Other sessions"}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Mean scores of some forecasts; `coverage` is the fraction of closes inside each range."""

    forecasts: int
    crps_bp: float
    baseline_crps_bp: float
    coverage: Mapping[int, float]

    @property
    def gain_bp(self) -> float:
        """By how much the CRPS is below the baseline's on the same closes."""
        return self.baseline_crps_bp - self.crps_bp


def read_history(root: Storage, source: str, symbol: str | None = None) -> pa.Table:
    """Return the track record of a source, of one symbol or of all, trials included, oldest first.

    The columns are those of `track_record.SCHEMA`. Raises CorruptFile where a record cannot be read.
    """
    if source in track_record_files.sources(root):
        return track_record_files.read(root, source, symbol)
    return _of_editions(root, source, symbol)


def standing(record: pa.Table) -> pa.Table:
    """Return the part of a record that is of the standing configuration."""
    return record.filter(pc.equal(record["series"], ""))


def by_kind(record: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield `live`, `replayed` and `trials` with their part of a record, where there is one."""
    of_standing = standing(record)
    parts = {
        "live": of_standing.filter(of_standing["in_time"]),
        "replayed": of_standing.filter(pc.invert(of_standing["in_time"])),
        "trials": record.filter(pc.not_equal(record["series"], "")),
    }
    yield from ((kind, part) for kind, part in parts.items() if len(part))


def rates_by(record: pa.Table, *keys: str) -> dict[Any, Rates]:
    """Return the rates of a record by the values of a column (of several columns: by their tuples), in order."""
    means = ["crps_bp", "baseline_crps_bp", *map(inside_column, RANGES)]
    sums = record.group_by(list(keys)).aggregate([*((name, "mean") for name in means), ([], "count_all")])
    rows = sums.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return {
        row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): Rates(
            forecasts=row["count_all"],
            crps_bp=row["crps_bp_mean"],
            baseline_crps_bp=row["baseline_crps_bp_mean"],
            coverage={share: row[f"{inside_column(share)}_mean"] for share in RANGES},
        )
        for row in rows
    }


def by_event(record: pa.Table) -> dict[str, Rates]:
    """Return the rates on sessions that a scheduled report may have moved, and on all others, by their titles.

    Empty where there is none of the first kind. Forecasts made without a calendar are left out.
    """
    found = rates_by(record.filter(pc.is_valid(record[REPORT_DUE])), REPORT_DUE)
    return {_BY_EVENT[due]: found[due] for due in (True, False) if due in found} if True in found else {}


def rates(record: pa.Table) -> Rates:
    """Return the rates of a whole record, which must not be empty."""
    return rates_by(record.append_column("all", pa.array([0] * len(record))), "all")[0]


def _of_editions(root: Storage, source: str, symbol: str | None) -> pa.Table:
    names = None if symbol is None else [symbol]
    days = reader.published_sessions(root)
    parts: list[pa.Table] = []
    try:
        folder = reader.latest(root)
    except MissingStep:
        return track_record_files.SCHEMA.empty_table()
    for _ in range(_EDITIONS):
        if not folder.exists(reader.MANIFEST) or reader.read_manifest(folder).source != source:
            break
        part = reader.record_table(folder, names)
        if parts and len(part):
            part = part.filter(pc.less(part["as_of"], pa.scalar(_first(parts[-1]), pa.date32())))
        parts.append(part)
        if not len(part):
            break
        older = [day for day in days if day <= _first(part)]
        if not older:
            break
        folder = root / reader.folder_name(older[-1])
    if not parts:
        return track_record_files.SCHEMA.empty_table()
    found = pa.concat_tables(reversed(parts)).sort_by([("target_session", "ascending"), ("symbol", "ascending")])
    return found.append_column("series", pa.array([""] * len(found), pa.string()))


def _first(record: pa.Table) -> date:
    day: date = pc.min(record["as_of"]).as_py()
    return day
