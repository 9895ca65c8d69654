"""Reads that may take so long and no longer, whatever there is to be read."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, exc
from sqlalchemy.ext.asyncio import AsyncConnection

# MariaDB: max_statement_time is over; InnoDB's answer when that happens within a full-text search.
_OVER = {1969, 188}
SECONDS = "max_statement_seconds"


class TooSlow(Exception):
    """What was asked for takes longer than it may."""


async def fetch_within(
    connection: AsyncConnection, statement: Executable, seconds: float
) -> Sequence[Any]:
    """The rows of a statement that reads. Raises TooSlow, and what the database raises."""
    try:
        if connection.dialect.name != "sqlite":
            # `db.session` has the server end it.
            limited = statement.execution_options(**{SECONDS: seconds})
            return (await connection.execute(limited)).all()
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        timer = asyncio.get_running_loop().call_later(
            seconds, raw.driver_connection._conn.interrupt
        )
        try:
            return (await connection.execute(statement)).all()
        finally:
            timer.cancel()
    except exc.DBAPIError as error:
        if _is_over(error.orig):
            raise TooSlow from error
        raise


def _is_over(error: BaseException | None) -> bool:
    if getattr(error, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
        return True
    return error is not None and bool(error.args) and error.args[0] in _OVER
