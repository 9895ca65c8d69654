"""Galera: several nodes that are one database, as long as nobody relies on what one node knows.

Its nodes agree on the order of all commits, and refuse one that changes what another has changed
meanwhile. But each applies the commits of the others a little later, and locks (of rows, GET_LOCK)
are its own.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import TextClause, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.errors import DatabaseUnavailable, is_conflict

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
# So many looks at a turn on which nothing happened: whoever had it is gone.
STALE_LOOKS = 20
LOOK_SECONDS = 0.5

_IS_CLUSTERED = "SHOW VARIABLES LIKE 'wsrep_on'"
# Before a statement: 1 for reading and BEGIN, 2 for UPDATE and DELETE, 4 for INSERT.
_WAIT = "SET SESSION wsrep_sync_wait=7"

_EXISTS = text("SHOW TABLES LIKE 'migration_turn'")
_CREATE = text(
    "CREATE TABLE IF NOT EXISTS migration_turn (id SMALLINT NOT NULL PRIMARY KEY,"
    " owner VARCHAR(32) CHARACTER SET ascii NOT NULL, beats BIGINT NOT NULL)"
)
_FILL = text("INSERT IGNORE INTO migration_turn VALUES (1, '', 0)")
_LOOK = text("SELECT owner, beats FROM migration_turn")
_CLAIM = text(
    "UPDATE migration_turn SET owner=:me, beats=beats+1 WHERE owner=:owner AND beats=:beats"
)
_BEAT = text("UPDATE migration_turn SET beats=beats+1 WHERE owner=:me")
_GIVE_BACK = text("UPDATE migration_turn SET owner='' WHERE owner=:me")


def read_causally(engine: AsyncEngine) -> None:
    """A transaction sees what was committed on any node before it began.

    Otherwise a worker that starts a process by one replica, and reports on it by another, could be
    told that it is not there. Without Galera this costs a statement per connection.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def settle(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(_IS_CLUSTERED)
        # No row: this MariaDB was built without it.
        if (row := cursor.fetchone()) and row[1] == "ON":
            cursor.execute(_WAIT)
        cursor.close()


async def is_clustered(connection: AsyncConnection) -> bool:
    """Whether the node is one of several."""
    row = (await connection.execute(text(_IS_CLUSTERED))).first()
    return row is not None and row[1] == "ON"


@asynccontextmanager
async def turn(engine: AsyncEngine, *, wait_seconds: float) -> AsyncIterator[None]:
    """One at a time in the whole cluster, by commits alone: of several that claim, one succeeds.

    Whoever has it shows so every second; when nothing happens for 10 s, others may claim it. What
    is done in it must therefore bear to be done again, also while one that stood still goes on.
    `engine` is in autocommit. Raises DatabaseUnavailable when the turn does not come in time.
    """
    me = secrets.token_hex(8)
    async with engine.connect() as connection:
        await _claim(connection, me, time.monotonic() + wait_seconds)
        ended = asyncio.Event()
        beating = asyncio.create_task(_beat(connection, me, ended))
        try:
            yield
        finally:
            ended.set()
            await beating


async def _claim(connection: AsyncConnection, me: str, deadline: float) -> None:
    seen: Any = None
    looks = 0
    while True:
        row = await _look(connection)
        looks = looks + 1 if row == seen else 1
        seen = row
        if not row.owner or looks >= STALE_LOOKS:
            claim = {"me": me, "owner": row.owner, "beats": row.beats}
            if await _change(connection, _CLAIM, claim):
                return
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                "other processes have been migrating the database for too long"
            )
        await asyncio.sleep(LOOK_SECONDS)


async def _look(connection: AsyncConnection) -> Any:
    """Who has the turn."""
    if (await connection.execute(_EXISTS)).first() is None:
        await _change(connection, _CREATE)
    while (row := (await connection.execute(_LOOK)).first()) is None:
        await _change(connection, _FILL)
    return row


async def _beat(connection: AsyncConnection, me: str, ended: asyncio.Event) -> None:
    """Shows that the turn is had, then gives it back."""
    try:
        while not await _is_set(ended, BEAT_SECONDS):
            await _change(connection, _BEAT, {"me": me})
        await _change(connection, _GIVE_BACK, {"me": me})
    except SQLAlchemyError as error:
        logger.warning("the turn to migrate was lost, others may take it: %s", error)


async def _is_set(event: asyncio.Event, within_seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_seconds)
    return event.is_set()


async def _change(
    connection: AsyncConnection, statement: TextClause, values: dict[str, Any] | None = None
) -> bool:
    """Whether the cluster took it: not when another one was faster."""
    try:
        return (await connection.execute(statement, values)).rowcount == 1
    except SQLAlchemyError as error:
        if is_conflict(error):
            return False
        raise
