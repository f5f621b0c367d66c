"""Whether a database can be written, found out by writing: permissions alone tell neither of a read-only file system,
nor of a full disk, a missing journal or a PostgreSQL standby, and mean nothing to root.
"""

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

WAIT_S = 5  # seconds for another writer to finish
_BUSY = ("database is locked", "lock timeout")


def require_writable(url: str) -> bool:
    """Write the schema's version over itself, and commit. Return False where another writer holds the database.

    Any database that Alembic migrates has that row: ours, MLflow's, Airflow's. Raises SQLAlchemyError.
    """
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET lock_timeout = '{WAIT_S}s'"))
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            connection.commit()
    except OperationalError as error:
        if any(words in str(error.orig) for words in _BUSY):
            return False
        raise
    finally:
        engine.dispose()
    return True


def _engine(url: str) -> Engine:
    sqlite = make_url(url).get_backend_name() == "sqlite"
    return create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT_S} if sqlite else {})
