"""Bringing a database to this version, whoever starts first."""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import DatabaseUnavailable, is_unavailable
from db.session import Database

logger = logging.getLogger(__name__)

LOCK_SECONDS = 120


async def migrate(database: Database) -> None:
    """Migrates to the newest version; of several that start at once, one does it, the others wait.

    Raises DatabaseUnavailable when the database cannot be reached.
    """
    lock = _locked_file(database) if database.is_sqlite else contextlib.nullcontext()
    try:
        async with _in_thread(lock), database.write_engine.connect() as connection:
            if database.is_sqlite:
                await connection.run_sync(_upgrade)
                await connection.commit()
            else:
                async with _locked_server(connection, database):
                    await connection.run_sync(_upgrade)
    except Exception as error:
        if is_unavailable(error):
            url = database.url.render_as_string(hide_password=True)
            raise DatabaseUnavailable(
                f"{url} cannot be reached: {error}. Is the server running, and DATABASE_URL right?"
            ) from error
        raise


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@asynccontextmanager
async def _locked_server(connection: AsyncConnection, database: Database) -> AsyncIterator[None]:
    """Holds a lock of the MariaDB server; it lets go by itself when the connection ends."""
    name = f"migrate:{database.url.database}"[:64]
    # Neither waiting nor altering big tables is a slow query.
    await connection.execute(text("SET SESSION max_statement_time=0"))
    got = await connection.execute(
        text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": LOCK_SECONDS}
    )
    if got.scalar_one() != 1:
        raise DatabaseUnavailable("another process has been migrating for two minutes")
    await connection.commit()
    try:
        yield
    finally:
        # Closed, not returned to the pool: both the lock and the session's settings end with it.
        await connection.invalidate()


@contextmanager
def _locked_file(database: Database) -> Iterator[None]:
    """Holds a lock file beside the SQLite file, which is made if it is not there."""
    assert database.url.database is not None
    path = Path(database.url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise DatabaseUnavailable(f"{path} cannot be written: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def _in_thread(lock: contextlib.AbstractContextManager[None]) -> AsyncIterator[None]:
    """Enters a context manager that may block without blocking the event loop."""
    await asyncio.to_thread(lock.__enter__)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
