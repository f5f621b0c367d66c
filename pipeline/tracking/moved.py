"""A home that was moved or copied: the absolute artifact paths in MLflow's database are updated.

MLflow stores the paths of an experiment's, a run's and a model's files when it creates them. After a move it would read
and write files at the old location. Only the database of the home itself (`mlflow/mlflow.db`) is changed, and only
paths of its `mlflow/artifacts`; idempotent.
"""

import logging
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.database.remedies import remedy
from pipeline.errors import TrackingUnavailable, cause_of

_LOG = logging.getLogger(__name__)
_BUSY_TIMEOUT_S = 60
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# A path or file: URL below the artifacts of some home; the last such folder counts.
_BELOW = re.compile(r"(?P<prefix>(?P<scheme>file://)?(?P<home>/.*)/mlflow/artifacts)(?P<rest>/.*)?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The previous home, and how many of MLflow's paths were updated."""

    before: Path
    paths: int


def follow_home(home: Path) -> list[Moved]:
    """Update the paths in the home's MLflow database to its current location; return what was changed.

    All changes are made in one transaction. Paths of artifacts that exist only at the old location are not changed.
    Raises TrackingUnavailable if the database cannot be written.
    """
    database = home / "mlflow" / "mlflow.db"
    if not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as connection:
            if not _stale(connection, home, _COLUMNS[:1]):  # a run or a model always belongs to an experiment
                return []
            moved = _rewrite(connection, home)
    except sqlite3.Error as error:
        reason = cause_of(error)
        raise TrackingUnavailable(
            f"the artifact paths in {database} cannot be checked or set to {home}: {reason}; "
            f"{remedy(reason).replace('PIPELINE_DATABASE_URL', 'MLFLOW_TRACKING_URI')}"
        ) from error
    for one in moved:
        _LOG.warning(
            "PIPELINE_HOME was %s and is %s: %d paths in MLflow's database were updated", one.before, home, one.paths
        )
    return moved


def _rewrite(connection: sqlite3.Connection, home: Path) -> list[Moved]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        stale = _stale(connection, home, _COLUMNS)  # checked again: another process may have been faster
        moved: dict[Path, int] = {}
        for prefix, before in stale.items():
            now = _prefix_now(prefix, home)
            moved[before] = moved.get(before, 0) + sum(
                _replace_prefix(connection, table, column, prefix, now) for table, column in _COLUMNS
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return [Moved(before=before, paths=paths) for before, paths in moved.items()]


def _stale(connection: sqlite3.Connection, home: Path, columns: tuple[tuple[str, str], ...]) -> dict[str, Path]:
    """Return the prefixes in these columns that point to another home and should be updated, with that home."""
    rests: dict[str, set[str]] = {}
    homes: dict[str, Path] = {}
    for table, column in columns:
        if not _has_column(connection, table, column):
            continue
        for (path,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}"):
            match = _BELOW.fullmatch(path or "")
            if match is None:
                continue
            before = Path(unquote(match["home"]) if match["scheme"] else match["home"])
            if before != home:
                homes[match["prefix"]] = before
                rests.setdefault(match["prefix"], set()).add(unquote(match["rest"] or "").strip("/"))
    return {prefix: before for prefix, before in homes.items() if not _stays(before, home, rests[prefix])}


def _stays(before: Path, home: Path, names: set[str]) -> bool:
    """Whether the files exist only at the old location."""
    there, here = before / "mlflow" / "artifacts", home / "mlflow" / "artifacts"
    return any((there / name).exists() for name in names) and not any((here / name).exists() for name in names)


def _prefix_now(prefix: str, home: Path) -> str:
    path = home / "mlflow" / "artifacts"
    return f"file://{quote(str(path))}" if prefix.startswith("file://") else str(path)


def _replace_prefix(connection: sqlite3.Connection, table: str, column: str, before: str, now: str) -> int:
    if not _has_column(connection, table, column):
        return 0
    return connection.execute(
        f"UPDATE {table} SET {column} = :now || substr({column}, length(:before) + 1) "
        f"WHERE {column} = :before OR substr({column}, 1, length(:before) + 1) = :before || '/'",
        {"before": before, "now": now},
    ).rowcount


def _has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether this version of MLflow's schema has the column."""
    return any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})"))
