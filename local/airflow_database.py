"""How Airflow's processes open their SQLite database, which all of them write to at the same time.

Airflow opens a SAVEPOINT, reads, and then inserts. In SQLite such a transaction starts as a reader; if another process
commits in between, the upgrade to a writer fails at once with `database is locked`, and no timeout helps. Here every
transaction that may write takes the write lock when it begins (`BEGIN IMMEDIATE`), and waits for its turn.

Airflow imports this module: `[database] sql_alchemy_connect_args` names `SYNC`, `…_args_async` names `ASYNC`.
"""

import sqlite3
from typing import Any, Self

# How long a process waits for the transaction of another. Airflow's take a few seconds at most.
BUSY_SECONDS = 60.0


class ImmediateCursor(sqlite3.Cursor):
    """A cursor whose outermost SAVEPOINT begins a transaction that holds the write lock."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Execute one statement; before a SAVEPOINT outside a transaction, begin one."""
        if not self.connection.in_transaction and sql.lstrip()[:9].upper() == "SAVEPOINT":
            super().execute("BEGIN IMMEDIATE")
        return super().execute(sql, parameters)


class ImmediateConnection(sqlite3.Connection):
    """A connection whose cursors are `ImmediateCursor`s."""

    def cursor(self, factory: Any = ImmediateCursor) -> Any:
        """Return a new cursor."""
        return super().cursor(factory)


# `isolation_level` is the kind of BEGIN that Python itself puts before an INSERT, UPDATE or DELETE.
SYNC: dict[str, Any] = {"timeout": BUSY_SECONDS, "isolation_level": "IMMEDIATE", "factory": ImmediateConnection}
ASYNC: dict[str, Any] = {"timeout": BUSY_SECONDS}
