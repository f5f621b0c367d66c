"""Opening the database: connection settings, transactions that may write, and migrations under a lock."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from pipeline.database.remedies import remedy
from pipeline.database.sqlite_turns import TURNS
from pipeline.errors import BadSetting, StoreError, cause_of

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 60
_WAL_IS_SAFE_FROM = (3, 51, 3)  # earlier SQLite can corrupt a WAL file that several connections write
_LOCK = 20_260_102  # the advisory lock that PostgreSQL's writers share


def open_database(url: str) -> Engine:
    """Return an engine whose schema is the newest.

    Raises BadSetting for a URL that is none, StoreError where the database cannot be opened.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not parsed.database.startswith("file:"):
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{_shown(parsed)}: {error.strerror or error}; check PIPELINE_DATABASE_URL and PIPELINE_HOME"
            ) from None
    in_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    # A pooled handle on a file would stay open beyond its turn: see `sqlite_turns`.
    engine = create_engine(parsed, poolclass=NullPool) if in_file else create_engine(parsed)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    with clear_errors(engine):
        _migrate(engine)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that holds the write lock from its start: writers are serialised, and it is all or nothing."""
    with _connected(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("BEGIN IMMEDIATE"))
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield connection
        connection.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for queries."""
    with _connected(engine) as connection:
        yield connection


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    turn = TURNS.take("python") if engine.dialect.name == "sqlite" else nullcontext()
    with clear_errors(engine), turn, engine.connect() as connection:
        yield connection


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise BadSetting(
            "PIPELINE_DATABASE_URL is not a URL that SQLAlchemy knows; "
            "use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise BadSetting(
            f"PIPELINE_DATABASE_URL: {parsed.get_backend_name()} is not supported; use sqlite or postgresql+psycopg"
        )
    return parsed


@contextmanager
def clear_errors(engine: Engine) -> Iterator[None]:
    """Convert driver errors into StoreError, one line with the database and the next step."""
    try:
        yield
    except DBAPIError as error:
        raise store_error(engine, cause_of(error.orig or error)) from error
    except engine.dialect.loaded_dbapi.Error as error:  # from a bulk write, which bypasses SQLAlchemy
        raise store_error(engine, cause_of(error)) from error
    except SQLAlchemyError as error:
        raise store_error(engine, cause_of(error)) from error


def store_error(engine: Engine, reason: str) -> StoreError:
    """Return the error for a failed database operation."""
    return StoreError(f"{_shown(engine.url)}: {reason}; {remedy(reason)}")


def _shown(url: URL) -> str:
    return f"database {url.render_as_string(hide_password=True)}"


def _set_up_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # The driver must not open transactions implicitly: `writing` takes the lock at the start, which a later
    # upgrade from reading to writing could not do without failing.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if sqlite3.sqlite_version_info >= _WAL_IS_SAFE_FROM:
        connection.execute("PRAGMA journal_mode=WAL")


def _migrate(engine: Engine) -> None:
    # 0.3 s that opening the database takes once, and importing this module does not.
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with reading(engine) as connection:
        if _current(connection) == newest:
            return
    from alembic import command

    with writing(engine) as connection:  # several processes may find the old schema: one migrates, the others wait
        current = _current(connection)
        if current == newest:
            return
        known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise StoreError(f"{_shown(engine.url)}: its schema {current} is newer than this code; upgrade it")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
