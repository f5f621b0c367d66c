"""Bulk access: reads as Arrow through ADBC, writes by column through the bulk interface of the driver.

A row of a plain fetch costs some microseconds of Python; by the million that is minutes.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Select, Table

from pipeline.database.engine import BUSY_TIMEOUT_S, reading, store_error
from pipeline.database.schema import Day
from pipeline.database.sqlite_turns import TURNS
from pipeline.errors import cause_of
from pipeline.malloc import keep_memory

_BATCH_ROWS = 65_536
# Reading releases the GIL, so that two reads in parallel take half the time; a third waits.
_READERS, _AHEAD = 2, 3


def read_table(engine: Engine, query: Select[Any]) -> pa.Table:
    """Return the rows of a query as an Arrow table, in one consistent read.

    Raises StoreError where the database cannot be read. A database in memory is read through SQLAlchemy.
    """
    if engine.dialect.name != "sqlite":
        return _from_postgresql(engine, query)
    return _plainly(engine, query) if _in_memory(engine) else _from_sqlite(engine, query)


def read_tables(engine: Engine, queries: Iterable[Select[Any]]) -> Iterator[pa.Table]:
    """Yield what `read_table` gives for each query, in their order, while the next ones are already being read."""
    keep_memory()
    if _in_memory(engine):  # it belongs to one thread
        yield from (read_table(engine, query) for query in queries)
        return
    todo, begun = iter(queries), deque[Future[pa.Table]]()
    with ThreadPoolExecutor(_READERS) as readers:
        try:
            while True:
                TURNS.require("arrow")  # the readers would wait for this thread, and it for them
                begun.extend(readers.submit(read_table, engine, one) for one in islice(todo, _AHEAD - len(begun)))
                if not begun:
                    return
                yield begun.popleft().result()
        finally:
            readers.shutdown(cancel_futures=True)


def insert_columns(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows given as columns of Python values, inside the connection's transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    names = ", ".join(columns)
    rows = zip(*(_as_stored(connection, table, name, values) for name, values in columns.items()), strict=True)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def fetch_numbers(connection: Connection, query: Select[Any]) -> NDArray[np.float64]:
    """Return the rows of a query of numbers, shape (rows, columns), inside the connection's transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    rows = driver.execute(as_sql(connection, query)).fetchall()
    return np.array(rows, dtype=np.float64).reshape(-1, len(query.selected_columns))


def as_sql(engine: Engine | Connection, query: Select[Any]) -> str:
    """Return a query as text with literal values; for numbers, dates and valid symbols, which cannot inject SQL."""
    return str(query.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))


def _in_memory(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:")


def _as_stored(connection: Connection, table: Table, name: str, values: Sequence[Any]) -> Sequence[Any]:
    if not isinstance(table.columns[name].type, Day):
        return values
    days = np.asarray(values, dtype="datetime64[D]")
    stored: list[Any] = (days.astype(np.int64) if connection.dialect.name == "sqlite" else days).tolist()
    return stored


def _from_sqlite(engine: Engine, query: Select[Any]) -> pa.Table:
    import adbc_driver_sqlite.dbapi as adbc  # 0.1 s, and only one of the two drivers is needed

    with TURNS.take("arrow"), _adbc_errors(engine), adbc.connect(engine.url.database) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
            cursor.fetchall()
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)})
            cursor.execute(as_sql(engine, query))
            return cursor.fetch_arrow_table()


def _from_postgresql(engine: Engine, query: Select[Any]) -> pa.Table:
    import adbc_driver_postgresql.dbapi as adbc

    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with _adbc_errors(engine), adbc.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(as_sql(engine, query))
        return cursor.fetch_arrow_table()


def _plainly(engine: Engine, query: Select[Any]) -> pa.Table:
    with reading(engine) as connection:
        rows = connection.exec_driver_sql(as_sql(engine, query)).fetchall()
    names = [column.name for column in query.selected_columns]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table(dict(zip(names, columns, strict=True)))


@contextmanager
def _adbc_errors(engine: Engine) -> Iterator[None]:
    from adbc_driver_manager import Error

    try:
        yield
    except Error as error:
        raise store_error(engine, cause_of(error)) from error
