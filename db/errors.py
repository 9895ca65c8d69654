"""What can go wrong with the database, told apart by what the caller can do about it.

- `DatabaseUnavailable`: not reachable, too busy, or too slow right now; trying again later helps.
- `CommitUnknown`: COMMIT was sent and did not end well; it may or may not have happened.
- a defect: what is wrong with a statement or its values, however often it is tried.

A database has more ways to be unavailable than any list knows, so it is the other way round: what
is no known defect is unavailable.
"""

import sqlite3

from sqlalchemy import exc

# MariaDB server error numbers, https://mariadb.com/kb/en/mariadb-error-codes/
_LOCK_CONFLICTS = {
    1020,  # ER_CHECKREAD: the row changed since it was read (innodb_snapshot_isolation)
    1205,  # ER_LOCK_WAIT_TIMEOUT
    1213,  # ER_LOCK_DEADLOCK, and a transaction that Galera did not certify
}
_DUPLICATE_KEY = 1062  # ER_DUP_ENTRY
_SQLITE_BUSY = ("database is locked", "database table is locked")

_DEFECTS = (exc.ProgrammingError, exc.DataError, exc.IntegrityError, exc.NotSupportedError)
# Defects that the drivers call operational errors.
_MARIADB_DEFECTS = {
    1054,  # ER_BAD_FIELD_ERROR: unknown column
    1136,  # ER_WRONG_VALUE_COUNT_ON_ROW
    1153,  # ER_NET_PACKET_TOO_LARGE: a statement that no server takes
    1305,  # ER_SP_DOES_NOT_EXIST
}
_SQLITE_DEFECTS = {
    sqlite3.SQLITE_ERROR,  # bad SQL, no such table or column
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_NOTADB,  # a file of something else
}


class DatabaseUnavailable(Exception):
    """The database cannot be used right now."""


class CommitUnknown(DatabaseUnavailable):
    """COMMIT was sent and did not end well: nobody knows yet whether it happened."""


def _number(error: exc.DBAPIError) -> int | None:
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return first if isinstance(first, int) else None


def reason(error: BaseException) -> str:
    """What went wrong, for the log: without the statement and its values."""
    original = error.orig if isinstance(error, exc.DBAPIError) else None
    return str(original or error) or type(error).__name__


def is_conflict(error: BaseException) -> bool:
    """True for a lost race (deadlock, lock wait, duplicate key): run the transaction again."""
    if isinstance(error, exc.IntegrityError):
        return _number(error) == _DUPLICATE_KEY or "UNIQUE constraint failed" in str(error)
    if isinstance(error, exc.OperationalError):
        return _number(error) in _LOCK_CONFLICTS or any(m in str(error) for m in _SQLITE_BUSY)
    return False


def is_unavailable(error: BaseException) -> bool:
    """True for everything the database or the way to it may do, but not for a defect of ours."""
    if isinstance(error, DatabaseUnavailable | exc.TimeoutError | OSError | TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    return is_conflict(error) or error.connection_invalidated or not _is_defect(error)


def _is_defect(error: exc.DBAPIError) -> bool:
    if isinstance(error, _DEFECTS) or _number(error) in _MARIADB_DEFECTS:
        return True
    # The extended codes have the code itself in their lowest byte.
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _SQLITE_DEFECTS
