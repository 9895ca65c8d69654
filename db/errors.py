"""What can go wrong with the database, told apart by what the caller can do about it.

- `DatabaseUnavailable`: not reachable, too busy, or too slow right now; trying again later helps.
- `CommitUnknown`: the connection broke during a commit, which may or may not have happened.
- everything else SQLAlchemy raises is a defect of ours and passes through unchanged.
"""

from sqlalchemy import exc

# MariaDB server and client error numbers, https://mariadb.com/kb/en/mariadb-error-codes/
_LOCK_CONFLICTS = {
    1020,  # ER_CHECKREAD: the row changed since it was read (innodb_snapshot_isolation)
    1205,  # ER_LOCK_WAIT_TIMEOUT
    1213,  # ER_LOCK_DEADLOCK
}
_DUPLICATE_KEY = 1062  # ER_DUP_ENTRY
_UNREACHABLE = {
    1040,  # ER_CON_COUNT_ERROR: too many connections
    1053,  # ER_SERVER_SHUTDOWN
    1129,  # ER_HOST_IS_BLOCKED
    1203,  # ER_TOO_MANY_USER_CONNECTIONS
    1290,  # ER_OPTION_PREVENTS_STATEMENT: read_only, during a failover
    1836,  # ER_READ_ONLY_MODE
    1927,  # ER_CONNECTION_KILLED
    1969,  # ER_STATEMENT_TIMEOUT
    2003,  # CR_CONN_HOST_ERROR
    2006,  # CR_SERVER_GONE_ERROR
    2013,  # CR_SERVER_LOST
}
_SQLITE_BUSY = ("database is locked", "database table is locked")
_SQLITE_UNREACHABLE = ("unable to open database", "disk i/o error", "database or disk is full")


class DatabaseUnavailable(Exception):
    """The database cannot be used right now."""


class CommitUnknown(DatabaseUnavailable):
    """The connection broke during a commit: nobody knows whether it happened."""


def _number(error: BaseException) -> int | None:
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    first = original.args[0] if original is not None and original.args else None
    return first if isinstance(first, int) else None


def is_conflict(error: BaseException) -> bool:
    """True for a lost race (deadlock, lock wait, duplicate key): run the transaction again."""
    if isinstance(error, exc.IntegrityError):
        return _number(error) == _DUPLICATE_KEY or "UNIQUE constraint failed" in str(error)
    if isinstance(error, exc.OperationalError):
        return _number(error) in _LOCK_CONFLICTS or any(m in str(error) for m in _SQLITE_BUSY)
    return False


def is_unavailable(error: BaseException) -> bool:
    """True when the database is gone, shutting down, overloaded, or took too long."""
    if isinstance(
        error,
        DatabaseUnavailable | exc.TimeoutError | exc.InterfaceError | OSError | TimeoutError,
    ):
        return True
    if isinstance(error, exc.DBAPIError):
        text = str(error).lower()
        return (
            error.connection_invalidated
            or _number(error) in _UNREACHABLE
            or is_conflict(error)
            or any(message in text for message in _SQLITE_UNREACHABLE)
        )
    return False
