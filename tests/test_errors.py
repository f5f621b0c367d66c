"""What a library's exception says ends up in one line, all of it: headings, colons and boilerplate cut nothing off."""

import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from pipeline.database.remedies import remedy
from pipeline.errors import LONGEST, cause_of, one_line


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def sqlalchemy(text: str) -> OperationalError:
    return OperationalError("INSERT INTO prices (symbol)\nVALUES (?)", ("IBM",), sqlite3.OperationalError(text))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # a heading that ends with a colon, and the cause in the lines after it
        (
            ValueError("The following failures occurred while downloading:\n##### File a.bin #####\nNo such artifact"),
            "The following failures occurred while downloading: a.bin No such artifact",
        ),
        (
            OSError("connection failed: Several attempts. All failures were:\n- host: 'db', port: 5432: refused"),
            "connection failed: Several attempts. All failures were: - host: 'db', port: 5432: refused",
        ),
        (ValueError("expected series 'close' to have type float64:\nfailure cases:\n0  n/a"),
         "expected series 'close' to have type float64: failure cases: 0 n/a"),
        (ValueError("a: b: c: d"), "a: b: c: d"),
        (ValueError("\n\n  indented\n\ttext  \n"), "indented text"),
        # boilerplate around it
        (sqlalchemy("attempt to write a readonly database"), "attempt to write a readonly database"),
        (
            RuntimeError("Failed to perform, curl: (6) Could not resolve host: q.example. See "
                         "https://curl.se/libcurl/c/libcurl-errors.html first for more details."),
            "curl: (6) Could not resolve host: q.example",
        ),
        (RuntimeError("\x1b[31mred\x1b[0m"), "red"),
        # no words of its own
        (TimeoutError(), "TimeoutError"),
        (raised_from(RuntimeError(), ValueError("deeper: cause")), "deeper: cause"),
        (KeyError("close"), "KeyError: 'close'"),
        (FileNotFoundError(2, "No such file or directory", "/data/x"), "No such file or directory: /data/x"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        # passwords
        (OSError("cannot reach pg://bell:secret@db/x: refused"), "cannot reach pg://bell:***@db/x: refused"),
    ],
)  # fmt: skip
def test_the_cause_is_whole_and_in_one_line(error: BaseException, expected: str) -> None:
    assert cause_of(error) == expected


def test_a_long_text_loses_its_middle_and_keeps_its_end() -> None:
    text = f"begins {'x' * 1000} the cause: disk full"
    short = one_line(text)
    assert len(short) <= LONGEST
    assert short.startswith("begins")
    assert " … " in short
    assert short.endswith("the cause: disk full")


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("attempt to write a readonly database", "writable"),
        ("cannot execute INSERT in a read-only transaction", "default_transaction_read_only=off"),
        ("unable to open database file", "its folder must exist"),
        ("database or disk is full", "free space"),
        ('could not extend file "base/1": No space left on device', "free space"),
        ("disk I/O error", "check its folder and disk"),
        ("database is locked", "another process"),
        ("file is not a database", "restore it from a backup"),
        ("database disk image is malformed", "restore it from a backup"),
        ('connection failed: connection to server at "10.0.0.1", port 5432 failed: Connection refused', "start the"),
        ('connection failed: FATAL:  password authentication failed for user "bell"', "user and the password"),
        ('connection failed: FATAL:  database "bell" does not exist', "create the database"),
        ('connection failed: FATAL:  role "bell" does not exist', "user and the password"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "correct the host"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  remaining connection slots are reserved", "max_connections"),
        ("permission denied for table prices", "grant"),
        ("FATAL:  no pg_hba.conf entry for host", "pg_hba.conf"),
        ("consuming input failed: server closed the connection unexpectedly", "start the database server"),
        ("something nobody has seen", "python -m pipeline doctor"),
    ],
)
def test_each_reason_of_a_database_has_its_next_step(reason: str, step: str) -> None:
    assert step in remedy(reason)


def test_an_error_of_the_database_has_cause_and_next_step_in_one_line(tmp_path: Any) -> None:
    from pipeline.database.engine import open_database, writing
    from pipeline.errors import StoreError

    open_database(f"sqlite:///{tmp_path / 'a.db'}")
    engine = open_database(f"sqlite:///file:{tmp_path / 'a.db'}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="attempt to write a readonly database; make the file") as told, \
            writing(engine) as connection:  # fmt: skip
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
    assert "\n" not in str(told.value)
    assert "Background" not in str(told.value)
