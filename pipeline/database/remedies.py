"""The next step after a database error, chosen by the message of the driver."""

import re

_CHECK = "check PIPELINE_DATABASE_URL, or run `python -m pipeline doctor`"
# The first pattern found in the reason decides.
_REMEDIES = (
    (
        r"readonly database|read-only (?:transaction|mode)|read-only file system",
        (
            "make the file, its folder and the file system writable (PostgreSQL: connect to the primary, with "
            "default_transaction_read_only=off), or set PIPELINE_DATABASE_URL"
        ),
    ),
    (
        r"unable to open database file",
        "its folder must exist and be writable, for the journal too: correct that, or set PIPELINE_DATABASE_URL",
    ),
    (
        r"disk I/O error|input/output error",
        "file or journal cannot be read or written: check its folder and disk, or set PIPELINE_DATABASE_URL",
    ),
    (r"disk is full|no space left|could not extend file", "free space on the disk of the database"),
    (
        r"database is locked|table is locked|lock timeout|deadlock detected",
        "another process is holding it: wait for it or end it (`make stop`)",
    ),
    (
        r"not a database|malformed|invalid page|corrupted",
        "the file is damaged or is something else: restore it from a backup, or set PIPELINE_DATABASE_URL",
    ),
    (
        r"authentication failed|no password supplied|role .* does not exist",
        "correct the user and the password in PIPELINE_DATABASE_URL",
    ),
    (
        r"no pg_hba\.conf entry|SSL|certificate",
        "the server refuses this kind of connection: correct pg_hba.conf, or sslmode in PIPELINE_DATABASE_URL",
    ),
    (r"database .* does not exist", "create the database, or correct its name in PIPELINE_DATABASE_URL"),
    (
        r"resolve host|name or service not known|translate host name|nodename nor servname|no such host",
        "correct the host in PIPELINE_DATABASE_URL, or the network's name resolution",
    ),
    (
        (
            r"connection refused|could not connect|server closed the connection|timed? ?out|timeout expired"
            r"|unreachable|connection reset|terminating connection|starting up|shutting down|connection failed"
        ),
        "start the database server, or correct host and port in PIPELINE_DATABASE_URL",
    ),
    (
        r"too many (?:clients|connections)|remaining connection slots",
        "the server has no free connection: raise max_connections or run fewer workers",
    ),
    (r"permission denied", "grant the user of PIPELINE_DATABASE_URL the right to do this"),
)


def remedy(reason: str) -> str:
    """Return the next step for an error message of SQLite, PostgreSQL or one of their drivers."""
    return next((then for pattern, then in _REMEDIES if re.search(pattern, reason, re.IGNORECASE)), _CHECK)
