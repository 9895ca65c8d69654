"""Brings a database to this release's tables, however many server processes start at once."""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from db.cluster import is_clustered, turn
from db.errors import DatabaseUnavailable, is_unavailable
from db.maintenance import MaintenanceDatabase
from db.session import Database

logger = logging.getLogger(__name__)

HEAD = "head"
LOCK_WAIT_SECONDS = 120
_LOCK_NAME_LENGTH = 64
_POLL_SECONDS = 0.02
# Alembic keeps the migration under way in module globals: one at a time in a process, also when
# they are of different databases and so under different locks.
_alembic = threading.Lock()


class MigrationFailed(Exception):
    """The database cannot be brought to this release's tables; the message says why."""


async def migrate(database: Database) -> None:
    """Runs the migrations that are missing, under a lock that is the database's own.

    MariaDB: GET_LOCK, which ends with its connection; in a Galera cluster, where that lock is of
    one node, a turn that is taken by commits (`db.cluster`). Its DDL commits by itself, so a crash
    leaves the tables made so far; each migration can therefore run again from its start, and what
    it does to rows is one transaction together with the note that it ran.
    SQLite: BEGIN IMMEDIATE around everything, tables included. A lock file would not roll back
    what a crash leaves half done, and would need care on every system of its own.

    Raises DatabaseUnavailable, also when another process migrates for more than two minutes, and
    MigrationFailed.
    """
    locked = _locked_sqlite if database.is_sqlite else _locked_mariadb
    try:
        async with locked(database) as connection, _alone():
            await connection.run_sync(_upgrade)
            await connection.commit()
    except CommandError as error:  # a revision that is not among ours
        raise MigrationFailed(
            f"the database cannot be migrated: {error}; what a newer release migrated needs it"
        ) from error
    except (exc.SQLAlchemyError, OSError) as error:
        reason = error.orig if isinstance(error, exc.DBAPIError) else error
        if is_unavailable(error):
            raise DatabaseUnavailable(f"the database cannot be migrated: {reason}") from error
        raise MigrationFailed(f"the database cannot be migrated: {reason}") from error


@asynccontextmanager
async def _locked_mariadb(database: Database) -> AsyncIterator[AsyncConnection]:
    unhurried = MaintenanceDatabase(database)
    async with unhurried.write_engine.connect() as connection:
        if await is_clustered(connection):
            await connection.commit()
            async with turn(unhurried.read_engine, wait_seconds=LOCK_WAIT_SECONDS):
                yield connection
            return
        name = _lock_name(database.url.database or "")
        got = await connection.scalar(
            text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": LOCK_WAIT_SECONDS}
        )
        if got != 1:
            raise DatabaseUnavailable(_too_long())
        # The lock stays with the session; Alembic shall find no transaction, and make its own.
        await connection.commit()
        yield connection


def _lock_name(database: str) -> str:
    """The server's locks are shared by all its databases, hence the name of ours in it."""
    name = f"migrate:{database}"
    if len(name) > _LOCK_NAME_LENGTH:
        name = f"migrate:{hashlib.sha256(database.encode()).hexdigest()[:48]}"
    return name


@asynccontextmanager
async def _locked_sqlite(database: Database) -> AsyncIterator[AsyncConnection]:
    assert database.url.database is not None
    folder = Path(database.url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MigrationFailed(f"the folder of the database cannot be made: {error}") from error
    # AUTOCOMMIT: BEGIN and the pragmas are ours. No foreign keys: a migration may build a table
    # anew and put it in the old one's place.
    engine = create_async_engine(
        database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"PRAGMA busy_timeout={LOCK_WAIT_SECONDS * 1000}")
        # Of a new file, so that space can be given back; of others only `purge --compact` can.
        await connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
        await _switch_to_wal(connection)
        await connection.exec_driver_sql("PRAGMA synchronous=FULL")
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


async def _switch_to_wal(connection: AsyncConnection) -> None:
    """Switching a new file to WAL fails at once, without waiting, while somebody else does it.

    It is a property of the file: every later connection finds it done.
    """
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except exc.OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(_too_long()) from error
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return


def _too_long() -> str:
    return f"another process has been migrating the database for {LOCK_WAIT_SECONDS} s"


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    # Polled: an asyncio.Lock would belong to the first event loop that had to wait for it.
    while not _alembic.acquire(blocking=False):  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _alembic.release()


def _upgrade(connection: Connection) -> None:
    config = Config()
    # A package resource: the folder's own path could hold a %, which configuration interpolates.
    config.set_main_option("script_location", "db:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
